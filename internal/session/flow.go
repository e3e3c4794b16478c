package session

import (
	"tapedeck/internal/flow"
	"tapedeck/internal/voice"
)

// flowRun is a call flow on its way.
type flowRun struct {
	id      voice.FlowID
	steps   []voice.FlowCommand
	ids     []voice.CommandID
	next    int             // the step that comes next
	waiting voice.CommandID // the command that must end first; empty = none
	alarm   *alarm          // of a pause
}

// startFlow gives the leg a call flow, in the place of the one it may have.
// advance runs it.
func (s *session) startFlow(l *leg, steps []voice.FlowCommand) {
	s.dropFlow(l)
	if len(steps) == 0 {
		return
	}
	f := &flowRun{id: voice.FlowID(s.newID()), steps: steps}
	l.flow, l.call.FlowID = f, f.id
	for _, step := range steps {
		f.ids = append(f.ids, s.accept(l, step.Command, f.id, step.Conditions).ID)
	}
}

// dropFlow gives up the leg's flow. What did not run is skipped.
func (s *session) dropFlow(l *leg) {
	f := l.flow
	if f == nil {
		return
	}
	l.flow = nil
	s.clock.drop(f.alarm)
	if f.alarm != nil {
		s.command(l, f.waiting, voice.CommandFailed) // a pause that was cut short
	}
	for _, id := range f.ids[f.next:] {
		s.command(l, id, voice.CommandSkipped)
	}
}

// advance runs the leg's flow until a command must be waited for. The flow of
// an outgoing call begins when it is answered.
func (s *session) advance(l *leg) {
	f := l.flow
	if f == nil || (l.call.Direction == voice.Outgoing && !l.answered()) {
		return
	}
	for l.flow == f && f.waiting == "" && !l.ended && !l.end.decided {
		if f.next == len(f.steps) {
			l.flow = nil
			if l.call.Direction == voice.Incoming {
				s.awaitDecision(l)
			}
			return
		}
		step, id := f.steps[f.next], f.ids[f.next]
		f.next++
		if !flow.Holds(step.Conditions, flow.Values{}) { // nothing is gathered from a caller yet
			s.command(l, id, voice.CommandSkipped)
			continue
		}
		s.step(l, f, id, step.Command)
	}
}

// step runs one command of a flow. One that does not fit any more (an answer
// to an answered call) has nothing to do and is completed.
func (s *session) step(l *leg, f *flowRun, id voice.CommandID, c voice.Command) {
	switch c := c.(type) {
	case *voice.Pause:
		f.waiting = id
		s.command(l, id, voice.CommandOngoing)
		f.alarm = s.clock.after(seconds(c.Length), func() {
			f.alarm = nil
			s.command(l, id, voice.CommandCompleted)
			s.resumeFlow(l, id)
		})
		return
	case *voice.Answer, *voice.Ringing:
		if s.fits(l, c) != nil {
			s.command(l, id, voice.CommandCompleted)
			return
		}
	case *voice.Bridge:
		if err := s.fits(l, c); err != nil {
			s.log.Warn("command failed", "call", l.call.ID, "command", c.Kind(), "error", err)
			s.command(l, id, voice.CommandFailed)
			return
		}
		f.waiting = id // before it runs: it may end at once
		if _, err := s.bridge(l, id, c); err != nil {
			f.waiting = ""
			s.log.Warn("command failed", "call", l.call.ID, "command", c.Kind(), "error", err)
			s.command(l, id, voice.CommandFailed)
			s.refuseWithoutBridge(l, c, err)
		}
		return
	}
	s.execute(l, id, c)
}

// refuseWithoutBridge ends a call whose bridge could not even be tried, as it
// would end after a bridge that failed.
func (s *session) refuseWithoutBridge(l *leg, b *voice.Bridge, why error) {
	if !b.EndsNear() {
		return
	}
	code := 404
	switch {
	case spent(l):
		code = 483 // RFC 3261 §21.4.21
	case voice.CodeOf(why) == voice.CodeUnavailable:
		code = 503
	}
	s.hangup(l, ending{source: voice.HangupByNone, code: code, reason: "the party to bridge with cannot be called: " + b.To})
}

// resumeFlow goes on with the leg's flow if it waited for the command. It
// reports whether it did.
func (s *session) resumeFlow(l *leg, id voice.CommandID) bool {
	f := l.flow
	if f == nil || f.waiting != id {
		return false
	}
	f.waiting = ""
	s.advance(l)
	return true
}
