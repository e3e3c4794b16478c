package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"tapedeck/internal/store"
)

// end is how a job went.
type end struct {
	job  store.Job
	err  error
	lost bool // it is not ours to settle any more: the runner stops, or the lease ran out
	took time.Duration
}

// all adds the jobs that are over by now.
func all(over []end, ended <-chan end) []end {
	for {
		select {
		case e := <-ended:
			over = append(over, e)
		default:
			return over
		}
	}
}

// settle writes down how jobs went, and does more in the same transaction. Its error
// is logged.
func (r *Runner) settle(ctx context.Context, over []end, more func(*store.Tx) error) error {
	writes := make([]func(*store.Tx) error, 0, len(over))
	for _, e := range over {
		if !e.lost {
			writes = append(writes, r.outcome(e))
		}
	}
	doing := ctx
	if len(writes) > 0 {
		doing = context.WithoutCancel(ctx) // what is done must not be done again
	}
	err := r.o.DB.UpdateSoon(doing, func(t *store.Tx) error {
		for _, write := range writes {
			if err := write(t); err != nil {
				return err
			}
		}
		return more(t)
	})
	for _, e := range over {
		if err != nil && !e.lost {
			r.o.Logger.Error("cannot write down how a job went; it is done again when its lease runs out",
				"job", e.job.ID, "kind", e.job.Kind, "ref", e.job.Ref, "error", err)
		}
		r.metrics.observe(e.job.Kind, e.err, e.lost, e.took)
	}
	if err != nil && ctx.Err() == nil {
		r.o.Logger.Error("cannot look for jobs; trying again", "error", err)
	}
	return err
}

// outcome is what is written of a job that is over.
func (r *Runner) outcome(e end) func(*store.Tx) error {
	j := e.job
	log := r.o.Logger.With("job", j.ID, "kind", j.Kind, "ref", j.Ref, "attempt", j.Attempts)
	var gone permanent
	switch {
	case e.err == nil:
	case errors.As(e.err, &gone):
		log.Error("job cannot be done and is given up", "error", e.err)
	default:
		wait := r.backoff(j.Attempts)
		log.Warn("job failed and is tried again", "error", e.err, "in", wait)
		at := time.Now().Add(wait) // from now on, however long the transaction has to wait
		return func(t *store.Tx) error { return t.RetryJob(j, at, e.err.Error()) }
	}
	return func(t *store.Tx) error { return t.FinishJob(j) }
}

// backoff is how long to wait after the attempt: twice as long each time, and up
// to a fifth more or less, so that what failed together does not return together.
func (r *Runner) backoff(attempt int) time.Duration {
	wait := r.o.BackoffMin
	for i := 1; i < attempt && wait < r.o.BackoffMax; i++ {
		wait *= 2
	}
	wait = min(wait, r.o.BackoffMax)
	return wait + time.Duration((rand.Float64()-0.5)*0.4*float64(wait)) //nolint:gosec // spreads load, guards nothing
}
