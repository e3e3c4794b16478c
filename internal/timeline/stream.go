package timeline

import "time"

// Packet is what the clock model needs of an RTP packet.
type Packet struct {
	Arrival time.Duration // on the session's clock
	SSRC    uint32
	Seq     uint16
	Time    uint32
	Rate    int // clock rate of Time, Hz
	Ticks   int // duration in units of Time; 0 = carries no audio (digits, comfort noise)
}

const (
	// Sequence numbers within this distance are re-ordering or repetition; RFC
	// 3550 A.1 has 100 and 3000, made for live playing. We have time to look back.
	seqWindow  = 1024
	maxDropout = 3000

	// maxStreams bounds the SSRCs of one track. A peer that changes it more often
	// is not speaking, and its further packets are strays.
	maxStreams = 4096
)

// order is what a sequence number says of a packet.
type order uint8

const (
	inOrder order = iota
	late          // older than the newest, and not seen before
	duplicate
)

// stream follows the sequence numbers and the RTP time of one SSRC. Both passes
// run the same code on the same packets and so agree on every value.
type stream struct {
	packets int64 // seen, without duplicates: the ordinal of the next one

	begun   bool
	high    int64                  // highest sequence number, extended
	seen    [seqWindow / 64]uint64 // one bit for each of the last seqWindow numbers
	lost    int64                  // passed over and not seen since
	excused bool                   // the next numbers that are passed over are not lost
	clocked bool
	ext     int64 // RTP time of the last audio packet, extended
	newest  time.Duration
	// RTP time of the packet with the highest sequence number.
	top     uint32
	topRate int
}

// sequence places the packet's sequence number, which it returns without wraps,
// and keeps the count of losses.
func (s *stream) sequence(p *Packet) (int64, order) {
	if !s.begun {
		s.begun = true
		s.restart(p)
		return s.high, inOrder
	}
	delta := int64(int16(p.Seq - uint16(s.high)))
	n := s.high + delta
	switch {
	case delta > 0 && s.plausible(p, delta):
		for i := s.high + 1; i < n && i <= s.high+seqWindow; i++ {
			s.mark(i, false)
		}
		if !s.excused {
			s.lost += delta - 1
		}
		s.excused = false
		s.high, s.newest, s.top, s.topRate = n, p.Arrival, p.Time, p.Rate
		s.mark(n, true)
		return n, inOrder
	case delta > 0 || delta <= -seqWindow || !s.older(p):
		s.restart(p) // the sender began to count anew: nothing is known to be lost
		return s.high, inOrder
	case s.marked(n):
		return n, duplicate
	}
	s.mark(n, true)
	s.lost = max(0, s.lost-1)
	return n, late
}

// plausible says whether a step forward in sequence numbers can be loss: a small
// one always, a large one when so many packets fit into the time that passed.
func (s *stream) plausible(p *Packet, delta int64) bool {
	const shortest = 5 * time.Millisecond // of a packet, with room for jitter
	return delta <= maxDropout || time.Duration(delta)*shortest <= p.Arrival-s.newest
}

// older says whether a packet with an older sequence number has an older RTP time
// too. Where it has not, the sender began to count anew among numbers that were
// used lately.
func (s *stream) older(p *Packet) bool {
	const longest = 60 // seconds
	if p.Rate != s.topRate || p.Rate <= 0 {
		return true
	}
	by := int64(int32(s.top - p.Time))
	return by >= 0 && by <= longest*int64(p.Rate)
}

// restart counts from the packet's number on. It begins one cycle up, so that
// packets that come late stay above zero.
func (s *stream) restart(p *Packet) {
	s.high, s.newest, s.excused = int64(p.Seq)+1<<16, p.Arrival, false
	s.top, s.topRate = p.Time, p.Rate
	clear(s.seen[:])
	s.mark(s.high, true)
}

func (s *stream) mark(n int64, seen bool) {
	i := uint64(n) % seqWindow
	if seen {
		s.seen[i/64] |= 1 << (i % 64)
	} else {
		s.seen[i/64] &^= 1 << (i % 64)
	}
}

func (s *stream) marked(n int64) bool {
	i := uint64(n) % seqWindow
	return s.seen[i/64]&(1<<(i%64)) != 0
}

// extend returns the packet's RTP time without wraps: as near as possible to
// that of the packet before.
func (s *stream) extend(p *Packet) int64 {
	if !s.clocked {
		s.clocked = true
		s.ext = int64(p.Time)
		return s.ext
	}
	s.ext += int64(int32(p.Time - uint32(s.ext)))
	return s.ext
}

// nanos turns RTP ticks into time, exactly and without overflow.
func nanos(ticks int64, rate int) int64 {
	r := int64(rate)
	return ticks/r*int64(time.Second) + ticks%r*int64(time.Second)/r
}

// delay is how much later than its RTP time a packet's audio began, as far as
// its arrival tells: the last sample was spoken before the packet was sent.
func delay(p *Packet, ext int64) int64 {
	return int64(p.Arrival) - nanos(ext+int64(p.Ticks), p.Rate)
}
