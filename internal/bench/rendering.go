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
	P50Delta float64 `json:"p50DeltaMs"` // with rendering, less that without
	P99Delta float64 `json:"p99DeltaMs"`
}

const (
	materialNumber = "8000"
	materialTalk   = 10 * time.Second // how long the recording is that is rendered
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
	with, without := r.With, r.Without
	r.P50Delta = (with[0].P50 + with[1].P50 - without[0].P50 - without[1].P50) / 2
	r.P99Delta = (with[0].P99 + with[1].P99 - without[0].P99 - without[1].P99) / 2
	return r, nil
}

// material makes the recording that is rendered, by a call of its own.
func (p *process) material(ctx context.Context) error {
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: 1, Talk: materialTalk, Callee: func(int) string { return materialNumber },
		Dial: func(int) string { return "sip:" + materialNumber + "@" + p.SIP },
	})
	if err != nil {
		return err
	}
	if err := p.inline(ctx, materialNumber, load.Callees().String(), true); err != nil {
		return errors.Join(err, load.Close())
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
	if made.Available != 1 {
		return errors.Join(errors.New("there is nothing to render"), first(r.Failures))
	}
	p.rendered = all[0].ID
	return nil
}

// renderer has files made of one recording, one after the other.
type renderer struct {
	p     *process
	stop  context.CancelFunc
	group sync.WaitGroup
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
	f, err := r.p.api.RenderRecording(ctx, r.p.rendered, client.RenderRecording{Format: client.AudioFormatFlac})
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
		if f, err = r.p.api.GetRender(ctx, r.p.rendered, f.ID); err != nil {
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
