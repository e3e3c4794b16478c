package media

import (
	"fmt"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/jitter"
	"tapedeck/internal/rtp"
)

// transcoder lets the peer of a leg hear what the leg's party says in a format that
// the peer did not agree to:
//
//	packet → jitter.Buffer → decoder → resampler → encoder → packet of the peer's
//
// in packets of the peer's packet time. It belongs to the leg that speaks, and
// runs on the worker of both: packets come in by take, packets go out by tick. It
// runs from the first packet on that needs it, and as long as it runs everything
// that the party says goes through it; a packet that can be relayed again ends it,
// after what is in it has been sent, but not within a second of the end before.
type transcoder struct {
	from, to *Leg
	hearing
	epoch   uint32
	running bool
	due     time.Duration // when the next frame goes out

	drained time.Duration // when what was in here was sent on at once, newest time
	again   bool          // drained holds a time

	speaker speaker

	event      eventState
	eventUntil time.Duration // audio gives way to an event until then

	made uint64
}

// heardBy are the counters of transcoders.
type heardBy struct {
	made      uint64
	concealed time.Duration
	missed    uint64
}

func (h *heardBy) add(t *transcoder) {
	c := t.buffer.Counts()
	h.made += t.made
	h.concealed += c.Lost + t.concealed
	h.missed += c.Late + c.Skipped + c.Overflow
}

// speaker is what is sent to the peer.
type speaker struct {
	info    codec.Info
	fmtp    string // the peer's
	pt      uint8
	ptime   time.Duration
	encoder codec.Encoder
	packet  [rtp.HeaderSize + mostPayload]byte
}

// eventState is the telephone-event that is passing.
type eventState struct {
	begun bool
	ssrc  uint32
	time  uint64
}

// mostPayload keeps a packet below the usual MTU.
const mostPayload = 1440

// calm is how long a transcoder stays when one has ended a moment ago. To end and to
// begin means a burst of packets and new decoders: a party that changes its payload
// type with every packet must not have that of the worker every time.
const calm = time.Second

func newTranscoder(from, to *Leg) *transcoder {
	t := &transcoder{from: from, to: to, hearing: hearing{buffer: jitter.New(jitter.Options{})}}
	t.change()
	return t
}

// change follows a new agreement of either side.
func (t *transcoder) change() {
	send := t.to.agreed.Send
	s := &t.speaker
	s.pt, s.ptime = send.PT, t.to.ptime
	t.usual = s.ptime
	t.buffer.SetLead(s.ptime)
	if s.encoder != nil && s.info == send.Info && s.fmtp == send.Fmtp {
		return
	}
	rate := s.info.SampleRate
	encoder, err := codec.NewEncoderFor(mono(send.Info), send.Fmtp)
	if err != nil {
		// The routes do not lead here for what cannot be encoded.
		s.encoder = nil
		t.stop()
		return
	}
	s.info, s.fmtp, s.encoder = send.Info, send.Fmtp, encoder
	t.rate = s.info.SampleRate
	if rate != 0 && rate != s.info.SampleRate {
		t.ready, t.ear = t.ready[:0], nil
		for _, e := range t.ears {
			e.resample = audio.NewResampler(e.info.SampleRate, s.info.SampleRate)
		}
	}
}

// mono is a format with one channel: nobody hears a call in stereo, and the Opus
// that we send and decode is free to be mono (RFC 7587 §4.2).
func mono(i codec.Info) codec.Info {
	i.Channels = 1
	return i
}

// takes reports whether a packet goes through the transcoder. It ends what is
// running when a packet of audio can be relayed.
func (t *transcoder) takes(p *rtp.Received, r *route) bool {
	if t.speaker.encoder == nil {
		return false
	}
	switch {
	case r == nil: // nothing to send, and no loss either
		return t.running
	case !r.audio, r.from.Is(codec.CN):
		return t.running
	case r.transcode:
		return t.running || p.Verdict != rtp.Late
	case t.running && p.Verdict != rtp.Late:
		if t.again && p.Arrival-t.drained < calm {
			return true // as well as any other packet
		}
		t.drain(p.Arrival)
	}
	return false
}

// take puts a packet of the leg into the buffer.
func (t *transcoder) take(p *rtp.Received, r *route) {
	if epoch := t.from.in.Epoch(); epoch != t.epoch {
		t.epoch = epoch
		t.buffer.Restart()
	}
	k := jitter.Packet{Seq: p.Seq, Time: p.Time, Arrival: p.Arrival, Payload: p.Payload}
	if r != nil {
		k.ClockRate = r.from.ClockRate
	}
	switch {
	case r == nil:
		k.Class, k.Payload = jitter.Mark, nil
		t.to.unsent++
	case !r.audio:
		k.Class, k.Payload = jitter.Mark, nil
		t.passEvent(p, r)
	}
	if k.Class == jitter.Mark {
		t.buffer.Put(k)
	} else {
		t.put(k, p, r.from)
	}
	if !t.running {
		t.running = true
		t.due = p.Arrival.Truncate(tick) + tick
		t.from.w.wheel.arm(&t.from.timers[playTimer], t.due)
	}
}

// tick sends what is due.
func (t *transcoder) tick(at time.Duration) {
	if !t.running {
		return
	}
	if at-t.due > catchUp*t.speaker.ptime {
		t.due = at.Truncate(tick)
		t.to.out.Break() // time went on without us
	}
	for t.due <= at {
		t.send(t.due)
		t.due += t.speaker.ptime
	}
	t.from.w.wheel.arm(&t.from.timers[playTimer], t.due)
}

// drainMost is more than the buffer holds.
const drainMost = 500 * time.Millisecond

// drain sends what is in the transcoder, all at once, and stops it: what follows is
// relayed, and the peer's own buffer evens it out.
func (t *transcoder) drain(at time.Duration) {
	now := max(t.due, at)
	// No packet is due later than the longest delay after it came.
	for end := now + drainMost; now < end && t.buffer.Len() > 0 || len(t.ready) >= t.samples(); now += t.speaker.ptime {
		t.send(now)
	}
	if t.ear != nil {
		t.ready = t.ear.resample.Flush(t.ready)
	}
	for ; len(t.ready) > 0; now += t.speaker.ptime {
		if missing := t.samples() - len(t.ready); missing > 0 {
			t.ready = append(t.ready, t.from.w.nothing[:missing]...)
		}
		t.send(now)
	}
	t.drained, t.again = at, true
	t.stop()
}

// stop ends what is running, with what is in it.
func (t *transcoder) stop() {
	t.running = false
	t.ready, t.ear = t.ready[:0], nil
	t.buffer.Clear()
	t.from.w.wheel.cancel(&t.from.timers[playTimer])
}

// samples is how many there are in a packet to the peer.
func (t *transcoder) samples() int {
	return int(rtp.Units(t.speaker.ptime, t.speaker.info.SampleRate))
}

// send makes the packet that goes out at a time.
func (t *transcoder) send(at time.Duration) {
	s, n := &t.speaker, t.samples()
	for len(t.ready) < n {
		t.pull(at + time.Duration(len(t.ready))*time.Second/time.Duration(s.info.SampleRate))
	}
	units := int(rtp.Units(s.ptime, s.info.ClockRate))
	target := t.to.in.Target()
	switch {
	case !t.to.sends || !target.IsValid():
		t.to.unsent++
		t.to.out.Pass(units, at)
	case at < t.eventUntil:
		t.to.out.Pass(units, at)
	default:
		size, err := s.encoder.Encode(s.packet[rtp.HeaderSize:], t.ready[:n])
		if err != nil || size == 0 { // an encoder may find that there is nothing to say
			t.to.out.Pass(units, at)
			break
		}
		t.to.w.poller.send(t.to.media.socket, target, t.to.out.Own(s.packet[:rtp.HeaderSize+size], s.pt, units, at))
		t.to.w.flush() // the next frame uses the same bytes
		t.made++
	}
	t.ready = t.ready[:copy(t.ready, t.ready[n:])]
}

// passEvent sends a telephone-event on at once. Audio gives way to it, so that the
// digit is not heard twice (RFC 4733 §2.5.1.1).
func (t *transcoder) passEvent(p *rtp.Received, r *route) {
	const ended = 0x80
	target := t.to.in.Target()
	if len(p.Payload) < 4 || p.Verdict == rtp.Late || !t.to.sends || !target.IsValid() {
		t.to.unsent++
		return
	}
	first := !t.event.begun || t.event.ssrc != p.SSRC || t.event.time != p.Time
	t.event = eventState{begun: true, ssrc: p.SSRC, time: p.Time}
	t.eventUntil = p.Arrival + 3*usualPtime
	if p.Payload[1]&ended != 0 {
		t.eventUntil = 0
	}
	if r.convert != nil {
		r.convert(p.Payload)
	}
	packet := t.to.out.Event(p.Packet(), r.pt, first, first, p.Arrival)
	t.to.w.poller.send(t.to.media.socket, target, packet)
}

// String is the transcoder in a leg's description.
func (t *transcoder) String() string {
	return fmt.Sprintf(" → jitter(%v) → %s/%d(%v)", t.buffer.Delay().Round(time.Millisecond), t.speaker.info.Name, t.speaker.info.SampleRate, t.speaker.ptime)
}
