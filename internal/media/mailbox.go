package media

import (
	"slices"
	"sync"
)

// command is one thing that a worker does between packets.
type command struct {
	leg *Leg // whose worker runs it; nil = any
	run func(*worker) error
	// done: the worker sends the result once; it has room for it. Nil = nobody waits.
	done chan error
}

func (c *command) finish(err error) {
	if c.done != nil {
		c.done <- err
	}
}

// mailbox holds the commands that a worker has not run yet. Its mutex is a leaf,
// held for an append.
type mailbox struct {
	mu     sync.Mutex
	queue  []command
	closed bool
}

// put adds a command. first: the mailbox was empty, the worker must be woken.
// Not ok: the worker has ended.
func (m *mailbox) put(c command) (first, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false, false
	}
	m.queue = append(m.queue, c)
	return len(m.queue) == 1, true
}

// take returns the orders from next on, which have not been run, with all commands that
// came behind them. The room of the orders that have been run is used again.
func (m *mailbox) take(orders []command, next int) []command {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next == len(orders) {
		taken := m.queue
		m.queue = orders[:0]
		return taken
	}
	orders = slices.Delete(orders, 0, next)
	orders = append(orders, m.queue...)
	clear(m.queue)
	m.queue = m.queue[:0]
	return orders
}

// close refuses commands from now on, and returns those that nobody ran.
func (m *mailbox) close() []command {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	left := m.queue
	m.queue = nil
	return left
}
