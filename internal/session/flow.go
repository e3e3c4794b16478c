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
}

// startFlow gives the leg a call flow, in the place of the one it may have. next
// runs it.
func (s *session) startFlow(l *leg, steps []voice.FlowCommand) {
	s.dropFlow(l, replaced)
	if len(steps) == 0 {
		return
	}
	f := &flowRun{id: voice.FlowID(s.newID()), steps: steps}
	l.flow, l.call.FlowID = f, f.id
	for _, step := range steps {
		f.ids = append(f.ids, s.note(l, step.Command, f.id, step.Conditions).ID)
	}
	s.save(l)
}

// dropFlow gives up the leg's flow. What did not run is skipped; what runs is in
// the slot or is a bridge, and does not end by this.
func (s *session) dropFlow(l *leg, reason string) {
	f := l.flow
	if f == nil {
		return
	}
	l.flow = nil
	for _, id := range f.ids[f.next:] {
		s.command(l, id, voice.CommandSkipped, reason)
	}
}

// flows reports whether the leg's flow may run: that of an outgoing call begins
// when it is answered, or rings.
func (l *leg) flows() bool {
	return l.call.Direction == voice.Incoming || l.answered() ||
		(l.order.FlowStart == voice.FlowFromRinging && l.call.Status == voice.CallRinging)
}

// advance takes the next step of the leg's flow. It reports false when there is
// none now: the flow has ended, or must wait.
func (s *session) advance(l *leg) bool {
	f := l.flow
	if f == nil {
		s.meet(l)
		return false
	}
	if f.waiting != "" || !l.flows() {
		return false
	}
	at, skipped := flow.Next(f.steps, f.next, l.heard)
	for _, i := range skipped {
		s.command(l, f.ids[i], voice.CommandSkipped, flow.Unmet(f.steps[i].Conditions, l.heard))
	}
	f.next = at
	if at == len(f.steps) || f.steps[at].Command.Kind() != voice.KindHangup {
		s.meet(l)
	}
	if l.end.decided {
		return false
	}
	if at == len(f.steps) {
		l.flow = nil
		if l.call.Direction == voice.Incoming {
			s.awaitDecision(l)
		}
		return false
	}
	if f.steps[at].Command.Kind() == voice.KindBridge && l.call.Direction == voice.Outgoing && !l.answered() {
		return false // it waits for the answer
	}
	f.next++
	s.step(l, f, f.ids[at], f.steps[at].Command)
	return true
}

// step runs one command of a flow. One that does not fit any more (an answer
// to an answered call) has nothing to do and is completed.
func (s *session) step(l *leg, f *flowRun, id voice.CommandID, c voice.Command) {
	if t := s.turnOf(l, id, c); t != nil {
		s.stepIn(l, f, t, c)
		return
	}
	switch c := c.(type) {
	case *voice.Answer, *voice.Ringing:
		if s.fits(l, c) != nil {
			s.command(l, id, voice.CommandCompleted, "")
			return
		}
	case *voice.Bridge:
		if err := s.fits(l, c); err != nil {
			s.failed(l, id, c, err)
			return
		}
		f.waiting = id // before it runs: it may end at once
		if _, err := s.bridge(l, id, c); err != nil {
			f.waiting = ""
			s.failed(l, id, c, err)
			s.refuseWithoutBridge(l, c, err)
		}
		return
	}
	s.execute(l, id, c)
}

// stepIn hands a step of a flow to the slot. What makes a sound or listens
// answers an incoming call first.
func (s *session) stepIn(l *leg, f *flowRun, t *turn, c voice.Command) {
	if !t.silent && l.call.Direction == voice.Incoming {
		if err := s.answer(l); err != nil {
			s.failed(l, t.id, c, err)
			return
		}
	}
	f.waiting = t.id
	l.queue(t)
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
	s.next(l)
	return true
}
