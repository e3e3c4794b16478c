package callgen

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// pacer sends the frames of all parties at their instants. The schedule is
// computed from the clock, never from the frame before, so it does not drift;
// parties on the same grid send within microseconds of each other.
type pacer struct {
	now  func() time.Duration
	wake chan struct{} // poked, one deep, when the schedule changed

	mu      sync.Mutex
	parties map[*Party]struct{}
	later   datagrams // held back by an impairment
}

func newPacer(now func() time.Duration) *pacer {
	return &pacer{now: now, wake: make(chan struct{}, 1), parties: map[*Party]struct{}{}}
}

func (c *pacer) add(p *Party) {
	c.mu.Lock()
	c.parties[p] = struct{}{}
	c.mu.Unlock()
	c.poke()
}

func (c *pacer) remove(p *Party) {
	c.mu.Lock()
	delete(c.parties, p)
	c.mu.Unlock()
}

func (c *pacer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// hold keeps a datagram back until a time.
func (c *pacer) hold(d datagram) {
	c.mu.Lock()
	heap.Push(&c.later, d)
	c.mu.Unlock()
	c.poke()
}

func (c *pacer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due []*Party
	for {
		at, some := c.next()
		wait := time.Hour
		if some {
			wait = at - c.now()
		}
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			case <-timer.C:
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		due = c.due(due[:0])
		for _, p := range due {
			p.tick()
		}
		c.release()
	}
}

// next is the earliest instant at which there is something to send.
func (c *pacer) next() (at time.Duration, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.parties {
		if d := p.due(); !some || d < at {
			at, some = d, true
		}
	}
	if len(c.later) > 0 && (!some || c.later[0].at < at) {
		at, some = c.later[0].at, true
	}
	return at, some
}

func (c *pacer) due(list []*Party) []*Party {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.parties {
		if p.due() <= now {
			list = append(list, p)
		}
	}
	return list
}

// release sends what was held back long enough.
func (c *pacer) release() {
	for {
		c.mu.Lock()
		if len(c.later) == 0 || c.later[0].at > c.now() {
			c.mu.Unlock()
			return
		}
		d := heap.Pop(&c.later).(datagram)
		c.mu.Unlock()
		d.party.send(d.bytes)
	}
}

// datagram is one that waits for its time.
type datagram struct {
	at    time.Duration
	party *Party
	bytes []byte
}

// datagrams is a heap, the earliest first.
type datagrams []datagram

func (d datagrams) Len() int           { return len(d) }
func (d datagrams) Less(i, k int) bool { return d[i].at < d[k].at }
func (d datagrams) Swap(i, k int)      { d[i], d[k] = d[k], d[i] }
func (d *datagrams) Push(x any)        { *d = append(*d, x.(datagram)) }

// Pop takes the last one, as container/heap wants it.
func (d *datagrams) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}
