package rtp

import "time"

// Sender is the stream that a leg sends: one SSRC whose sequence and time go on
// without a break, wherever the packets come from (RFC 3550 §5.1: another source
// behind the same SSRC must not be seen). It belongs to one goroutine at a time.
//
// What is sent takes its place from the stream it comes from: a mapping of
// sequence and time is anchored at the first packet of a source, one packet and
// the time that passed after the last one sent, and holds until Break or until
// the source's epoch changes.
type Sender struct {
	event uint32 // time of the telephone-event that Event writes
	rate  int    // clock rate, Hz

	// What every relayed packet needs is the rest: one cache line, see Receiver.
	ssrc    uint32
	time    uint32 // of the newest audio sent
	timeOff uint32 // outgoing = source + offset, modulo 2^32
	epoch   uint32
	seq     uint16 // of the newest packet sent
	seqOff  uint16 // outgoing = source + offset, modulo 2^16
	mapped  bool
	spurt   bool // the next audio packet begins a talk spurt
	own     bool // the last packet was made here, not relayed
	started bool
	at      time.Duration // when the newest audio was sent
	floor   uint64        // source packets before this have no place any more
	top     uint64        // newest source packet sent

	packets, octets uint64
}

// frame is the least step of time between packets of different origin.
const frame = 20 * time.Millisecond

// Start begins a stream with random numbers (RFC 3550 §5.1) of the caller's
// choice, and clock rate in Hz. Counters start at zero.
func (s *Sender) Start(ssrc uint32, seq uint16, time uint32, rate int) {
	*s = Sender{ssrc: ssrc, seq: seq, time: time, rate: rate, spurt: true}
}

// SSRC is our synchronization source.
func (s *Sender) SSRC() uint32 { return s.ssrc }

// ClockRate is the rate of our timestamps, Hz; 0 before Start.
func (s *Sender) ClockRate() int { return s.rate }

// Packets and payload octets sent so far.
func (s *Sender) Packets() uint64 { return s.packets }

// Octets is how many payload octets were sent so far.
func (s *Sender) Octets() uint64 { return s.octets }

// Break ends what was going on: the next packet, relayed or own, is placed anew
// and begins a talk spurt.
func (s *Sender) Break() { s.mapped, s.own, s.spurt = false, false, true }

// Relay writes the header under which a received packet goes out, and returns the
// datagram: header and payload, in the bytes of p. The epoch is that of the
// packet's Receiver. A packet that has no place in the stream (it is older than
// the anchor) gives nil.
func (s *Sender) Relay(p *Received, pt uint8, epoch uint32, audio bool) []byte {
	if !s.mapped || s.epoch != epoch {
		s.anchor(p, epoch)
	}
	if p.Seq < s.floor {
		return nil
	}
	seq, ts := uint16(p.Seq)+s.seqOff, uint32(p.Time)+s.timeOff
	if p.Seq > s.top {
		s.top, s.seq = p.Seq, seq
		if audio {
			// An event's time is where it began; audio says where we are.
			s.time, s.at = ts, p.Arrival
		}
	}
	marker := p.Marker
	if audio {
		// RFC 3551 §4.1: the first packet of a talk spurt is marked. On an event the
		// marker means something else: its beginning (RFC 4733 §2.5.1.2).
		marker, s.spurt = marker || s.spurt, false
	}
	packet := p.packet
	putHeader(packet, pt, marker, seq, ts, s.ssrc)
	s.sent(len(packet) - HeaderSize)
	return packet
}

// Skip leaves out a packet of the source on purpose: the numbers of what follows
// close up, so that it does not look like loss.
func (s *Sender) Skip(p *Received, epoch uint32) {
	if !s.mapped || s.epoch != epoch || p.Seq <= s.top {
		return
	}
	s.seqOff--
	s.top, s.floor = p.Seq, p.Seq+1
}

// Own writes the header of a packet that we make ourselves, with so many clock
// units of audio, and returns the datagram: the header and what follows it in
// packet, which is the payload.
func (s *Sender) Own(packet []byte, pt uint8, units int, at time.Duration) []byte {
	s.mapped = false
	if s.own {
		s.time += uint32(units)
	} else {
		s.time = s.next(at)
	}
	s.own, s.started = true, true
	s.seq++
	s.at = at
	putHeader(packet, pt, s.spurt, s.seq, s.time, s.ssrc)
	s.spurt = false
	s.sent(len(packet) - HeaderSize)
	return packet
}

// Pass lets so many clock units of what we make go by without a packet.
func (s *Sender) Pass(units int, at time.Duration) {
	if s.own {
		s.time += uint32(units)
		s.at = at
	}
	s.spurt = true
}

// Event writes the header of a telephone-event packet beside audio that we make:
// payload and header room in packet, as for Own. All packets of one event have the
// time of its beginning (RFC 4733 §2.1); first says that this one begins it.
func (s *Sender) Event(packet []byte, pt uint8, first, marker bool, at time.Duration) []byte {
	s.mapped = false
	if !s.started {
		s.started, s.at = true, at
	}
	if first {
		s.event = s.Clock(at)
	}
	s.seq++
	putHeader(packet, pt, marker, s.seq, s.event, s.ssrc)
	s.sent(len(packet) - HeaderSize)
	return packet
}

// Clock is our RTP time at a time, for sender reports (RFC 3550 §6.4.1).
func (s *Sender) Clock(at time.Duration) uint32 {
	return s.time + uint32(Units(at-s.at, s.rate))
}

func (s *Sender) anchor(p *Received, epoch uint32) {
	if s.started {
		s.spurt = true
	}
	s.timeOff = s.next(p.Arrival) - uint32(p.Time)
	s.seqOff = s.seq + 1 - uint16(p.Seq)
	s.floor, s.top = p.Seq, p.Seq-1
	s.mapped, s.epoch, s.own, s.started = true, epoch, false, true
}

// next is the timestamp of a packet that does not follow from its neighbour: as
// much later than the last one as time has passed.
func (s *Sender) next(at time.Duration) uint32 {
	if !s.started {
		return s.time
	}
	return s.time + uint32(Units(max(at-s.at, frame), s.rate))
}

func (s *Sender) sent(octets int) {
	s.packets++
	s.octets += uint64(octets)
}
