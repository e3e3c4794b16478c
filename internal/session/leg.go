package session

import (
	"slices"
	"time"

	"tapedeck/internal/flow"
	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// leg is the live thing behind a call: a SIP dialog and an RTP stream pair.
type leg struct {
	call   voice.Call
	row    row
	handle *handle
	past   []voice.Recording // of this call, whose end is stored; the oldest first

	dialog    *sip.Dialog
	offer     *sdp.Negotiator
	media     *media.Leg
	stream    sdp.Negotiated
	open      bool   // media is configured: audio flows
	reply     []byte // our answer to the INVITE's offer
	offerless bool   // the INVITE had no offer: ours went with the 200
	early     bool   // the reply went out with a 183
	speaks    bool   // we played something to the party

	order   voice.CallOrder // what a call that we place is to do
	invited time.Time       // when we placed it; zero = it came in

	bridge   *bridge
	flow     *flowRun
	heard    flow.Values // by the gathers so far
	slot     *turn       // the command that makes a sound or listens; nil = none
	line     []*turn     // those that wait for it
	plays    uint64      // the number of what was played last
	ears     []media.Listener
	answerer *answerer // finds out who has answered; nil = nobody asks, or it is known
	ring     *alarm    // ring timeout
	limit    *alarm    // longest duration

	end   end
	ended bool
}

// ending says why we end a leg, or how it ended.
type ending struct {
	source voice.HangupSource
	code   int // SIP status for a leg that was not answered
	cause  int // Q.850 cause to pass on; 0 = the one that goes with the code
	reason string
}

// end keeps the first ending that was decided on.
type end struct {
	ending
	decided bool
}

func (e *end) set(why ending) {
	if !e.decided {
		e.ending, e.decided = why, true
	}
}

// q850 is the cause that the ending is told with.
func (e *end) q850() int {
	if e.code == 0 || e.source == voice.HangupByAPI {
		return 16 // normal call clearing
	}
	if e.cause != 0 {
		return e.cause
	}
	return sip.StatusQ850(e.code)
}

func (l *leg) answered() bool { return !l.call.AnsweredAt.IsZero() }

// party is the address of whom the leg talks to, for the recording.
func (l *leg) party() string { return l.call.Near() }

// role is the part of the leg's party: who called is the caller.
func (l *leg) role() voice.Role {
	if l.call.Direction == voice.Incoming {
		return voice.RoleCaller
	}
	return voice.RoleCallee
}

// codecs are what the party may send, as the journal wants them.
func (l *leg) codecs() []recorder.Codec {
	out := make([]recorder.Codec, 0, len(l.stream.Receive))
	for _, c := range l.stream.Receive {
		out = append(out, recorder.Codec{PT: c.PT, Name: c.Name, ClockRate: c.ClockRate, SampleRate: c.SampleRate, Channels: c.Channels})
	}
	return out
}

// join adds a leg to the session and makes its call known and stored.
func (s *session) join(call voice.Call) *leg {
	call.Workspace, call.Channel = s.channel.Workspace, s.channel.ID
	if call.CreatedAt.IsZero() { // else it was scheduled
		call.CreatedAt = time.Now().UTC()
	}
	l := &leg{call: call}
	l.handle = s.m.add(s, call)
	s.legs = append(s.legs, l)
	s.m.metrics.calls.WithLabelValues(string(call.Direction)).Inc()
	s.save(l)
	return l
}

// openMedia gives the leg its ports.
func (s *session) openMedia(l *leg, near *leg) error {
	o := media.LegOptions{Name: string(l.call.ID), Timeout: s.m.o.MediaTimeout}
	if near != nil {
		o.Near = near.media
	}
	o.Notify = func(e media.Event) { s.inbox.put(func() { s.onMedia(l, e) }) }
	m, err := s.m.o.Media.Open(o)
	if err != nil {
		return err
	}
	l.media = m
	// For who has no telephone-events; it takes nothing where they are agreed on.
	m.HearKeysLater(true)
	l.offer = sdp.New(sdp.Options{Addr: m.Addr(), Codecs: s.codecsOf(), Accepts: noises()})
	return nil
}

// move puts the call into a status, with its time. A step back is ignored: a
// late 180 after the 200 says nothing new.
func (s *session) move(l *leg, to voice.CallStatus) {
	if !to.MayFollow(l.call.Status) {
		return
	}
	now := time.Now().UTC()
	l.call.Status = to
	if q := &l.call.Quality; q.PDD == 0 && !l.invited.IsZero() && (to == voice.CallRinging || to == voice.CallOngoing) {
		q.PDD = time.Since(l.invited)
	}
	switch to {
	case voice.CallRinging:
		l.call.RingingAt = now
	case voice.CallOngoing:
		l.call.AnsweredAt = now
	}
	if to.Terminal() {
		l.call.EndedAt = now
	}
	s.log.Info("call "+string(to), "call", l.call.ID, "from", l.call.From, "to", l.call.To)
	s.save(l)
}

// save publishes the call's snapshot and hands it to the store.
func (s *session) save(l *leg) {
	l.call.UpdatedAt = time.Now().UTC()
	call := l.call
	l.handle.call.Store(&call)
	tells := string(call.Status)
	if call.AMD != nil {
		tells += ", who answered"
	}
	s.write(&l.row, "call", tells, func(tx *store.Tx) error { return tx.PutCall(call) }, func() {
		if call.Status.Terminal() {
			s.forget(l) // from now on the store speaks for it
		}
	})
}

// forget lets go of a leg whose end is stored: a call may be bridged thousands
// of times in its life. The root stays, as the name of the session.
func (s *session) forget(l *leg) {
	s.m.remove(l.call.ID)
	s.legs = slices.DeleteFunc(s.legs, func(other *leg) bool { return other == l && l != s.root() })
}

// configure opens or changes the leg's audio after an offer and its answer.
func (s *session) configure(l *leg, n sdp.Negotiated) error {
	if n.Send.Name == "" {
		// The peer switched the stream off (RFC 3264 §8.2): what was agreed on
		// is kept for when it comes back.
		n.Send, n.Receive, n.Event = l.stream.Send, l.stream.Receive, l.stream.Event
	}
	for _, t := range s.takes {
		if track := t.spoken[l]; track != nil {
			track.SetCodecs(s.now(), said(l.stream, n)) // before the first packet of it
		}
	}
	change := l.media.ConfigureLater
	if l.open {
		change = l.media.Configure // what plays goes on in the new format
	}
	if err := change(n); err != nil {
		return err
	}
	held := l.stream.Held
	l.stream, l.open = n, true
	for _, t := range s.takes {
		if track := t.tracks[l]; track != nil {
			track.SetCodecs(s.now(), l.codecs())
		}
		if t.begun && held != n.Held && t.covers(l) {
			t.capture.Held(s.now(), l.call.ID, n.Held)
		}
	}
	return nil
}

// onMedia handles what the media engine has to say of a leg.
func (s *session) onMedia(l *leg, e media.Event) {
	if l.ended {
		return
	}
	switch e.Kind {
	case media.TimedOut:
		s.log.Warn("party sends no media, hanging up", "call", l.call.ID, "after", s.m.o.MediaTimeout.String())
		s.hangup(l, ending{source: voice.HangupByMediaTimeout, code: 408, reason: "media timeout"})
	case media.Failed:
		s.m.metrics.faults.Inc()
		s.log.Error("media of a call broke off, hanging up", "call", l.call.ID)
		s.hangup(l, ending{source: voice.HangupByNone, code: 500, reason: "media failed"})
	case media.Digit:
		s.onKey(l, e.Digit)
	case media.Played:
		l.toneEnded(e.Play)
		if l.slot != nil {
			l.slot.act.played(e.Play, e.Cut)
		}
	default: // first packets are facts of the journal, not of the call
	}
}

// hangup ends a leg: by BYE, CANCEL or refusal, as its dialog stands. The rest
// happens when the dialog says that it ended.
func (s *session) hangup(l *leg, why ending) {
	if l.ended {
		return
	}
	l.end.set(why)
	if l.dialog == nil {
		s.finish(l, sip.Ended{By: sip.Local, Code: why.code, Q850: l.end.q850(), Reason: why.reason})
		return
	}
	if l.call.Direction == voice.Incoming && !l.answered() && why.code >= 300 {
		s.quietly("refuse call", l, l.dialog.Reject(why.code, ""))
		return
	}
	s.quietly("hang up", l, l.dialog.Hangup(l.end.q850()))
}

// finish is the end of a leg: its dialog is over.
func (s *session) finish(l *leg, e sip.Ended) {
	if l.ended {
		return
	}
	l.ended = true
	s.clock.drop(l.ring)
	s.clock.drop(l.limit)
	s.clear(l, ended)
	s.dropFlow(l, ended)

	c := &l.call
	c.HangupSource = l.hangupSource(e)
	c.HangupSIPCode, c.HangupCause = e.Code, e.Q850
	if l.end.decided && l.end.reason != "" {
		c.Reason = l.end.reason
	} else if e.Code >= 300 || e.By == sip.Timeout || e.By == sip.Transport {
		c.Reason = e.Reason
	}
	s.leaveWho(l)
	var heard media.Stats // as soon as its media is closed
	if l.media != nil {
		l.media.StatsLater(&heard)
	}
	status := l.endStatus(e)

	s.endTakes(l)
	s.endBridge(l, e)
	for _, t := range s.takes {
		t.drop(l, s.now())
	}
	if l.media != nil {
		s.quietly("close media", l, l.media.Close())
		c.Quality.MOS = voice.Opinion(heard.Received, heard.Lost, heard.Jitter)
	}
	s.move(l, status)
}

func (l *leg) hangupSource(e sip.Ended) voice.HangupSource {
	switch {
	case l.end.decided:
		return l.end.source
	case e.By == sip.Timeout:
		return voice.HangupByTimeout
	case e.By != sip.Remote:
		return voice.HangupByNone
	case l.call.Direction == voice.Incoming:
		return voice.HangupByCaller
	}
	return voice.HangupByCallee
}

// endStatus is the status of a call that ended so. An answered call is
// completed however it ended; for the others the final SIP code decides
// (RFC 3261 §21).
func (l *leg) endStatus(e sip.Ended) voice.CallStatus {
	switch {
	case l.answered():
		return voice.CallCompleted
	case l.call.Direction == voice.Outgoing && l.end.decided && l.end.source == voice.HangupByTimeout:
		return voice.CallNoAnswer
	case l.call.Direction == voice.Outgoing && l.end.decided && e.Code == 487:
		return voice.CallCancelled
	case l.call.Direction == voice.Outgoing && l.end.decided && e.Code == 200 && l.end.source != voice.HangupByNone:
		return voice.CallCancelled // its answer crossed our hangup
	}
	switch e.Code {
	case 486, 600, 603:
		return voice.CallBusy
	case 408, 480, 487:
		return voice.CallNoAnswer
	}
	return voice.CallFailed
}
