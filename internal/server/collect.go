package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// lookEvery is how often it is looked whether a collection is due. Set-up at its
	// fastest fills a tenth of the heap meanwhile.
	lookEvery = 100 * time.Millisecond
	// spare is how many times as much garbage the run-time lets come about before it
	// collects by itself: it should not come to that.
	spare = 2
)

// collector collects garbage before the run-time would, so that media workers can be told
// of it (media.Engine.Relent).
type collector struct {
	percent int          // by how much of what is in use the heap may grow; see GOGC
	during  func(func()) // calls what it is given, the collection
}

// run collects until the context ends.
func (c *collector) run(ctx context.Context) error {
	defer debug.SetGCPercent(debug.SetGCPercent(spare * c.percent))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	sizes := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		metrics.Read(sizes)
		if due(sizes[0].Value.Uint64(), sizes[1].Value.Uint64(), sizes[2].Value.Uint64()) {
			c.during(runtime.GC)
		}
	}
}

// due says whether a heap has grown by its percentage: bytes that were in use after the
// last collection, where the run-time would collect again, and bytes now.
func due(live, goal, now uint64) bool {
	return goal > live && now > live+(goal-live)/spare
}
