package rtp

import "time"

// NoteReport remembers a sender report of the peer, so that the next reception
// report answers it.
func (r *Receiver) NoteReport(s *SenderReport) {
	if src := r.find(s.SSRC); src != nil {
		src.reportNTP, src.reportAt = uint32(s.NTP>>16), s.Arrival
	}
}

// Reception makes the reception report block of the playing stream and begins its
// next interval (RFC 3550 §6.4.1, A.3). False when nothing was received yet.
func (r *Receiver) Reception(at time.Duration) (Reception, bool) {
	s := r.current
	if s == nil {
		return Reception{}, false
	}
	expected := s.expected()
	block := Reception{
		SSRC:    s.ssrc,
		Lost:    int32(int64(expected) - int64(s.received)),
		Highest: uint32(s.maxSeq - 1<<16),
		Jitter:  uint32(s.jitter >> 4),
	}
	interval := int64(expected) - int64(s.expectedPrior)
	lost := interval - (int64(s.received) - int64(s.receivedPrior))
	if interval > 0 && lost > 0 {
		block.Fraction = uint8(min(lost<<8/interval, 255))
	}
	s.expectedPrior, s.receivedPrior = expected, s.received
	if s.reportAt != 0 {
		block.LastSR = s.reportNTP
		// In 1/65536 s, RFC 3550 §6.4.1.
		block.Delay = uint32(Units(at-s.reportAt, 1<<16))
	}
	return block, true
}
