package session

import (
	"sync"
	"time"
)

// mailbox hands messages to the session goroutine in the order they were put.
// It is not bounded: its writers are the session's own legs, recordings and
// API requests, which are bounded themselves, and none of them may be made to
// wait or be dropped.
type mailbox struct {
	mu     sync.Mutex
	items  []func()
	closed bool
	bell   chan struct{} // sent to by put, never closed; when full the session has been called already
}

func newMailbox() *mailbox {
	return &mailbox{bell: make(chan struct{}, 1)}
}

// put appends a message. It reports false, and drops the message, once the
// session has ended.
func (m *mailbox) put(message func()) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, message)
	m.mu.Unlock()
	select {
	case m.bell <- struct{}{}:
	default:
	}
	return true
}

// take returns what was put since the last take.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}

// close makes every later put fail, if nothing is waiting. It reports whether
// it did: a message that came first must still be handled.
func (m *mailbox) close() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.items) > 0 {
		return false
	}
	m.closed = true
	return true
}

// alarm is a deadline of a session. It runs in the session's goroutine.
type alarm struct {
	at time.Time
	do func()
}

// alarms are the deadlines of one session. They are few, so a slice serves.
type alarms struct {
	list  []*alarm
	timer *time.Timer
}

func newAlarms() *alarms {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &alarms{timer: t}
}

// after arranges for do to run once d has passed.
func (a *alarms) after(d time.Duration, do func()) *alarm {
	al := &alarm{at: time.Now().Add(d), do: do}
	a.list = append(a.list, al)
	a.arm()
	return al
}

// drop takes an alarm back. A nil alarm, or one that has run, is ignored.
func (a *alarms) drop(al *alarm) {
	for i, other := range a.list {
		if other == al {
			a.list = append(a.list[:i], a.list[i+1:]...)
			a.arm()
			return
		}
	}
}

// ring runs every alarm whose time has come, the oldest first.
func (a *alarms) ring() {
	for {
		next := a.next()
		if next == nil || time.Until(next.at) > 0 {
			a.arm()
			return
		}
		a.drop(next)
		next.do()
	}
}

func (a *alarms) next() *alarm {
	var first *alarm
	for _, al := range a.list {
		if first == nil || al.at.Before(first.at) {
			first = al
		}
	}
	return first
}

func (a *alarms) arm() {
	if first := a.next(); first != nil {
		a.timer.Reset(max(0, time.Until(first.at)))
		return
	}
	a.timer.Stop()
}
