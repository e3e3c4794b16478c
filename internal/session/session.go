package session

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// session is a root call and every call bridged under it. Everything below
// belongs to the goroutine in run; others put messages into the inbox.
type session struct {
	m       *Manager
	log     *slog.Logger
	channel voice.Channel
	inbox   *mailbox
	clock   *alarms
	done    chan struct{} // closed by run when the session has ended; nobody sends

	legs    []*leg  // every leg that ever was, the root first
	takes   []*take // every recording that was asked for
	writing int     // writes handed to the store that were not answered yet
}

// start makes a session for the channel. The caller adds the root leg in first
// and must have been admitted.
func (m *Manager) start(channel voice.Channel, first func(*session)) {
	s := &session{
		m: m, log: m.log, channel: channel,
		inbox: newMailbox(), clock: newAlarms(), done: make(chan struct{}),
	}
	s.inbox.put(func() { first(s) })
	go s.run()
}

// run is the session's goroutine. It ends when every leg has ended, every
// capture is closed and every write is committed.
func (s *session) run() {
	defer s.m.leave()
	defer close(s.done)
	defer s.clock.timer.Stop()
	stop := s.m.closing
	for {
		select {
		case <-s.inbox.bell:
			for _, message := range s.inbox.take() {
				s.guard(message)
			}
		case <-s.clock.timer.C:
			s.guard(s.clock.ring)
		case <-stop:
			stop = nil
			s.guard(s.hangupAll)
		}
		if s.over() && s.inbox.close() {
			return
		}
	}
}

// guard runs one message. A fault in it ends this session's calls and no
// other's; what was captured is kept.
func (s *session) guard(message func()) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		s.m.metrics.faults.Inc()
		s.log.Error("call session broke off", "call", s.root().call.ID, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		for _, l := range s.legs {
			l.end.set(ending{source: voice.HangupByNone, code: 500, reason: "internal error"})
			if l.dialog != nil && !l.ended {
				s.quietly("hang up", l, l.dialog.Hangup(l.end.q850()))
			}
		}
	}()
	message()
}

// hangupAll ends the session because the server ends.
func (s *session) hangupAll() {
	for _, l := range s.legs {
		s.hangup(l, ending{source: voice.HangupByNone, code: 503, reason: "server shutdown"})
	}
}

// over reports whether nothing of the session is left to be done.
func (s *session) over() bool {
	if s.writing > 0 || len(s.legs) == 0 {
		return false
	}
	for _, l := range s.legs {
		if !l.ended {
			return false
		}
	}
	for _, t := range s.takes {
		if !t.settled {
			return false
		}
	}
	return true
}

func (s *session) root() *leg { return s.legs[0] }

func (s *session) leg(id voice.CallID) *leg {
	for _, l := range s.legs {
		if l.call.ID == id {
			return l
		}
	}
	return nil
}

func (s *session) newID() string { return store.NewID() }

// now is the session clock.
func (s *session) now() time.Duration { return s.m.o.Now() }

// write hands a change to the store and tries again until it is committed.
// then, if not nil, runs in the session's goroutine after the commit.
func (s *session) write(what string, change func(*store.Tx) error, then func()) {
	s.writing++
	s.m.o.DB.Queue(change, func(err error) {
		s.inbox.put(func() {
			s.writing--
			if err == nil {
				if then != nil {
					then()
				}
				return
			}
			// A database that is full or locked may come back, and the row
			// must not be lost: the journal on disk covers a crash meanwhile.
			s.m.metrics.writeFailures.Inc()
			s.log.Error("state was not stored, trying again in a second", "what", what, "call", s.root().call.ID, "error", err)
			select {
			case <-s.m.closing:
				return // the server ends: the start-up reconciliation does the rest
			default:
			}
			s.writing++
			s.clock.after(time.Second, func() {
				s.writing--
				s.write(what, change, then)
			})
		})
	})
}

// quietly logs an error of an action that the session can do nothing about.
func (s *session) quietly(what string, l *leg, err error) {
	if err != nil {
		s.log.Warn(what+" failed", "call", l.call.ID, "error", err)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
