package media

import (
	"fmt"
	"net/netip"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// live is the part of a leg that its worker alone reads and writes.
//
// Between two packets of a leg nothing of it stays in the processor's caches, and each
// cache line that a packet touches is a wait for memory. So what the usual packet needs
// comes first, and together: the lines of out, of media and of the receiver's latch for
// one that goes to the leg's party, all of them for one that comes from it. What is
// needed now and then is aside, in memory of its own, so that legs lie close together.
type live struct {
	out rtp.Sender

	media      port // of RTP
	configured bool
	mux        bool // RTCP on the RTP port
	sends      bool // our direction sends, and the peer wants to hear
	receives   bool // our direction receives
	inBand     bool // keys are listened for in the audio
	started    bool // something was heard
	timedOut   bool // nothing has been for too long
	over       bool // the end has come; nothing is sent or passed on
	peer       *Leg // bridged with; nil = none
	w          *worker

	heard   time.Duration // newest packet, RTP or RTCP
	taps    taps
	audible *audience   // nil = nobody listens
	through *transcoder // from this leg to peer; nil = everything can be relayed
	usual   way         // from this leg to peer, of the payload type that came last

	in rtp.Receiver

	*aside
}

// aside is what the usual packet of a leg does not need.
type aside struct {
	timers [timerKinds]timer

	agreed sdp.Negotiated
	former []sdp.Codec // what the exchange before agreed on
	digits rtp.Digits

	bridge  *Bridge
	routes  routes        // from this leg to peer
	heardBy heardBy       // what transcoders of the past counted
	hush    codec.Encoder // of what we say ourselves; nil = not needed yet

	player    *player // nil = nothing is played
	monitor   monitor
	listeners []Listener
	followers []Listener // that a bridge does not end

	ptime     time.Duration // of comfort silence
	silenceAt time.Duration // when the next frame of it is due
	watchFrom time.Duration // silence of the peer counts from here at the earliest

	controlFrom netip.AddrPort // where the peer's RTCP comes from
	controlAt   time.Duration  // when the next report is due
	reported    bool           // a report was sent
	sentBefore  [2]uint64      // packets sent at the last two reports
	remote      remoteReport

	sentPast, octetsPast     uint64 // sent with a former clock rate
	unsent                   uint64
	overflow, oversize       uint64
	badControl, alienControl uint64
}

// taps are the taps of a leg; the zero value has none. The first is found without
// another place in memory.
type taps struct {
	tap  Tap
	next *taps
}

func tapsOf(list []Tap) (t taps) {
	for i := len(list) - 1; i >= 0; i-- {
		next := t
		t = taps{tap: list[i]}
		if next.tap != nil {
			t.next = &next
		}
	}
	return t
}

// all calls f with each.
func (t *taps) all(f func(Tap)) {
	for ; t != nil && t.tap != nil; t = t.next {
		f(t.tap)
	}
}

// arrive takes the leg over on a worker: the first, or after a move.
func (l *Leg) arrive(w *worker) error {
	if l.over {
		return ErrClosed
	}
	if err := w.add(l); err != nil {
		l.over = true
		return err
	}
	l.w = w
	if l.configured {
		at := w.now()
		l.arrangeComfort(at)
		l.arrangeAudience(at)
		l.arrangeWatch(at, false)
		w.wheel.arm(&l.timers[controlTimer], l.controlAt)
	}
	return nil
}

// configure takes the outcome of an exchange.
func (l *Leg) configure(n *sdp.Negotiated, at time.Duration) {
	first, was := !l.configured, l.agreed
	l.configured, l.agreed, l.former = true, *n, was.Receive
	l.mux = n.RTCPMux
	l.sends = n.Direction.Sends() && !n.Held
	l.receives = n.Direction.Receives()
	l.ptime = packetTime(n.Ptime, n.Send.Info)
	l.hush = nil

	l.in.SetFormats(formatsOf(n.Receive), at)
	l.in.SetRemote(n.Remote, at)
	if n.RemoteRTCP != was.RemoteRTCP || n.Remote != was.Remote {
		l.controlFrom = netip.AddrPort{}
	}
	if l.out.ClockRate() != n.Send.ClockRate {
		// RFC 7160 §4.1: another clock rate is another stream.
		ssrc, seq, start := randomStart()
		l.sentPast += l.out.Packets()
		l.octetsPast += l.out.Octets()
		l.out.Start(ssrc, seq, start, n.Send.ClockRate)
		l.sentBefore = [2]uint64{}
	} else if !l.sends || n.Send.PT != was.Send.PT {
		l.out.Break()
	}
	if l.peer != nil {
		l.route()
		l.peer.route()
	}
	l.arrangeComfort(at)
	l.arrangeAudience(at)
	l.arrangeWatch(at, true)
	if first {
		l.controlAt = at + reportInterval(true)
		l.w.wheel.arm(&l.timers[controlTimer], l.controlAt)
	}
}

// Packet times that we send with.
const (
	usualPtime = 20 * time.Millisecond
	leastPtime = 10 * time.Millisecond
	mostPtime  = 60 * time.Millisecond
)

// packetTime is the packet time that comes nearest to what the peer asks for, with
// a codec that has its own frames and a packet that need not be fragmented.
func packetTime(d time.Duration, c codec.Info) time.Duration {
	if d < leastPtime || d > mostPtime {
		d = usualPtime
	}
	d = d.Truncate(tick)
	if c.Is(codec.Opus) { // RFC 6716 §2.1.4: 10, 20, 40, 60 ms
		switch {
		case d < 20*time.Millisecond:
			d = 10 * time.Millisecond
		case d < 40*time.Millisecond:
			d = 20 * time.Millisecond
		case d < 60*time.Millisecond:
			d = 40 * time.Millisecond
		}
	}
	if c.Is(codec.L16) {
		for d > leastPtime && int(rtp.Units(d, c.SampleRate))*2*c.Channels > mostPayload {
			d -= leastPtime
		}
	}
	return d
}

func formatsOf(codecs []sdp.Codec) []rtp.Format {
	out := make([]rtp.Format, 0, len(codecs))
	for _, c := range codecs {
		kind := rtp.Audio
		switch {
		case c.Is(codec.Event):
			kind = rtp.Event
		case c.Is(codec.CN):
			kind = rtp.Noise
		}
		out = append(out, rtp.Format{PT: c.PT, Kind: kind, ClockRate: c.ClockRate})
	}
	return out
}

// read takes one datagram of the RTP port.
func (l *Leg) read(d *datagram, at time.Duration) {
	p := &l.w.packet
	verdict := l.in.Receive(p, d.data, d.from, at)
	if first := l.in.Released(); first != nil {
		l.take(first)
		l.w.flush() // the next packet that must show itself uses the same bytes
	}
	if verdict.Usable() {
		l.take(p)
	}
}

// take passes on one packet of the peer.
func (l *Leg) take(p *rtp.Received) {
	l.hear(p.Arrival)
	for t := &l.taps; t != nil && t.tap != nil; t = t.next {
		t.tap.Take(p)
	}
	if p.Verdict == rtp.Event {
		if digit, ok := l.digits.Read(p); ok {
			l.tell(Event{Kind: Digit, Digit: digit, At: p.Arrival})
		}
	}
	if !l.receives || p.Verdict == rtp.Duplicate {
		return
	}
	if l.audible == nil && l.wantsKeys() {
		l.openAudience(p.Arrival)
	}
	if l.audible != nil {
		l.audible.take(l, p) // before it is passed on, which may convert it in its place
	}
	if l.peer != nil {
		l.relay(p)
	}
}

// hear notes that the peer is alive.
func (l *Leg) hear(at time.Duration) {
	l.heard = max(l.heard, at)
	if l.started && !l.timedOut {
		return
	}
	again := l.timedOut
	l.started, l.timedOut = true, false
	l.tell(Event{Kind: Started, At: at})
	if again {
		l.arrangeWatch(at, false)
	}
}

func (l *Leg) tell(e Event) {
	if l.notify != nil {
		l.notify(e)
	}
}

// arrangeWatch arms or stops the media timeout. fresh: the time counts from now.
// It is off while our direction does not receive or the peer holds us.
func (l *Leg) arrangeWatch(at time.Duration, fresh bool) {
	t := &l.timers[watchTimer]
	if l.limit <= 0 || l.over || !l.receives || l.agreed.Held {
		l.w.wheel.cancel(t)
		return
	}
	if fresh && !t.armed() {
		l.watchFrom = at
	}
	if !l.timedOut {
		l.w.wheel.arm(t, max(l.heard, l.watchFrom)+l.limit)
	}
}

// watch looks whether the peer's media stopped.
func (l *Leg) watch(at time.Duration) {
	silent := at - max(l.heard, l.watchFrom)
	if silent < l.limit {
		l.w.wheel.arm(&l.timers[watchTimer], at-silent+l.limit)
		return
	}
	l.timedOut = true
	l.tell(Event{Kind: TimedOut, At: at})
}

// shut ends the leg on its worker, once.
func (l *Leg) shut(at time.Duration) {
	if l.over {
		return
	}
	l.over = true
	l.cutPlay(at)
	l.monitor.taps, l.audible = nil, nil
	if l.bridge != nil {
		l.bridge.part(at)
	}
	l.taps = taps{}
	l.sends = false
	if l.configured {
		l.report(at, true)
		l.w.flush()
	}
	if m := l.member; m != nil {
		m.of.leave(m)
	}
	l.w.remove(l)
	s := l.stats()
	l.w.gone.add(&s)
}

func (l *Leg) stats() Stats {
	c := l.in.Counts()
	ssrc, _ := l.in.SSRC()
	h := l.heardBy
	if l.through != nil {
		h.add(l.through)
	}
	return Stats{
		Remote: l.in.Source(), SSRC: ssrc,
		Received: c.Received, ReceivedOctets: c.Octets,
		Late: c.Late, Duplicate: c.Duplicate, Lost: l.in.Lost(),
		Foreign:   c.Foreign + l.alienControl,
		Malformed: c.Malformed + l.oversize + l.badControl,
		Unknown:   c.Unknown, Overflow: l.overflow, Jitter: l.in.Jitter(),
		Sent: l.sentPast + l.out.Packets(), SentOctets: l.octetsPast + l.out.Octets(), Unsent: l.unsent,
		Transcoded: h.made, Concealed: h.concealed, Missed: h.missed,
		RemoteLost: l.remote.lost, RemoteJitter: l.remote.jitter, RoundTrip: l.remote.roundTrip,
		LastHeard: l.heard,
	}
}

func (l *Leg) describe() string {
	if !l.configured {
		return fmt.Sprintf("RTP(-) %s", l.Addr())
	}
	s := fmt.Sprintf("RTP(%s/%d) %s ⇄ %s", l.agreed.Send.Name, l.agreed.Send.ClockRate, l.Addr(), l.in.Target())
	switch {
	case l.over:
		s += " → closed"
	case l.peer != nil:
		if t := l.through; t != nil && t.running {
			s += t.String()
		}
		s += " → bridge(" + l.peer.name + ")"
	case l.player != nil:
		s += " ← plays"
	case l.timers[comfortTimer].armed():
		s += " ← silence"
	}
	n := 0
	if l.taps.all(func(Tap) { n++ }); n > 0 {
		s += fmt.Sprintf(" → taps(%d)", n)
	}
	return s
}
