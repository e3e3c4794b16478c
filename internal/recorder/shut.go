package recorder

import (
	"time"

	"tapedeck/internal/rtp"
)

const (
	// lateness is how long after the gate opened a packet from before may come.
	lateness = 10 * time.Second
	// draining is how much a held-up packet must be less late than the one before
	// it. Packets that a network held up come faster than they were sent.
	draining = time.Millisecond
)

// shut is what a track saw go by while the gate was shut: the newest packet of
// each source. What is not newer was spoken in the pause, whenever it comes. A
// party has one source, and a new one when it is transferred: then packets of
// both may come, in any order.
type shut struct {
	next    uint8 // the place of the next source that is not known yet
	sources [4]passed
}

// passed is the newest that went by of one source.
type passed struct {
	any       bool
	ssrc      uint32
	seq, time uint64

	heard  bool          // the rest holds something
	newest uint64        // RTP time of the newest audio
	at     time.Duration // its arrival
	held   uint64        // RTP time of the newest packet that was dropped after the pause
	excess time.Duration // how much too late the packet was that was dropped last; 0 = none
}

func (s *shut) find(ssrc uint32) *passed {
	for i := range s.sources {
		if s.sources[i].any && s.sources[i].ssrc == ssrc {
			return &s.sources[i]
		}
	}
	return nil
}

// see notes a packet of the pause; the capture's lock is held.
func (s *shut) see(p *rtp.Received, event bool) {
	f := s.find(p.SSRC)
	if f == nil {
		f = &s.sources[int(s.next)%len(s.sources)]
		s.next++
		*f = passed{any: true, ssrc: p.SSRC}
	}
	f.seq, f.time, f.excess = max(f.seq, p.Seq), max(f.time, p.Time), 0
	// The time of an event is that of its beginning, and says nothing of when it came.
	if !event && (!f.heard || p.Time > f.newest) {
		f.heard, f.newest, f.at = true, p.Time, p.Arrival
	}
}

// late reports whether a packet that comes through the open gate was sent while it
// was shut: it is older than the newest packet of the pause, or was held up on its
// way since. The sender's clock tells the latter, at so many Hz; 0 = not known.
// Resumed is when the pause ended.
func (s *shut) late(p *rtp.Received, event bool, rate uint32, resumed time.Duration) bool {
	f := s.find(p.SSRC)
	switch {
	case f == nil:
		return false
	case p.Seq <= f.seq:
		return true
	case event || !f.heard || rate == 0:
		return false
	}
	passed := int64(p.Time - f.newest) // < 0 when numbers begin anew, be it in very late packets
	if max(passed, -passed) > 1<<32 {
		return false // of another clock
	}
	due := f.at + time.Duration(passed)*time.Second/time.Duration(rate)
	if due >= resumed {
		return false
	}
	excess := p.Arrival - due
	if f.excess > 0 && p.Time > f.held && excess > f.excess-draining {
		f.heard = false // it comes as it is sent: the sender set its clock anew, or it stood still in a silence
		return false
	}
	if f.excess == 0 || p.Time > f.held {
		f.held, f.excess = p.Time, excess
	}
	return true
}
