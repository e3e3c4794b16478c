package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// NewCall is a call to be placed.
type NewCall struct {
	Channel         voice.Channel
	To, From        string        // From empty = the channel's number
	RingTimeout     time.Duration // 0 = 30 s
	MaxDuration     time.Duration // 0 = 4 h
	Tags            []string
	NotificationURL string
	Order           voice.CallOrder // what the call does
	ScheduledFor    time.Time       // zero = now; see Schedule
}

// Defaults of a call that names no limit (contract: create and bridge).
const (
	defaultMaxDuration       = 14400 * time.Second
	defaultBridgeMaxDuration = 28800 * time.Second
)

// call is what the request makes, and where it is to be sent.
func (n *NewCall) call() (voice.Call, destination, error) {
	to, err := target(&n.Channel, n.To)
	if err != nil {
		return voice.Call{}, to, err
	}
	from := n.From
	if from == "" && n.Channel.Number != voice.AnyNumber {
		from = n.Channel.Number
	}
	return voice.Call{
		From: from, To: n.To, Type: to.kind,
		Direction: voice.Outgoing, Status: voice.CallAccepted,
		RingTimeout: orDefault(n.RingTimeout, voice.DefaultRingTimeout),
		MaxDuration: orDefault(n.MaxDuration, defaultMaxDuration),
		Tags:        n.Tags, NotificationURL: n.NotificationURL, ScheduledFor: n.ScheduledFor,
	}, to, nil
}

// Dial places a call. It returns as soon as the call is accepted; what becomes
// of it is read from the call. Errors are *voice.Error: validation_failed,
// unavailable.
func (m *Manager) Dial(ctx context.Context, n NewCall) (voice.Call, error) {
	call, to, err := n.call()
	if err != nil {
		return voice.Call{}, err
	}
	if n.Order.Record {
		if err := m.room(); err != nil {
			return voice.Call{}, err
		}
	}
	if err := m.admit(); err != nil {
		return voice.Call{}, err
	}
	call.ID = voice.CallID(store.NewID())
	return m.place(ctx, n.Channel, call, n.Order, to)
}

// place starts the session of an outgoing call that was admitted.
func (m *Manager) place(ctx context.Context, ch voice.Channel, call voice.Call, order voice.CallOrder, to destination) (voice.Call, error) {
	accepted := make(chan voice.Call, 1) // sent to once, by the session's first message
	s := m.start(ch, func(s *session) {
		l := s.join(call)
		l.order = order
		s.startFlow(l, order.Flow)
		accepted <- l.call
		if order.Record {
			s.recordFor(l, takeSpec{
				origin: voice.OriginCreateCall, stereo: order.Stereo,
				from: l, trigger: triggerOf(order.RecordStart),
			})
		}
		s.dial(l, to, nil)
	})
	select {
	case call := <-accepted:
		return call, nil
	case <-ctx.Done():
		return voice.Call{}, ctx.Err()
	case <-s.done:
		select {
		case call := <-accepted:
			return call, nil
		default:
			return voice.Call{}, errors.New("session: the call broke off before it was accepted")
		}
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// dial sends the INVITE of an outgoing leg. near is the leg that it will be
// bridged with, or nil.
func (s *session) dial(l *leg, to destination, near *leg) {
	if err := s.openMedia(l, near); err != nil {
		s.log.Error("no media port for a call", "call", l.call.ID, "error", err)
		s.hangup(l, ending{source: voice.HangupByNone, code: 503, reason: "no media port is free"})
		return
	}
	if near != nil && near.stream.Send.Name != "" {
		l.offer.Prefer(near.stream.Send.Name) // so that nothing need be transcoded
	}
	body, err := l.offer.Offer(sdp.SendRecv)
	if err == nil {
		l.dialog, err = s.m.o.Agent.Invite(sip.InviteOptions{
			To: to.uri, From: userOf(l.call.From), SDP: body,
			Username: to.username, Password: to.password,
			MaxForwards: hops(near),
		}, func(e sip.Event) { s.inbox.put(func() { s.onSIP(l, e) }) })
	}
	if err != nil {
		s.log.Warn("call cannot be placed", "call", l.call.ID, "to", l.call.To, "error", err)
		s.hangup(l, ending{source: voice.HangupByNone, code: 503, reason: err.Error()})
		return
	}
	l.invited = time.Now()
	s.move(l, voice.CallStarting)
	l.ring = s.clock.after(l.call.RingTimeout, func() {
		l.ring = nil
		if !l.answered() {
			s.hangup(l, ending{source: voice.HangupByTimeout, code: 408, reason: "nobody answered in time"})
		}
	})
}

// hops is the Max-Forwards of a call made on behalf of the near one, so that a
// loop of bridges ends (RFC 3261 §16.6); 0 leaves it to the SIP agent.
func hops(near *leg) int {
	if near == nil || near.call.Direction != voice.Incoming {
		return 0
	}
	return near.dialog.Request().MaxForwards - 1
}

// spent reports whether the near call has come by so many hops that no further
// one is allowed (RFC 3261 §16.3).
func spent(near *leg) bool {
	return near.call.Direction == voice.Incoming && hops(near) < 1
}

// userOf is the user part to call as. A full SIP URI is cut to its user.
func userOf(from string) string {
	if !isSIP(from) {
		return from
	}
	user, _, found := strings.Cut(from[4:], "@")
	if !found {
		return "anonymous"
	}
	return user
}

// onRinging is a provisional answer of the party that we call.
func (s *session) onRinging(l *leg, e sip.Ringing) {
	if l.ended || l.end.decided || l.answered() {
		return
	}
	s.move(l, voice.CallRinging)
	s.begin(l, atRinging)
	s.next(l) // a flow may begin with the ringing
	b := l.bridge
	if b == nil && !l.ended && len(e.SDP) > 0 {
		s.quietly("early media", l, s.early(l, e.SDP)) // a recording from the ringing on keeps it
	}
	if b == nil || b.far != l || l.ended {
		return
	}
	if len(e.SDP) == 0 || b.whispers() {
		if len(e.SDP) > 0 {
			s.quietly("early media", l, s.early(l, e.SDP))
		}
		if b.near.call.Direction == voice.Incoming && !b.near.answered() {
			s.quietly("ring", b.near, s.ringing(b.near))
		}
		return
	}
	err := s.early(l, e.SDP)
	if err == nil && b.near.call.Direction == voice.Incoming {
		err = s.earlyMedia(b.near)
	}
	if err == nil && b.near.open {
		err = s.connect(b)
	}
	s.quietly("early media", l, err)
}

// early takes the answer that came with a provisional one.
func (s *session) early(l *leg, body []byte) error {
	n, err := l.offer.Accept(body)
	if err != nil {
		return err
	}
	return s.configure(l, n)
}

// onAnswered is the 200 of the party that we call.
func (s *session) onAnswered(l *leg, e sip.Answered) {
	if l.ended || l.end.decided { // decided: it crossed our hangup
		return
	}
	s.clock.drop(l.ring)
	l.ring = nil
	l.call.UserAgent = e.UserAgent
	if len(e.SDP) > 0 || !l.open { // else the answer came with a 183 before
		if !s.acceptAnswer(l, e.SDP) {
			return
		}
	}
	s.move(l, voice.CallOngoing)
	s.limitDuration(l)
	s.askWho(l)
	if b := l.bridge; b != nil && b.far == l && !s.farAnswered(b) {
		return
	}
	s.begin(l, atAnswer)
	s.sendKeys(l)
	s.next(l)
}
