package session

import (
	"time"

	"tapedeck/internal/store"
)

// retryWrite is how long after a failure a write is tried again.
const retryWrite = time.Second

// row keeps the writes of one row of the store in order: an older state that
// failed must never overwrite a newer one when it is tried again.
type row struct {
	stored    store.Row
	issued    uint64 // number of the newest write
	committed uint64 // of the newest one that the store has
	overtaken []func()
	tells     string // what others hear of the newest write
}

// change is one write of a row.
type change struct {
	row  *row
	seq  uint64
	what string
	do   func(*store.Tx) error
	then func()
	told bool // others hear of it by an event, so that it must be written
}

// write hands a change to the store and tries again until it, or a newer one of
// the same row, is committed. tells is what others hear of it: its status, mostly. Of
// changes that keep that only the last in a transaction is written; each that does not
// is an event that somebody may wait for. then, if not nil, runs in the session's
// goroutine after that commit.
func (s *session) write(r *row, what, tells string, do func(*store.Tx) error, then func()) {
	r.issued++
	if then == nil {
		then = func() {}
	}
	told := r.tells != tells
	r.tells = tells
	s.queue(&change{row: r, seq: r.issued, what: what, do: do, then: then, told: told})
}

func (s *session) queue(c *change) {
	s.writing++
	done := func(err error) {
		s.inbox.put(func() {
			s.writing--
			s.wrote(c, err)
		})
	}
	if c.told {
		s.m.o.DB.Show(&c.row.stored, c.do, done)
		return
	}
	s.m.o.DB.Replace(&c.row.stored, c.do, done)
}

// wrote handles what became of a write.
func (s *session) wrote(c *change, err error) {
	if err == nil {
		c.row.committed = max(c.row.committed, c.seq)
		c.then()
		if c.row.committed == c.row.issued {
			overtaken := c.row.overtaken
			c.row.overtaken = nil
			for _, then := range overtaken {
				then()
			}
		}
		return
	}
	// A database that is full or locked may come back, and the row must not be
	// lost: the journal on disk covers a crash meanwhile.
	s.m.metrics.writeFailures.Inc()
	s.log.Error("state was not stored, trying again in a second", "what", c.what, "call", s.root().call.ID, "error", err)
	s.writing++
	s.clock.after(retryWrite, func() {
		s.writing--
		s.again(c)
	})
}

// again tries a write again, unless a newer one of the row says more: that one
// is on its way, or there already.
func (s *session) again(c *change) {
	switch {
	case c.row.committed > c.seq:
		c.then()
	case c.row.issued > c.seq:
		c.row.overtaken = append(c.row.overtaken, c.then)
	case s.m.ending():
		// The server ends: the start-up reconciliation does the rest.
	default:
		s.queue(c)
	}
}
