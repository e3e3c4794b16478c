package media

import "sync"

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

// take returns all commands and leaves spare as room for the next ones.
func (m *mailbox) take(spare []command) []command {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.queue
	m.queue = spare[:0]
	return taken
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
