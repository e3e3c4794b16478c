package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// climb raises a number of calls until a limit is met.
type climb struct {
	o     *Options
	what  string // before each line for a person
	try   func(ctx context.Context, o *Options, calls int, hold time.Duration) (Step, error)
	steps []Step
	calls int // held within the limits
}

// run takes step after step. The steps of the climb are short; the answer is a
// number that was held for the whole time.
func (c *climb) run(ctx context.Context, r *Result) error {
	o := c.o
	if o.Most == o.From { // this number, and no other
		held, err := c.one(ctx, r, o.From, o.Hold)
		if held {
			c.calls = o.From
		}
		return err
	}
	good, bad := 0, 0
	for calls := o.From; calls > 0; calls = o.next(good, bad) {
		held, err := c.one(ctx, r, calls, min(o.Climb, o.Hold))
		if err != nil {
			return err
		}
		if held {
			good = max(good, calls)
		} else {
			bad = calls
		}
	}
	if o.Climb >= o.Hold {
		c.calls = good
	}
	for calls := good; calls > 0 && c.calls == 0; calls -= o.Fine {
		held, err := c.one(ctx, r, calls, o.Hold)
		if err != nil {
			return err
		}
		if held {
			c.calls = calls
		}
	}
	slices.SortStableFunc(c.steps, func(a, b Step) int { return a.Calls - b.Calls })
	return nil
}

// one tries a number of calls. One that is not held is tried again: whatever else
// goes on in the machine, and in its host, makes the figures worse, never better.
func (c *climb) one(ctx context.Context, r *Result, calls int, hold time.Duration) (held bool, err error) {
	for range c.o.Tries {
		if held, err = c.once(ctx, r, calls, hold); held || err != nil {
			break
		}
	}
	return held, err
}

func (c *climb) once(ctx context.Context, r *Result, calls int, hold time.Duration) (held bool, err error) {
	c.o.Report(fmt.Sprintf("%s%d calls for %s …", c.what, calls, hold))
	s, err := c.try(ctx, c.o, calls, hold)
	if err != nil {
		return false, fmt.Errorf("bench: %s%d calls: %w", c.what, calls, err)
	}
	c.steps = append(c.steps, s)
	c.o.Report(c.what + s.String())
	if !s.Held && s.LoadCPU > loadFull {
		r.remark("%sat %d calls the load generator used %.0f %% of its cores: more may be held than was seen", c.what, calls, 100*s.LoadCPU)
	}
	if !s.Held && s.Steal > stealSeen {
		r.remark("%sat %d calls the host took %.1f %% of the server's cores for others: measure again", c.what, calls, 100*s.Steal)
	}
	return s.Held, nil
}

const (
	loadFull  = 0.9  // of its cores: from there on the generator may be late
	stealSeen = 0.01 // of the server's cores
)

func (r *Result) remark(format string, args ...any) {
	r.Remarks = append(r.Remarks, fmt.Sprintf(format, args...))
}

// next is the number of calls to try after the best that held and the least that
// did not (0 = none yet); 0 when the answer is close enough.
func (o *Options) next(good, bad int) int {
	switch {
	case bad == 0 && o.Most > 0 && good >= o.Most:
		return 0
	case bad == 0:
		n := good + o.Step
		if o.Most > 0 {
			n = min(n, o.Most)
		}
		return n
	case bad-good <= o.Fine:
		return 0
	}
	return good + (bad-good)/2
}
