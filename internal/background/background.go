package background

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configures a Pool.
type Options struct {
	// Parallel is how many pieces of work are done at once, beside one more that
	// only First may begin; 0 = one less than there are CPUs, at least one.
	Parallel int
	// Elsewhere: what is heavy in the work is done by other processes. Then it is done
	// on the goroutine that calls, since a thread of low priority would only hold up
	// the collection of memory.
	Elsewhere  bool
	Registerer prometheus.Registerer // nil = no metrics
}

// Pool does work in the background. Its methods may be called from any
// goroutine.
type Pool struct {
	// places has a token for each piece of work that is being done. Do puts it in
	// and takes it out; who finds it full waits, first come first served.
	places chan struct{}
	// spare has the token of a piece that First began when all places were taken.
	spare     chan struct{}
	elsewhere bool
	waiting   atomic.Int64
}

// ErrBusy means that no place became free in the time that there was.
var ErrBusy = errors.New("too much is being done in the background")

// New makes a Pool.
func New(o Options) (*Pool, error) {
	if o.Parallel < 0 {
		return nil, fmt.Errorf("background: %d pieces of work at once are not possible", o.Parallel)
	}
	if o.Parallel == 0 {
		o.Parallel = max(1, runtime.NumCPU()-1)
	}
	p := &Pool{places: make(chan struct{}, o.Parallel), spare: make(chan struct{}, 1), elsewhere: o.Elsewhere}
	if o.Registerer == nil {
		return p, nil
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	return p, errors.Join(
		o.Registerer.Register(gauge("tapedeck_background_running", "Renderings and conversions that are being done.", func() int64 { return int64(len(p.places) + len(p.spare)) })),
		o.Registerer.Register(gauge("tapedeck_background_waiting", "Renderings and conversions that wait for a place.", p.waiting.Load)),
	)
}

// Parallel is how many pieces of work are done at once, without the one that
// only First may begin.
func (p *Pool) Parallel() int { return cap(p.places) }

// Do waits for a place, does the work on a thread of low priority (see
// Options.Elsewhere), and returns its error. When the context ends before there
// is a place, nothing is done. A panic of the work is its error.
func (p *Pool) Do(ctx context.Context, work func(context.Context) error) error {
	return p.do(ctx, nil, nil, work)
}

// First is Do for work that must not wait for what was only asked for: there is
// a place that nothing else may have.
func (p *Pool) First(ctx context.Context, work func(context.Context) error) error {
	return p.do(ctx, p.spare, nil, work)
}

// Within is Do for somebody who waits: without a place in that time nothing is
// done, and the error is ErrBusy.
func (p *Pool) Within(ctx context.Context, patience time.Duration, work func(context.Context) error) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	return p.do(ctx, nil, timer.C, work)
}

// do works with a token in places, or in other.
func (p *Pool) do(ctx context.Context, other chan struct{}, late <-chan time.Time, work func(context.Context) error) error {
	taken, err := p.wait(ctx, other, late)
	if err != nil {
		return err
	}
	defer func() { <-taken }()
	if p.elsewhere {
		return guard(ctx, work)
	}
	done := make(chan error, 1) // sent to once, by the goroutine below
	go func() {
		// Never unlocked: the thread is of no use to anybody else.
		runtime.LockOSThread()
		yield()
		done <- guard(ctx, work)
	}()
	return <-done
}

// wait puts a token into places, or into other when that is full.
func (p *Pool) wait(ctx context.Context, other chan struct{}, late <-chan time.Time) (taken chan struct{}, _ error) {
	select {
	case p.places <- struct{}{}:
		return p.places, nil
	default:
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	select {
	case p.places <- struct{}{}:
		return p.places, nil
	case other <- struct{}{}:
		return other, nil
	case <-late:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a place in the background: %w", ctx.Err())
	}
}

func guard(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic in the background: %v\n%s", fault, debug.Stack())
		}
	}()
	return work(ctx)
}
