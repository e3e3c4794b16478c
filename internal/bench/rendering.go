package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/client"
	"tapedeck/internal/callgen"
)

// Rendering is what files that are made all the time do to running calls.
type Rendering struct {
	Calls    int     `json:"calls"`
	With     []Step  `json:"with"`
	Without  []Step  `json:"without"`
	P50Delta float64 `json:"p50DeltaMs"` // of the better tries: with rendering, less that without
	P99Delta float64 `json:"p99DeltaMs"`
}

const (
	materialNumber = 8000             // of the first recording's call
	materialTalk   = 10 * time.Second // how long a recording is that is rendered
	materialUses   = 100              // a recording has no more renders
	// renderersAsking is how many ask for a file and wait for it, so that there is
	// always one to be made.
	renderersAsking = 8
	renderLook      = 100 * time.Millisecond
)

// rendering measures with and without, in an order in which what slowly changes in
// the machine is in both.
func rendering(ctx context.Context, o Options, calls int) (*Rendering, error) {
	r := &Rendering{Calls: calls}
	for _, on := range []bool{true, false, false, true} {
		o.rendering = on
		s, err := step(ctx, &o, calls, o.Climb)
		if err != nil {
			return nil, fmt.Errorf("bench: rendering at %d calls: %w", calls, err)
		}
		o.Report(fmt.Sprintf("%d files rendered meanwhile, %s", s.Renders, s))
		if on {
			r.With = append(r.With, s)
		} else {
			r.Without = append(r.Without, s)
		}
	}
	// The better of two: what else goes on in the machine makes them worse.
	with, without := r.With, r.Without
	r.P50Delta = min(with[0].P50, with[1].P50) - min(without[0].P50, without[1].P50)
	r.P99Delta = min(with[0].P99, with[1].P99) - min(without[0].P99, without[1].P99)
	return r, nil
}

// material makes the recordings that are rendered in a time, by calls of their own.
func (p *process) material(ctx context.Context, within time.Duration) error {
	calls := 1 + renderersAsking*int(within/renderLook)/materialUses
	number := func(i int) string { return fmt.Sprint(materialNumber + i) }
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: calls, Talk: materialTalk, Callee: number,
		Dial: func(i int) string { return "sip:" + number(i) + "@" + p.SIP },
	})
	if err != nil {
		return err
	}
	for i := range calls {
		if err := p.inline(ctx, number(i), load.Callees().String(), true); err != nil {
			return errors.Join(err, load.Close())
		}
	}
	r, err := load.Run(ctx)
	if err != nil {
		return err
	}
	made := Step{Connected: r.Connected, Sent: r.Sent}
	all, err := p.finished(ctx, &made)
	if err != nil {
		return err
	}
	if made.Available != calls {
		return errors.Join(fmt.Errorf("%d of %d recordings are there to be rendered", made.Available, calls), first(r.Failures))
	}
	for _, rec := range all {
		p.rendered = append(p.rendered, rec.ID)
	}
	return nil
}

// renderer has files made of recordings, one after the other.
type renderer struct {
	p     *process
	stop  context.CancelFunc
	group sync.WaitGroup
	asked atomic.Int64
	made  atomic.Int64

	mu  sync.Mutex
	err error
}

// begin asks for files until end is called.
func (r *renderer) begin(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	for range renderersAsking {
		r.group.Go(func() {
			for ctx.Err() == nil {
				err := r.one(ctx)
				if err != nil && ctx.Err() == nil {
					r.mu.Lock()
					r.err = err
					r.mu.Unlock()
					return
				}
			}
		})
	}
}

func (r *renderer) one(ctx context.Context) error {
	// In turn, so that none has more renders than it may.
	id := r.p.rendered[int(r.asked.Add(1))%len(r.p.rendered)]
	f, err := r.p.api.RenderRecording(ctx, id, client.RenderRecording{Format: client.AudioFormatFlac})
	if err != nil {
		return err
	}
	look := time.NewTicker(renderLook)
	defer look.Stop()
	for f.Status == client.RenderStatusAccepted {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if f, err = r.p.api.GetRender(ctx, id, f.ID); err != nil {
			return err
		}
	}
	if f.Status != client.RenderStatusAvailable {
		return fmt.Errorf("render %s: %s", f.ID, f.Problem)
	}
	r.made.Add(1)
	return nil
}

// end waits until nobody asks any more, and tells how many files were made.
func (r *renderer) end() (int, error) {
	if r.stop == nil {
		return 0, nil
	}
	r.stop()
	r.group.Wait()
	return int(r.made.Load()), r.err
}
