package session

import (
	"errors"
	"strings"

	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/voice"
)

// Incoming takes over a call that dispatch found a channel for. It answers the
// dialog in every case.
func (m *Manager) Incoming(d *sip.Dialog, channel voice.Channel) error {
	if err := m.admit(); err != nil {
		return errors.Join(err, d.Reject(503, "Service Unavailable"))
	}
	r := d.Request()
	called := r.URIUser
	if strings.EqualFold(called, string(channel.ID)) {
		called = channel.Number
	}
	call := voice.Call{
		From: caller(r), To: called, Type: kindOf(caller(r)),
		Direction: voice.Incoming, Status: voice.CallStarting, UserAgent: r.UserAgent,
		RingTimeout: channel.Inbound.RingTime(),
		MaxDuration: defaultBridgeMaxDuration, // a call that it is bridged with may last as long
	}
	m.start(channel, func(s *session) {
		call.ID = voice.CallID(s.newID())
		s.incoming(s.join(call), d)
	})
	return nil
}

// caller is the number or, where there is none, the SIP URI of who calls.
func caller(r sip.Request) string {
	if isNumber(r.FromUser) {
		return r.FromUser
	}
	if r.FromURI != "" {
		return r.FromURI
	}
	return "anonymous"
}

func (s *session) incoming(l *leg, d *sip.Dialog) {
	l.dialog = d
	d.Bind(func(e sip.Event) { s.inbox.put(func() { s.onSIP(l, e) }) })
	s.log.Info("call starting", "call", l.call.ID, "from", l.call.From, "to", l.call.To, "source", d.Request().Source, "transport", d.Request().Transport)

	if err := s.openMedia(l, nil); err != nil {
		s.log.Error("no media port for a call", "call", l.call.ID, "error", err)
		s.hangup(l, ending{source: voice.HangupByNone, code: 503, reason: "no media port is free"})
		return
	}
	if err := s.prepareReply(l); err != nil {
		// RFC 3261 §21.4.26: an offer that cannot be met is 488; a body that
		// is no description at all is 400.
		code := 488
		if errors.Is(err, sdp.ErrMalformed) {
			code = 400
		}
		s.hangup(l, ending{source: voice.HangupByNone, code: code, reason: err.Error()})
		return
	}
	if flow := s.channel.Inbound.Flow; len(flow) > 0 {
		s.startFlow(l, voice.Expand(flow, l.call.From, l.call.To))
		s.next(l)
		return
	}
	s.quietly("ring", l, s.ringing(l))
	s.awaitDecision(l)
}

// prepareReply works out our answer to the INVITE's offer, to be sent when the
// call is answered.
func (s *session) prepareReply(l *leg) error {
	offer := l.dialog.Request().SDP
	if len(offer) == 0 {
		l.offerless = true
		return nil
	}
	reply, stream, err := l.offer.Answer(offer, sdp.SendRecv)
	if err != nil {
		return err
	}
	l.reply, l.stream = reply, stream
	return nil
}

// awaitDecision turns the call away when nobody decides on it in time.
func (s *session) awaitDecision(l *leg) {
	if l.answered() || l.ring != nil {
		return
	}
	l.ring = s.clock.after(l.call.RingTimeout, func() {
		if !l.answered() && l.bridge == nil {
			s.hangup(l, ending{source: voice.HangupByTimeout, code: 480, reason: "nobody answered in time"})
		}
		l.ring = nil
	})
}

// ringing tells the caller that it rings.
func (s *session) ringing(l *leg) error {
	if l.early {
		return nil
	}
	if err := l.dialog.Progress(180, nil); err != nil {
		return err
	}
	s.move(l, voice.CallRinging)
	s.begin(l, atRinging)
	return nil
}

// answer answers an incoming call and opens its audio.
func (s *session) answer(l *leg) error {
	if l.answered() {
		return nil
	}
	body := l.reply
	if l.offerless {
		// RFC 3264 §5 by way of RFC 3261 §13.2.1: no offer in the INVITE, so
		// ours goes with the 200 and the answer comes with the ACK.
		offer, err := l.offer.Offer(sdp.SendRecv)
		if err != nil {
			return err
		}
		body = offer
	} else if !l.open {
		if err := s.configure(l, l.stream); err != nil {
			return err
		}
	}
	if err := l.dialog.Answer(body); err != nil {
		return err
	}
	s.clock.drop(l.ring)
	l.ring = nil
	s.limitDuration(l)
	s.move(l, voice.CallOngoing)
	s.begin(l, atAnswer)
	return nil
}

// earlyMedia lets the caller hear what the far party sends before it answers
// (RFC 3960 §3).
func (s *session) earlyMedia(l *leg) error {
	if l.answered() || l.early || l.offerless {
		return nil
	}
	if err := s.configure(l, l.stream); err != nil {
		return err
	}
	if err := l.dialog.Progress(183, l.reply); err != nil {
		return err
	}
	l.early = true
	s.move(l, voice.CallRinging)
	s.begin(l, atRinging)
	return nil
}

// onSIP handles what the leg's dialog has to say, in wire order.
func (s *session) onSIP(l *leg, event sip.Event) {
	switch e := event.(type) {
	case sip.Ringing:
		s.onRinging(l, e)
	case sip.Answered:
		s.onAnswered(l, e)
	case sip.Confirmed:
		s.onConfirmed(l, e)
	case sip.Offered:
		s.onOffered(l, e)
	case sip.Reanswered:
		if len(e.SDP) > 0 && !l.ended {
			s.acceptAnswer(l, e.SDP)
		}
	case sip.ReofferFailed:
		l.offer.Withdraw()
		s.log.Warn("party refused a new offer; the old session stays", "call", l.call.ID, "code", e.Code)
	case sip.Info:
		s.onKey(l, e.Key)
	case sip.Ended:
		s.finish(l, e)
	}
}

// onConfirmed takes the ACK. It carries the answer where the offer was ours.
func (s *session) onConfirmed(l *leg, e sip.Confirmed) {
	switch {
	case l.ended:
	case len(e.SDP) > 0:
		s.acceptAnswer(l, e.SDP)
	case l.offerless && !l.open:
		// RFC 3261 §13.2.1: the answer must be in the ACK. Without it nobody
		// would ever hear anything, and no timer would end the call.
		s.hangup(l, ending{source: voice.HangupByNone, code: 488, reason: "the party answered our offer with nothing"})
	default:
		l.offer.Withdraw() // of a re-INVITE; what was agreed before stands
	}
}

// acceptAnswer takes the answer to an offer of ours. One that cannot be met
// ends the call (RFC 3261 §13.2.2.4). It reports whether it was met.
func (s *session) acceptAnswer(l *leg, body []byte) bool {
	n, err := l.offer.Accept(body)
	if err == nil {
		err = s.configure(l, n)
	}
	if err == nil && l.bridge != nil && l.answered() {
		err = s.connect(l.bridge) // the near leg's answer may come after the far one's
	}
	if err != nil {
		s.log.Warn("party's answer cannot be used", "call", l.call.ID, "error", err)
		s.hangup(l, ending{source: voice.HangupByNone, code: 488, reason: err.Error()})
		return false
	}
	if l.call.Direction == voice.Incoming {
		s.next(l) // what needs audio has waited for it
	}
	return true
}

// onOffered answers a re-INVITE or UPDATE: hold, resume, another address or
// codec (RFC 3264 §8). An offer that we cannot meet leaves the session as it
// is (RFC 3261 §14.2).
func (s *session) onOffered(l *leg, e sip.Offered) {
	if l.ended {
		return
	}
	if len(e.SDP) == 0 {
		offer, err := l.offer.Offer(sdp.SendRecv)
		if err == nil {
			err = l.dialog.AcceptOffer(offer)
		}
		s.quietly("offer on request", l, err)
		return
	}
	reply, stream, err := l.offer.Answer(e.SDP, sdp.SendRecv)
	if err != nil {
		s.log.Warn("party's new offer cannot be met", "call", l.call.ID, "error", err)
		s.quietly("refuse offer", l, l.dialog.RefuseOffer(488))
		return
	}
	if err := s.configure(l, stream); err != nil {
		s.log.Error("media of a new offer failed", "call", l.call.ID, "error", err)
		s.quietly("refuse offer", l, l.dialog.RefuseOffer(500))
		return
	}
	l.reply = reply
	s.quietly("answer offer", l, l.dialog.AcceptOffer(reply))
}

// limitDuration hangs the leg up when it has lasted as long as it may.
func (s *session) limitDuration(l *leg) {
	if l.call.MaxDuration <= 0 {
		return
	}
	l.limit = s.clock.after(l.call.MaxDuration, func() {
		s.hangup(l, ending{source: voice.HangupByTimeout, reason: "longest duration reached"})
	})
}
