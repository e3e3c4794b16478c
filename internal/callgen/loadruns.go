package callgen

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// stay makes all calls, lets them talk all at once, and hangs up.
func (l *Load) stay(ctx context.Context, r *LoadReport) error {
	var calls, up []*loadCall
	var group sync.WaitGroup
	var mu sync.Mutex
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.o.PerSecond))
	defer tick.Stop()
	for i := 0; i < l.o.Calls && ctx.Err() == nil; i++ {
		c := l.call(i)
		calls = append(calls, c)
		group.Go(func() {
			took, err := l.connect(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if r.setUp(c, took, err) {
				up = append(up, c)
			}
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	group.Wait()
	err := ctx.Err()
	if err == nil && len(up) > 0 {
		err = l.talk(ctx, up)
	}
	for _, c := range up {
		r.broken(c)
	}
	l.hangup(ctx, calls...)
	return err
}

// comeAndGo keeps so many calls up, each of them for a while.
func (l *Load) comeAndGo(ctx context.Context, r *LoadReport) error {
	full := time.Duration(float64(l.o.Calls) / l.o.PerSecond * float64(time.Second))
	talking, stop := context.WithTimeout(ctx, full+l.o.Talk)
	defer stop()
	r.Calls = 0
	t := &tally{r: r}
	var group sync.WaitGroup
	for place := range l.o.Calls {
		group.Go(func() {
			// The first ones come evenly; each of the others when its place is free.
			if pause(talking, full*time.Duration(place)/time.Duration(l.o.Calls)) != nil {
				return
			}
			for number := place; talking.Err() == nil; number += l.o.Calls {
				c := l.call(number)
				t.note(func(r *LoadReport) { r.Calls++ })
				l.live(ctx, talking, t, c, l.o.Lasting/2+rand.N(l.o.Lasting))
			}
		})
	}
	err := pause(ctx, full)
	if err == nil {
		l.tell(true)
		err = pause(ctx, l.o.Talk)
		l.tell(false)
	}
	stop()
	group.Wait()
	return err
}

// tally is a report into which many calls write at once.
type tally struct {
	mu sync.Mutex // guards the report
	r  *LoadReport
}

func (t *tally) note(write func(*LoadReport)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	write(t.r)
}

// live is one call that does not wait for the others: it is made, its frames are
// counted for so long, or until the talk is over, and it is hung up.
func (l *Load) live(ctx, talking context.Context, t *tally, c *loadCall, long time.Duration) {
	took, err := l.connect(ctx, c)
	isUp := false
	t.note(func(r *LoadReport) { isUp = r.setUp(c, took, err) })
	if isUp {
		l.count(true, c)
		_ = pause(talking, long) // its end is the end of the talk
		l.count(false, c)
		_ = pause(ctx, l.o.Tail) // likewise
		t.note(func(r *LoadReport) { r.broken(c) })
	}
	l.over(ctx, c)
}

// atRate makes calls at a rate, whatever becomes of those before, and hangs up each
// of them a while after it was up.
func (l *Load) atRate(ctx context.Context, r *LoadReport) error {
	t := &tally{r: r}
	var group sync.WaitGroup
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.o.PerSecond))
	defer tick.Stop()
	for i := 0; i < l.o.Calls && ctx.Err() == nil; i++ {
		c := l.call(i)
		group.Go(func() {
			l.live(ctx, ctx, t, c, l.o.Each)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	group.Wait()
	return ctx.Err()
}

// over hangs up a call, and forgets it.
func (l *Load) over(ctx context.Context, c *loadCall) {
	l.hangup(ctx, c)
	l.media.ask(func() { l.media.end(uint32(c.number)) })
}
