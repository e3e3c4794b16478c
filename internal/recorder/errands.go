package recorder

import (
	"sync"
	"sync/atomic"
)

// errands is a list of captures that want to be seen before the next round. The
// round sees all captures; the list saves looking at a thousand for one.
type errands struct {
	// some has room for one token, sent by anyone without waiting: a token that is
	// there already says the same.
	some chan struct{}

	mu   sync.Mutex // a leaf, held for nanoseconds
	list []*Capture
}

// add puts a capture on the list, unless called says that it is there. Any
// goroutine may call it; it does not wait.
func (e *errands) add(c *Capture, called *atomic.Bool) {
	if called.Swap(true) {
		return
	}
	e.mu.Lock()
	e.list = append(e.list, c)
	e.mu.Unlock()
	select {
	case e.some <- struct{}{}:
	default:
	}
}

// take returns the list, and keeps the memory of dst for the next one.
func (e *errands) take(dst []*Capture) []*Capture {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = dst[:0]
	return list
}
