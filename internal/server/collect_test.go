package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestACollectionIsDueWhenHalfOfTheRoomIsUsed(t *testing.T) {
	for _, c := range []struct {
		live, goal, now uint64
		want            bool
	}{
		{100, 200, 100, false}, {100, 200, 150, false}, {100, 200, 151, true}, {100, 200, 300, true},
		{0, 4 << 20, 1 << 20, false}, {0, 4 << 20, 3 << 20, true}, // at the start
		{200, 100, 300, false}, // a limit of memory is below what is in use: the run-time collects as it must
	} {
		if got := due(c.live, c.goal, c.now); got != c.want {
			t.Errorf("live %d, goal %d, now %d: due %t, want %t", c.live, c.goal, c.now, got, c.want)
		}
	}
}

// TestCollectorCollects garbage before the run-time does, where it was told to, and
// leaves the run-time's own setting as it was.
func TestCollectorCollects(t *testing.T) {
	before := debug.SetGCPercent(40)
	defer debug.SetGCPercent(before)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := make(chan uint64)
	c := &collector{percent: 40, during: func(collect func()) {
		cycles := []metrics.Sample{{Name: "/gc/cycles/forced:gc-cycles"}}
		metrics.Read(cycles)
		was := cycles[0].Value.Uint64()
		collect()
		metrics.Read(cycles)
		select {
		case began <- cycles[0].Value.Uint64() - was:
		case <-ctx.Done():
		}
	}}
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx) }()
	var kept [][]byte
	for collected := false; !collected; {
		kept = append(kept, make([]byte, 1<<20))
		select {
		case n := <-began:
			if n == 0 {
				t.Error("nothing was collected")
			}
			collected = true
		case <-time.After(time.Millisecond):
		}
	}
	_ = kept
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := debug.SetGCPercent(40); got != 40 {
		t.Errorf("the run-time's percentage is %d afterwards", got)
	}
}
