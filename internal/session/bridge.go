package session

import (
	"errors"

	"tapedeck/internal/media"
	"tapedeck/internal/sip"
	"tapedeck/internal/voice"
)

// bridge connects a near leg with the far leg that was called for it.
type bridge struct {
	near, far *leg
	spec      *voice.Bridge
	command   voice.CommandID // of the near call
	audio     *media.Bridge   // nil until they hear each other

	whisper *flowRun // the far party's flow, if a part of it runs before; nil = none, or it is over
	until   int      // how many of its steps
	tone    uint64   // the number of the ring tone that plays; 0 = none
}

// other is the far leg for the near one, and the other way round.
func (b *bridge) other(l *leg) *leg {
	if l == b.near {
		return b.far
	}
	return b.near
}

// bridge calls the far party. They are connected when it answers.
func (s *session) bridge(near *leg, id voice.CommandID, spec *voice.Bridge) (*leg, error) {
	to, err := target(&s.channel, spec.To)
	if err != nil {
		return nil, err
	}
	from := spec.From
	if from == "" {
		from = near.call.From
	}
	if err := s.m.draws(); err != nil {
		return nil, err
	}
	if spent(near) {
		return nil, notInState("The call came by too many hops: it cannot be bridged further")
	}
	call := voice.Call{
		ID: voice.CallID(s.newID()), Parent: near.call.ID,
		From: from, To: spec.To, Type: to.kind,
		Direction: voice.Outgoing, Status: voice.CallAccepted,
		RingTimeout: orDefault(seconds(spec.RingTimeout), voice.DefaultRingTimeout),
		MaxDuration: orDefault(seconds(spec.MaxDuration), defaultBridgeMaxDuration),
	}
	if spec.Notification != nil {
		call.NotificationURL = spec.Notification.URL
	}
	far := s.join(call)
	far.order.AMD = spec.AMD
	b := &bridge{near: near, far: far, spec: spec, command: id}
	near.bridge, far.bridge = b, b
	s.startFlow(far, spec.Flow)
	if b.until = whispered(spec.Flow); b.until > 0 {
		b.whisper = far.flow
	}
	if spec.Record {
		s.recordFor(near, takeSpec{
			origin: voice.OriginBridgeCall, stereo: spec.RecordStereo,
			from: far, trigger: triggerOf(spec.RecordStart),
		})
	}
	s.amend(near, id, func(c *voice.CommandResult) { c.Bridged = far.call.ID })
	s.command(near, id, voice.CommandOngoing, "")
	s.dial(far, to, near)
	s.ringTone(near)
	return far, nil
}

// draws reports why a running session may not place a further call.
func (m *Manager) draws() error {
	if m.Draining() {
		return &voice.Error{Code: voice.CodeUnavailable, Message: "The server is shutting down and places no new calls"}
	}
	return nil
}

// farAnswered connects the parties. An incoming near call that was not
// answered is answered now. It reports whether the bridge stands.
func (s *session) farAnswered(b *bridge) bool {
	err := error(nil)
	if b.near.call.Direction == voice.Incoming && !b.near.answered() {
		err = s.answer(b.near)
	}
	if err == nil {
		// First the recordings, then the bridge: what a party hears is in the file.
		s.begin(b.far, atAnswer)
		if b.whispers() {
			s.ringTone(b.near) // it is answered, and may hear it now
		}
		err = s.connect(b)
	}
	switch {
	case errors.Is(err, sip.ErrEnded):
		// The near party gave up at this moment. Its end is on its way to us, and
		// ends the far leg as it would have ended it a moment ago.
		return false
	case err != nil:
		s.log.Error("bridge failed", "call", b.near.call.ID, "far", b.far.call.ID, "error", err)
		s.hangup(b.far, ending{source: voice.HangupByNone, code: 500, reason: err.Error()})
		return false
	}
	return true
}

// connect lets the parties hear each other, as soon as both have audio.
func (s *session) connect(b *bridge) error {
	if b.audio != nil || !b.near.open || !b.far.open || b.whispers() {
		return nil
	}
	s.quiet(b.near)
	s.quiet(b.far)
	for _, t := range s.takes {
		t.add(b.near)
		t.add(b.far)
	}
	s.retap(b.near)
	s.retap(b.far)
	// Join waits for the worker that carries the packets, and with it for all that was
	// asked of it before. They count as bridged from before it, so that none that was
	// passed on is left out of the file.
	at := s.now()
	audio, err := s.m.o.Media.Join(b.near.media, b.far.media)
	if err != nil {
		return err
	}
	b.audio = audio
	s.log.Info("bridged", "call", b.near.call.ID, "far", b.far.call.ID, "audio", audio.String())
	for _, t := range s.takes {
		if t.begun && (t.covers(b.near) || t.covers(b.far)) {
			t.capture.Joined(at, b.near.call.ID, b.far.call.ID)
		}
	}
	s.next(b.near) // what waited in its line cannot be heard now, and says so
	// The far leg may be on its way through its flow: it is asked when it is there.
	s.inbox.put(func() { s.next(b.far) })
	return nil
}

// disconnect takes the parties apart.
func (s *session) disconnect(b *bridge) {
	if b.audio == nil {
		return
	}
	s.quietly("part bridge", b.near, b.audio.Close())
	b.audio = nil
	for _, t := range s.takes {
		if t.begun && !t.stopped && (t.on == b.near || t.on == b.far) {
			t.capture.Parted(s.now(), b.near.call.ID, b.far.call.ID)
		}
	}
}

// endBridge is what the end of a leg means for the leg that it was bridged
// with. When the near leg ends, the far one always ends; when the far leg
// ends, it depends on hangupAfterBridge.
func (s *session) endBridge(l *leg, e sip.Ended) {
	b := l.bridge
	if b == nil {
		return
	}
	s.disconnect(b)
	s.stopTone(b)
	b.near.bridge, b.far.bridge = nil, nil
	if l == b.near {
		s.bridgeEnded(b, ended)
		s.hangup(b.far, ending{source: l.call.HangupSource, code: 487, reason: "near call ended"})
		return
	}
	s.bridgeEnded(b, notReached(l))
	if b.near.ended {
		return
	}
	for _, t := range s.takes {
		t.drop(l, s.now())
	}
	s.retap(b.near)
	if b.spec.EndsNear() {
		s.hangup(b.near, ending{source: l.call.HangupSource, code: passedOn(l, e), cause: e.Q850, reason: "far party ended the bridge"})
		return
	}
	if !s.resumeFlow(b.near, b.command) && b.near.call.Direction == voice.Incoming {
		s.awaitDecision(b.near)
	}
}

// bridgeEnded is how a bridge command ended: well, if the far party was reached,
// else for this reason.
func (s *session) bridgeEnded(b *bridge, reason string) {
	if b.far.answered() {
		s.command(b.near, b.command, voice.CommandCompleted, "")
		return
	}
	s.command(b.near, b.command, voice.CommandFailed, reason)
}

// notReached says why the far party was not reached.
func notReached(far *leg) string {
	if far.call.Reason == "" {
		return "the far party was not reached"
	}
	return "the far party was not reached: " + far.call.Reason
}

// passedOn is the status that a caller is refused with because the far party
// was not reached: the far party's own, as RFC 3261 §16.7 lets a proxy pass
// it on, or 480 where that one speaks of the far dialog only.
func passedOn(far *leg, e sip.Ended) int {
	switch {
	case far.answered(), e.Code < 400, e.Code == 401, e.Code == 407, e.Code == 408, e.Code == 487:
		return 480
	}
	return e.Code
}
