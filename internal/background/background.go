package background

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configures a Pool.
type Options struct {
	// Parallel is how many pieces of work are done at once; 0 = one less than
	// there are CPUs, at least one.
	Parallel   int
	Registerer prometheus.Registerer // nil = no metrics
}

// Pool does work in the background. Its methods may be called from any
// goroutine.
type Pool struct {
	// places has a token for each piece of work that is being done. Do puts it in
	// and takes it out; who finds it full waits, first come first served.
	places  chan struct{}
	waiting atomic.Int64
}

// New makes a Pool.
func New(o Options) (*Pool, error) {
	if o.Parallel < 0 {
		return nil, fmt.Errorf("background: %d pieces of work at once are not possible", o.Parallel)
	}
	if o.Parallel == 0 {
		o.Parallel = max(1, runtime.NumCPU()-1)
	}
	p := &Pool{places: make(chan struct{}, o.Parallel)}
	if o.Registerer == nil {
		return p, nil
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	return p, errors.Join(
		o.Registerer.Register(gauge("tapedeck_background_running", "Renderings and conversions that are being done.", func() int64 { return int64(len(p.places)) })),
		o.Registerer.Register(gauge("tapedeck_background_waiting", "Renderings and conversions that wait for a place.", p.waiting.Load)),
	)
}

// Parallel is how many pieces of work are done at once.
func (p *Pool) Parallel() int { return cap(p.places) }

// Do waits for a place, does the work on a thread of low priority, and returns
// its error. When the context ends before there is a place, nothing is done. A
// panic of the work is its error.
func (p *Pool) Do(ctx context.Context, work func(context.Context) error) error {
	p.waiting.Add(1)
	select {
	case p.places <- struct{}{}:
		p.waiting.Add(-1)
	case <-ctx.Done():
		p.waiting.Add(-1)
		return fmt.Errorf("wait for a place in the background: %w", ctx.Err())
	}
	defer func() { <-p.places }()
	done := make(chan error, 1) // sent to once, by the goroutine below
	go func() {
		// Never unlocked: the thread is of no use to anybody else.
		runtime.LockOSThread()
		yield()
		done <- guard(ctx, work)
	}()
	return <-done
}

func guard(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic in the background: %v\n%s", fault, debug.Stack())
		}
	}()
	return work(ctx)
}
