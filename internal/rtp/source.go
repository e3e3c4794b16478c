package rtp

import "time"

// Limits of RFC 3550 A.1, in packets.
const (
	maxDropout  = 3000 // a gap up to here is loss; beyond, the sender restarted
	maxMisorder = 100  // a packet up to here behind is late; beyond, the sender restarted
	// maxRun is how far apart two packets may be that confirm each other. The RFC
	// asks for neighbours; with 30 % loss that would take too long.
	maxRun = 16
)

// timeJump is how far a timestamp may run ahead of the time that really passed
// before it is taken for another clock.
const timeJump = 5 * time.Second

// source is one SSRC of the peer: extended sequence and time, and reception
// statistics (RFC 3550 A.1, A.3, A.8).
type source struct {
	// What every packet needs.
	ssrc     uint32
	timed    bool          // time is set by audio, not by an event
	run      int16         // packets in order since another SSRC became current
	used     time.Duration // last packet; the longest unused makes room for another
	maxSeq   uint64        // highest extended sequence number
	baseSeq  uint64        // first of this anchor
	seen     [2]uint64     // bit i: maxSeq-i was received
	received uint64        // of this anchor, without duplicates
	time     uint64        // extended timestamp of the newest audio
	timeAt   time.Duration // arrival of that
	transit  int64         // of the previous audio, in clock units
	jitter   int64         // ×16, RFC 3550 A.8
	rate     int

	expectedPrior uint64 // at the last report
	receivedPrior uint64
	reportNTP     uint32        // middle 32 bits of the last SR's NTP time
	reportAt      time.Duration // its arrival
}

// begin starts the source with its first packet.
func (s *source) begin(h *header, at time.Duration) {
	*s = source{ssrc: h.ssrc}
	s.time, s.timeAt = 1<<32|uint64(h.time), at
	s.anchor(1<<16 | uint64(h.seq))
}

// restart anchors the source anew after a jump of its sequence numbers: one cycle
// up, so that extended numbers only grow.
func (s *source) restart(h *header) {
	s.anchor((s.maxSeq>>16+1)<<16 | uint64(h.seq))
}

func (s *source) anchor(seq uint64) {
	s.baseSeq, s.maxSeq = seq, seq-1
	s.seen = [2]uint64{}
	s.received, s.expectedPrior, s.receivedPrior = 0, 0, 0
	s.transit = 0
}

// order is how a packet stands in the sequence of its source.
type order uint8

const (
	inOrder order = iota
	late
	duplicate
	jump
)

// place extends a sequence number and says how it stands. It changes nothing.
func (s *source) place(seq uint16) (uint64, order) {
	ahead := seq - uint16(s.maxSeq) // modulo 2^16
	if ahead != 0 && ahead < maxDropout {
		return s.maxSeq + uint64(ahead), inOrder
	}
	behind := -ahead
	if behind > maxMisorder {
		return 0, jump
	}
	ext := s.maxSeq - uint64(behind)
	if s.seen[behind>>6]&(1<<(behind&63)) != 0 {
		return ext, duplicate
	}
	return ext, late
}

// note counts a packet that place found in order or late.
func (s *source) note(ext uint64) {
	if ext > s.maxSeq {
		s.shift(ext - s.maxSeq)
		s.maxSeq = ext
	}
	behind := s.maxSeq - ext
	s.seen[behind>>6] |= 1 << (behind & 63)
	s.baseSeq = min(s.baseSeq, ext)
	s.received++
}

func (s *source) shift(n uint64) {
	switch {
	case n >= 128:
		s.seen = [2]uint64{}
	case n >= 64:
		s.seen[1], s.seen[0] = s.seen[0]<<(n-64), 0
	default:
		s.seen[1] = s.seen[1]<<n | s.seen[0]>>(64-n)
		s.seen[0] <<= n
	}
}

// extend extends a timestamp next to the newest audio's.
func (s *source) extend(t uint32) uint64 {
	step := int64(int32(t - uint32(s.time)))
	ext := int64(s.time) + step
	if ext < 1<<31 {
		// A sender that jumps back again and again must not go below zero. Only the
		// low 32 bits have a meaning across such jumps.
		ext += 1 << 32
	}
	return uint64(ext)
}

// advance takes the timestamp of audio or noise that came in order. It reports
// whether the sender's clock jumped: back, or ahead of the time that passed.
func (s *source) advance(ext uint64, at time.Duration, rate int) (jumped bool) {
	if s.timed {
		ahead := int64(ext-s.time) - Units(at-s.timeAt, rate)
		jumped = ext < s.time || ahead > Units(timeJump, rate)
	}
	if jumped {
		s.transit = 0
	}
	s.time, s.timeAt, s.timed = ext, at, true
	return jumped
}

// measure updates the interarrival jitter (RFC 3550 A.8).
func (s *source) measure(ext uint64, at time.Duration, rate int) {
	transit := Units(at, rate) - int64(ext)
	if s.transit != 0 && s.rate == rate {
		d := transit - s.transit
		if d < 0 {
			d = -d
		}
		s.jitter += d - (s.jitter+8)>>4
	}
	s.transit, s.rate = transit, rate
}

// expected is how many packets of this anchor should have come.
func (s *source) expected() uint64 { return s.maxSeq - s.baseSeq + 1 }

// lost is how many of them did not. Late ones lower it again.
func (s *source) lost() uint64 {
	if e := s.expected(); e > s.received {
		return e - s.received
	}
	return 0
}

// Units converts a duration to units of an RTP clock, without overflow.
func Units(d time.Duration, rate int) int64 {
	sec, rest := int64(d/time.Second), int64(d%time.Second)
	return sec*int64(rate) + rest*int64(rate)/int64(time.Second)
}
