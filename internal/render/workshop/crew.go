package workshop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/blob"
)

// Options configures a Crew.
type Options struct {
	// Command is the program, and its arguments, that calls Serve. Needed.
	Command []string
	// Idle is how long a process that has nothing to do is kept. 0 = 30 s.
	Idle time.Duration

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Crew makes files in processes of the lowest priority. Its methods may be called
// from any goroutine.
type Crew struct {
	o    Options
	here Here // where a process cannot have an order, or cannot be started
	// alone is set while no process can be started, so that it is said once.
	alone atomic.Bool

	lost    prometheus.Counter
	started prometheus.Counter

	mu      sync.Mutex // guards what follows; held for nanoseconds
	all     []*helper  // that have not been waited for
	free    []*helper  // that have nothing to do, the last used last
	closing bool
	wait    sync.WaitGroup // for who waits for a process
}

// ErrLost means that the process that made a file ended before it was made.
var ErrLost = errors.New("the process that made the file ended")

// errClosed means that the server ends.
var errClosed = errors.New("no more files are made")

// Supported reports whether this system can have a Crew.
func Supported() bool { return supported }

// New makes a Crew. It starts nothing yet.
func New(o Options) (*Crew, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("workshop: Command is needed")
	}
	if o.Idle <= 0 {
		o.Idle = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Crew{
		o: o,
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_workshop_started_total", Help: "Processes that were started to make files.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_workshop_lost_total", Help: "Processes that ended while they made a file, without being told to.",
		}),
	}
	if o.Registerer == nil {
		return c, nil
	}
	return c, errors.Join(o.Registerer.Register(c.started), o.Registerer.Register(c.lost), o.Registerer.Register(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapedeck_workshop_processes", Help: "Processes that make files, or wait for some to make.",
		}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(len(c.all))
		})))
}

// Make has an order made by a process. When the context ends, so does the
// process. One that ends by itself is ErrLost; the next order has another. Where
// no process can be started the file is made here. Other errors are as those of
// Here.Make, to errors.Is and errors.As.
func (c *Crew) Make(ctx context.Context, o *Order) (Result, error) {
	source, isFile := o.Source.(*os.File)
	if o.Source != nil && !isFile {
		return c.here.Make(ctx, o) // it cannot be handed over
	}
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("make a file: %w", err)
	}
	h, err := c.take(ctx)
	if c.closed() {
		return Result{}, errClosed
	}
	if errors.Is(err, errNotStarted) {
		if !c.alone.Swap(true) {
			c.o.Logger.Warn("no process can be started to make files: they are made in the server, where calls may feel it", "error", err)
		}
		return c.here.Make(ctx, o)
	}
	if err != nil {
		return Result{}, err
	}
	c.alone.Store(false)
	result, err := h.make(ctx, o, source)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Result{}, fmt.Errorf("make a file: %w", ctx.Err())
	case c.closed():
		return Result{}, errClosed
	case errors.Is(err, ErrLost):
		c.lost.Inc()
		c.o.Logger.Error("a process that made a file ended; no call feels it", "error", err)
	}
	return result, err
}

// Sum reads all of a file and returns its size and SHA-256, as blob.Sum does.
func (c *Crew) Sum(ctx context.Context, r io.Reader) (blob.Info, error) {
	result, err := c.Make(ctx, &Order{Source: r})
	return blob.Info{Size: result.Size, SHA256: result.SHA256}, err
}

// take returns a process that has nothing to do.
func (c *Crew) take(ctx context.Context) (*helper, error) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil, errClosed
	}
	if k := len(c.free) - 1; k >= 0 {
		h := c.free[k]
		c.free = c.free[:k]
		h.rest.Stop()
		c.mu.Unlock()
		return h, nil
	}
	c.wait.Add(1) // before Close can wait
	c.mu.Unlock()
	return c.hire(ctx)
}

// hire starts a process, and a goroutine that waits for its end and is Done.
func (c *Crew) hire(ctx context.Context) (*helper, error) {
	h, err := start(c.o.Command)
	if err != nil {
		c.wait.Done()
		return nil, fmt.Errorf("%w: %w", errNotStarted, err)
	}
	h.done = func() { c.giveBack(h) }
	c.started.Inc()
	c.mu.Lock()
	c.all = append(c.all, h)
	c.mu.Unlock()
	go func() {
		defer c.wait.Done()
		h.watch()
		c.forget(h)
	}()
	if c.closed() { // it may not have seen this one
		h.kill()
		return nil, errClosed
	}
	// Until it says that it works, its end is a fault of the start, not of an order.
	if err := h.greet(ctx); err != nil {
		h.kill()
		return nil, err
	}
	return h, nil
}

// giveBack is the end of an order: its process may have another.
func (c *Crew) giveBack(h *helper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || h.ended() {
		return
	}
	c.free = append(c.free, h)
	h.rest = time.AfterFunc(c.o.Idle, func() { c.dismiss(h) })
}

// dismiss ends a process that has had nothing to do for long.
func (c *Crew) dismiss(h *helper) {
	c.mu.Lock()
	k := slices.Index(c.free, h)
	if k >= 0 {
		c.free = slices.Delete(c.free, k, k+1)
	}
	c.mu.Unlock()
	if k >= 0 {
		h.kill()
	}
}

func (c *Crew) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// forget takes a process off the lists: it has ended.
func (c *Crew) forget(h *helper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(o *helper) bool { return o == h }
	c.all = slices.DeleteFunc(c.all, same)
	c.free = slices.DeleteFunc(c.free, same)
	if h.rest != nil {
		h.rest.Stop()
	}
}

// Close ends all processes, those that work included, and waits for them. It may
// be called again.
func (c *Crew) Close() error {
	c.mu.Lock()
	c.closing = true
	all := slices.Clone(c.all)
	c.mu.Unlock()
	for _, h := range all {
		h.kill()
	}
	c.wait.Wait()
	return nil
}
