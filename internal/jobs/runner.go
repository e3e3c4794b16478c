package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/store"
)

// Handler does one job. The same job may come again, after an error, a restart,
// or a lease that ran out, so a handler must be idempotent. nil means that it is
// done; an error means again later; an error made by Permanent means never
// again. The context ends when the runner stops or the job is no longer ours;
// return soon then.
type Handler func(ctx context.Context, j store.Job) error

// Options configures a Runner.
type Options struct {
	DB       *store.DB          // needed
	Handlers map[string]Handler // by kind; jobs of other kinds are left alone
	Workers  int                // jobs at once; 0 = 2
	// Limits is how many jobs of a kind may be done at once. A kind that is
	// missing may have all workers, and is looked for before those with a limit:
	// a queue of one kind does not keep the others waiting.
	Limits map[string]int
	// Node names this node, the same after a restart: what it held before is
	// its own again at once. No other running process may have the name.
	Node string
	// Lease is how long a job stays ours without news of us. 0 = 30 s.
	Lease time.Duration
	// Poll is how often to look for jobs of which nobody told us. 0 = 5 s.
	Poll time.Duration
	// BackoffMin and BackoffMax bound the wait after an error; it doubles from
	// one to the other. 0 = 1 s and 5 min.
	BackoffMin, BackoffMax time.Duration
	Logger                 *slog.Logger          // nil = none
	Registerer             prometheus.Registerer // nil = none
}

// Runner does jobs.
type Runner struct {
	o       Options
	metrics *metrics
	wake    chan struct{} // room for one; Wake sends, run receives; a full one says all

	mu      sync.Mutex        // guards the rest; held for nanoseconds
	kinds   []string          // of the jobs that are done here
	running map[string]atWork // by the id of the job
	looked  *sync.Cond        // something ended, or the table was looked at
	idle    bool              // the last look found nothing due, and nothing was running
	looks   uint64            // how often the table was looked at
	stopped bool
}

// atWork is a job that is being done.
type atWork struct {
	kind   string
	cancel context.CancelFunc
}

// permanent marks an error that trying again cannot help.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error as one that trying again cannot help. nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// New makes a Runner.
func New(o Options) (*Runner, error) {
	if o.DB == nil || o.Node == "" {
		return nil, errors.New("jobs: DB and Node are needed")
	}
	for _, d := range []struct {
		value *time.Duration
		then  time.Duration
	}{{&o.Lease, 30 * time.Second}, {&o.Poll, 5 * time.Second}, {&o.BackoffMin, time.Second}, {&o.BackoffMax, 5 * time.Minute}} {
		if *d.value < 0 {
			return nil, fmt.Errorf("jobs: a time of %v is negative", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.then
		}
	}
	if o.BackoffMax < o.BackoffMin {
		return nil, fmt.Errorf("jobs: BackoffMax %v is less than BackoffMin %v", o.BackoffMax, o.BackoffMin)
	}
	if o.Workers <= 0 {
		o.Workers = 2
	}
	for kind, limit := range o.Limits {
		if limit < 1 {
			return nil, fmt.Errorf("jobs: %d jobs of kind %s at once would never be done", limit, kind)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Runner{
		o: o, kinds: slices.Sorted(maps.Keys(o.Handlers)),
		wake: make(chan struct{}, 1), running: map[string]atWork{},
	}
	r.looked = sync.NewCond(&r.mu)
	var err error
	if r.metrics, err = newMetrics(o.Registerer, r); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return r, nil
}

// Wake tells the runner that a job was committed. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run does jobs until the context ends. Then it takes no more, ends the contexts
// of those at work, waits for them, and gives back what is not done. It returns
// nil for an orderly end. It must not be called again.
func (r *Runner) Run(ctx context.Context) error {
	// What is ours now, we held before we were started: nobody is doing it.
	err := r.o.DB.Update(ctx, func(t *store.Tx) error { return t.ReleaseJobs(r.o.Node, false) })
	if err != nil {
		r.stop()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("jobs: take up what was left: %w", err)
	}
	var workers sync.WaitGroup
	ended := make(chan end, r.o.Workers) // a worker sends when its job is over; never full
	renew := time.NewTicker(r.o.Lease / 3)
	defer renew.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for ctx.Err() == nil {
		var over []end
		select {
		case <-ctx.Done():
			continue
		case <-renew.C:
			r.renew(ctx)
			continue
		case <-r.wake:
		case e := <-ended:
			over = append(over, e)
		case <-again.C:
		}
		again.Reset(r.look(ctx, &workers, ended, over))
	}
	workers.Wait() // their contexts come from ctx
	left := all(nil, ended)
	r.claims(left)
	_ = r.settle(ctx, left, func(*store.Tx) error { return nil }) // it has logged it
	r.stop()
	// The context is over, but what is ours must be given back.
	err = r.o.DB.Update(context.WithoutCancel(ctx), func(t *store.Tx) error { return t.ReleaseJobs(r.o.Node, true) })
	if err != nil && !errors.Is(err, store.ErrClosed) {
		return fmt.Errorf("jobs: give back what is not done: %w", err)
	}
	return nil
}

func (r *Runner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.looked.Broadcast()
}

// look settles the jobs that are over, claims as many as there are free workers, all
// of it in one transaction, starts them, and returns when to look again.
func (r *Runner) look(ctx context.Context, workers *sync.WaitGroup, ended chan end, over []end) time.Duration {
	over = all(over, ended)
	claims := r.claims(over)
	var claimed []store.Job
	var open []string // the kinds of which more could be begun
	var next time.Time
	now := time.Now()
	err := r.settle(ctx, over, func(t *store.Tx) (err error) {
		claimed, open = nil, nil
		for _, c := range claims {
			got, err := t.ClaimJobs(store.Claim{
				Owner: r.o.Node, Kinds: c.kinds, Now: now, Lease: r.o.Lease, Limit: min(c.most, claims[0].most-len(claimed)),
			})
			if err != nil {
				return err
			}
			claimed = append(claimed, got...)
			if len(got) < c.most {
				open = append(open, c.kinds...)
			}
		}
		next, err = t.NextJob(open)
		return err
	})
	if err != nil {
		return r.o.Poll
	}
	for _, j := range claimed {
		r.start(ctx, j, workers, ended)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	due := !next.IsZero() && !next.After(now)
	r.idle = len(r.running) == 0 && !due && len(open) == len(r.kinds)
	r.looks++
	r.looked.Broadcast()
	if next.IsZero() || due { // due, but no worker is free: the end of a job wakes us
		return r.o.Poll
	}
	return min(r.o.Poll, time.Until(next)) // the transaction may have waited for others
}

// claim is how many jobs of some kinds can be begun.
type claim struct {
	kinds []string
	most  int
}

// claims says what can be begun when these are over, in the order in which to look
// for it. The first has as many as there are free workers.
func (r *Runner) claims(over []end) []claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range over {
		delete(r.running, e.job.ID)
	}
	of := map[string]int{}
	for _, w := range r.running {
		of[w.kind]++
	}
	out := []claim{{most: r.o.Workers - len(r.running)}}
	for _, kind := range r.kinds {
		if limit, limited := r.o.Limits[kind]; limited {
			out = append(out, claim{[]string{kind}, limit - of[kind]})
		} else {
			out[0].kinds = append(out[0].kinds, kind)
		}
	}
	return out
}

func (r *Runner) start(ctx context.Context, j store.Job, workers *sync.WaitGroup, ended chan<- end) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.running[j.ID] = atWork{j.Kind, cancel}
	r.idle = false
	if !slices.Contains(r.kinds, j.Kind) {
		cancel() // it was claimed while Leave was called
	}
	r.mu.Unlock()
	workers.Go(func() {
		defer cancel()
		start := time.Now()
		err := r.call(ctx, j)
		// Lost: given back by Run, or taken by another.
		ended <- end{job: j, err: err, lost: err != nil && ctx.Err() != nil, took: time.Since(start)}
	})
}

// call runs the handler; a panic is an error of that job alone.
func (r *Runner) call(ctx context.Context, j store.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return r.o.Handlers[j.Kind](ctx, j)
}

// renew prolongs the leases of what is being done. A job that is no longer ours
// is broken off: another node is at it.
func (r *Runner) renew(ctx context.Context) {
	r.mu.Lock()
	ids := slices.Collect(maps.Keys(r.running))
	r.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	var kept []string
	err := r.o.DB.Update(ctx, func(t *store.Tx) (err error) {
		kept, err = t.RenewJobs(r.o.Node, ids, time.Now().Add(r.o.Lease))
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			r.o.Logger.Error("cannot prolong the leases of jobs; trying again", "error", err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		// One that ended meanwhile is missing from both.
		if w, runs := r.running[id]; runs && !slices.Contains(kept, id) {
			r.o.Logger.Warn("job is held by another node and broken off here", "job", id)
			w.cancel()
		}
	}
}

// Leave breaks off jobs of a kind, and begins no more of it: the next start does
// them.
func (r *Runner) Leave(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds = slices.DeleteFunc(slices.Clone(r.kinds), func(k string) bool { return k == kind })
	for _, w := range r.running {
		if w.kind == kind {
			w.cancel()
		}
	}
	r.Wake()
}

// Idle waits until no job is due and none is being done, as of a look that began
// after the call; jobs that wait for their time do not count. It returns at once
// with an error when the runner has stopped or the context ends.
func (r *Runner) Idle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.looked.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.looks + 1 // one look may be under way, from before the call
	r.Wake()
	for ctx.Err() == nil && !r.stopped {
		if r.looks > seen && r.idle {
			return nil
		}
		if r.looks <= seen {
			r.Wake()
		}
		r.looked.Wait()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for jobs: %w", err)
	}
	return errors.New("wait for jobs: the runner has stopped")
}
