package rtp

import (
	"net/netip"
	"time"
)

// maxSources is how many SSRCs of one peer are remembered. A peer uses one, and
// another after a re-INVITE or a transfer.
const maxSources = 4

// heldFor is how far apart two packets may be that confirm each other: silence is
// told with few packets. releaseFor is how old the first one may be and still be
// handed out; what comes later than that would surprise whoever gets it.
const (
	heldFor    = 3 * time.Second
	releaseFor = 500 * time.Millisecond
)

// heldSize is the longest datagram that can wait; a longer one is not RTP audio.
const heldSize = 2048

// Receiver turns the datagrams of one leg into Received packets. It belongs to
// one goroutine at a time.
//
// A packet whose source is not known yet (another address, another SSRC, a jump
// of the sequence) is held back until a second one confirms it (RFC 3550 A.1).
// It is not lost by that: Released hands it out before the second one.
type Receiver struct {
	// What the usual packet needs, as far as the first source: between two packets of a
	// leg nothing of it stays in the processor's caches, so it lies together, in four
	// cache lines. What a relay to the peer needs, the latch, comes first.
	latch    latch
	formats  formats
	current  *source // the stream that plays; nil before the first packet
	released *held
	epoch    uint32 // grows when the stream is anchored anew
	known    uint16 // how many sources are in use
	rivals   bool   // a source that does not play has a run
	received uint64 // see Counts
	octets   uint64
	first    source

	others   *[maxSources - 1]source // the sources after the first; nil as long as there are none
	newcomer *held                   // of another address
	turn     *held                   // of the trusted address
	counts   Counts                  // but Received and Octets
	lostPast uint64                  // of anchors and sources that are gone
}

// Counts are the packets of a leg by verdict. Late packets count as Received
// too, the others do not.
type Counts struct {
	Received  uint64 // from the peer, without duplicates
	Octets    uint64 // of their payload
	Late      uint64
	Duplicate uint64
	Foreign   uint64
	Malformed uint64
	Unknown   uint64
}

// held is a packet that waits for confirmation.
type held struct {
	full   bool
	at     time.Duration
	from   netip.AddrPort
	header header
	size   int
	out    Received
	data   [heldSize]byte
}

// SetFormats tells what the payload types mean from now on. Former ones are
// understood for two seconds more.
func (r *Receiver) SetFormats(f []Format, at time.Duration) { r.formats.set(f, at) }

// Formats lists every format that is understood, former ones included.
func (r *Receiver) Formats() []Format {
	all := r.formats.all()
	out := make([]Format, 0, len(all))
	for _, e := range all {
		out = append(out, e.Format)
	}
	return out
}

// SetRemote takes the address that the peer negotiated. The zero AddrPort, or the
// one that is known already, changes nothing. Another one frees the latch: the
// next source that shows itself is taken.
func (r *Receiver) SetRemote(addr netip.AddrPort, at time.Duration) { r.latch.renegotiate(addr, at) }

// Target is where the peer wants packets: where its own come from, else what it
// negotiated. The zero AddrPort means that nothing is known.
func (r *Receiver) Target() netip.AddrPort { return r.latch.target() }

// Source is the address that the leg listens to; zero before the first packet.
func (r *Receiver) Source() netip.AddrPort { return r.latch.source }

// Epoch changes whenever Seq and Time of the playing stream are anchored anew:
// another SSRC, or a jump. A relay starts a new mapping then.
func (r *Receiver) Epoch() uint32 { return r.epoch }

// SSRC is the stream that plays; false before the first packet.
func (r *Receiver) SSRC() (uint32, bool) {
	if r.current == nil {
		return 0, false
	}
	return r.current.ssrc, true
}

// Counts returns the counters so far.
func (r *Receiver) Counts() Counts {
	c := r.counts
	c.Received, c.Octets = r.received, r.octets
	return c
}

// Lost is how many packets did not come, over all streams.
func (r *Receiver) Lost() uint64 {
	lost := r.lostPast
	for i := range r.known {
		lost += r.source(i).lost()
	}
	return lost
}

// source is one of those that are in use, or the next one.
func (r *Receiver) source(i uint16) *source {
	if i == 0 {
		return &r.first
	}
	if r.others == nil {
		r.others = new([maxSources - 1]source)
	}
	return &r.others[i-1]
}

// Jitter is the interarrival jitter of the playing stream (RFC 3550 A.8).
func (r *Receiver) Jitter() time.Duration {
	s := r.current
	if s == nil || s.rate == 0 {
		return 0
	}
	return time.Duration(s.jitter>>4) * time.Second / time.Duration(s.rate)
}

// Touch reads a word of each cache line that the usual packet needs, so that those of
// many receivers are fetched from memory at the same time. What it returns means nothing.
func (r *Receiver) Touch() uint64 {
	return uint64(r.latch.heard) + uint64(r.formats.usual.PT) + r.received + uint64(r.first.timeAt)
}

// TouchTarget is Touch for Target.
func (r *Receiver) TouchTarget() uint64 { return uint64(r.latch.heard) }

// Receive reads one datagram that arrived at a time from an address, fills p and
// returns its verdict, which is also in p. Unless the verdict is Usable, p holds
// nothing else. When Released is not nil afterwards, that packet comes before p.
func (r *Receiver) Receive(p *Received, datagram []byte, from netip.AddrPort, at time.Duration) Verdict {
	if r.released != nil {
		r.released = nil
	}
	p.Verdict = r.receive(p, datagram, from, at)
	return p.Verdict
}

// Released is a packet that was Held before and is confirmed by the one that
// Receive read last; nil when there is none. It is valid until the next Receive.
func (r *Receiver) Released() *Received {
	if r.released == nil {
		return nil
	}
	return &r.released.out
}

func (r *Receiver) receive(p *Received, datagram []byte, from netip.AddrPort, at time.Duration) Verdict {
	h, ok := parse(datagram)
	if !ok {
		r.counts.Malformed++
		return Malformed
	}
	trust := r.latch.look(from, at)
	format, known := r.formats.find(h.pt, at)
	if trust == stranger && known && r.moved(&h, format, from, at) {
		trust = candidate
	}
	if trust == stranger {
		r.counts.Foreign++
		return Foreign
	}
	if !known {
		if trust == candidate && len(r.formats.all()) > 0 {
			r.counts.Foreign++
			return Foreign
		}
		r.counts.Unknown++
		return Unknown
	}
	if trust == candidate {
		return r.probe(hold(&r.newcomer), p, datagram, from, &h, format, at)
	}
	s := r.find(h.ssrc)
	if s == nil {
		if r.current == nil { // the first packet of a trusted peer
			return r.admit(p, datagram, from, &h, format, at)
		}
		return r.probe(hold(&r.turn), p, datagram, from, &h, format, at)
	}
	if _, o := s.place(h.seq); o == jump {
		return r.probe(hold(&r.turn), p, datagram, from, &h, format, at)
	}
	return r.admit(p, datagram, from, &h, format, at)
}

// moved reports whether a packet from a strange address goes on with the stream that
// plays where it fell silent: a peer that a NAT, or it itself, has given another port.
// Whoever would steal the stream so has to know its SSRC, sequence number and time, that
// is, to hear it already.
func (r *Receiver) moved(h *header, f Format, from netip.AddrPort, at time.Duration) bool {
	s := r.current
	quiet, wanted := at-r.latch.heard, movedHost
	if from.Addr() == r.latch.source.Addr() {
		wanted = movedPort
	}
	if quiet < wanted || s == nil || h.ssrc != s.ssrc || f.Kind == Event || !s.timed {
		return false
	}
	ahead := h.seq - uint16(s.maxSeq) // modulo 2^16
	if ahead == 0 || ahead > maxRun+uint16(min(quiet, QuietAfter)/shortest) {
		return false
	}
	passed := int64(int32(h.time - uint32(s.time)))
	off := passed - Units(at-s.timeAt, f.ClockRate)
	return passed > 0 && max(off, -off) <= Units(movedOff, f.ClockRate)
}

// hold is where a packet waits, made when first needed.
func hold(w **held) *held {
	if *w == nil {
		*w = new(held)
	}
	return *w
}

// probe holds a packet back, or admits it together with the one that was held
// when the two confirm each other.
func (r *Receiver) probe(w *held, p *Received, datagram []byte, from netip.AddrPort, h *header, f Format, at time.Duration) Verdict {
	ahead := h.seq - w.header.seq
	if w.full && w.from == from && w.header.ssrc == h.ssrc && at-w.at <= heldFor {
		if ahead == 0 { // the same packet once more confirms nothing
			r.counts.Duplicate++
			return Held
		}
		if ahead <= maxRun {
			w.full = false
			first, known := r.formats.find(w.header.pt, at)
			if !known || at-w.at > releaseFor {
				r.counts.Foreign++
			} else {
				w.out.Verdict = r.admit(&w.out, w.data[:w.size], from, &w.header, first, w.at)
				r.released = w
			}
			return r.admit(p, datagram, from, h, f, at)
		}
	}
	if w.full {
		r.counts.Foreign++ // nobody confirmed it
	}
	if len(datagram) > heldSize {
		w.full = false
		r.counts.Foreign++
		return Foreign
	}
	w.full, w.at, w.from, w.header = true, at, from, *h
	w.size = copy(w.data[:], datagram)
	return Held
}

// admit takes a packet of the peer into its stream.
func (r *Receiver) admit(p *Received, datagram []byte, from netip.AddrPort, h *header, f Format, at time.Duration) Verdict {
	r.latch.take(from, at)
	s := r.find(h.ssrc)
	if s == nil {
		s = r.room()
		s.begin(h, at)
		r.play(s)
	}
	ext, o := s.place(h.seq)
	if o == jump {
		r.lostPast += s.lost()
		s.restart(h)
		ext, o = s.place(h.seq)
		r.play(s)
	}
	s.used = at
	r.fill(p, datagram, h, ext, s.extend(h.time), at)
	if o == duplicate {
		r.counts.Duplicate++
		return Duplicate
	}
	s.note(ext)
	r.received++
	r.octets += uint64(len(p.Payload))
	if o == late || !r.playing(s) {
		r.counts.Late++
		return Late
	}
	if f.Kind == Event {
		return Event // its time stands still: no measure of anything
	}
	if s.advance(p.Time, at, f.ClockRate) {
		r.epoch++
	}
	if f.Kind == Audio {
		s.measure(p.Time, at, f.ClockRate)
	}
	return f.Kind
}

// playing reports whether the source is the stream that plays, after it made it
// so when it has gone on for two packets alone.
func (r *Receiver) playing(s *source) bool {
	if s == r.current {
		if r.rivals {
			for i := range r.known {
				r.source(i).run = 0
			}
			r.rivals = false
		}
		return true
	}
	s.run++
	r.rivals = true
	if s.run < 2 {
		return false
	}
	r.play(s)
	return true
}

func (r *Receiver) play(s *source) {
	r.current = s
	r.epoch++
}

func (r *Receiver) find(ssrc uint32) *source {
	if c := r.current; c != nil && c.ssrc == ssrc {
		return c
	}
	for i := range r.known {
		if s := r.source(i); s.ssrc == ssrc {
			return s
		}
	}
	return nil
}

// room finds a place for a new source: a free one, else the longest unused.
func (r *Receiver) room() *source {
	if r.known < maxSources {
		r.known++
		return r.source(r.known - 1)
	}
	oldest := (*source)(nil)
	for i := range r.known {
		s := r.source(i)
		if s != r.current && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	r.lostPast += oldest.lost()
	return oldest
}

func (r *Receiver) fill(p *Received, datagram []byte, h *header, seq, time uint64, at time.Duration) {
	p.Arrival, p.Seq, p.Time, p.SSRC = at, seq, time, h.ssrc
	p.PT, p.Marker = h.pt, h.marker
	p.Payload = datagram[h.payload:h.end:h.end]
	p.packet = datagram[h.payload-HeaderSize : h.end : h.end]
}
