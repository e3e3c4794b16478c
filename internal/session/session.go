package session

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
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

	legs    []*leg  // the root first, then those whose end is not stored yet
	takes   []*take // the recordings whose end is not stored yet
	writing int     // writes handed to the store, or waiting to be tried again
}

// start makes a session for the channel. The caller adds the root leg in first
// and must have been admitted.
func (m *Manager) start(channel voice.Channel, first func(*session)) *session {
	s := &session{
		m: m, log: m.log, channel: channel,
		inbox: newMailbox(), clock: newAlarms(), done: make(chan struct{}),
	}
	go s.run(first)
	return s
}

// run is the session's goroutine. It ends when every leg has ended, every
// capture is closed and every write is committed.
func (s *session) run(first func(*session)) {
	defer s.m.leave()
	defer close(s.done)
	defer s.clock.timer.Stop()
	// Before the loop: hangupAll must find the root leg, however early it comes.
	s.guard(func() { first(s) })
	stop := s.m.closing
	for !s.over() || !s.inbox.close() {
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
	}
}

// guard runs one message. A fault in it ends this session's calls and no
// other's; what was captured is kept.
func (s *session) guard(message func()) {
	if !s.survives(message) {
		for _, l := range slices.Clone(s.legs) {
			s.survives(func() { s.giveUp(l) })
		}
	}
}

// survives runs f and reports whether it came to its end without a fault.
func (s *session) survives(f func()) (whole bool) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		s.m.metrics.faults.Inc()
		id := voice.CallID("")
		if len(s.legs) > 0 {
			id = s.root().call.ID
		}
		s.log.Error("call session broke off", "call", id, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
	}()
	f()
	return true
}

// giveUp ends a leg after a fault. One that has no dialog to tell of its end,
// or whose end is what broke off, is taken down here as far as it still stands.
func (s *session) giveUp(l *leg) {
	l.end.set(ending{source: voice.HangupByNone, code: 500, reason: "internal error"})
	if l.dialog != nil {
		s.quietly("hang up", l, l.dialog.Hangup(l.end.q850()))
		if !l.ended {
			return // the dialog says when it ended
		}
	}
	l.ended = true
	for _, t := range s.takes {
		if t.on == l || (t.spec.from == l && !t.begun) {
			s.survives(func() { s.stopTake(t, voice.EndCallEnded) })
		}
	}
	s.survives(func() { s.leaveWho(l) })
	if l.media != nil {
		s.quietly("close media", l, l.media.Close())
	}
	s.clock.drop(l.ring)
	s.clock.drop(l.limit)
	s.survives(func() { s.clear(l, "internal error") })
	s.survives(func() { s.dropFlow(l, "internal error") })
	if l.answered() {
		s.move(l, voice.CallCompleted)
		return
	}
	s.move(l, voice.CallFailed)
}

// hangupAll ends the session because the server ends.
func (s *session) hangupAll() {
	for _, l := range s.legs {
		s.hangup(l, ending{source: voice.HangupByNone, code: 503, reason: "server shutdown"})
	}
}

// over reports whether nothing of the session is left to be done.
func (s *session) over() bool {
	if s.writing > 0 {
		return false
	}
	for _, l := range s.legs {
		if !l.ended {
			return false
		}
	}
	for _, t := range s.takes {
		if !t.ending {
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

// quietly logs an error of an action that the session can do nothing about.
func (s *session) quietly(what string, l *leg, err error) {
	if err != nil {
		s.log.Warn(what+" failed", "call", l.call.ID, "error", err)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
