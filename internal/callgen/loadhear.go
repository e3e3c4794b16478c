package callgen

import (
	"time"

	"tapedeck/internal/rtp"
)

// inLeg is what a leg hears. It belongs to the owner of the media.
type inLeg struct {
	peer   uint64 // where frames come from, as packed makes it
	call   uint32
	socket int32
	leg    uint8

	isHeard   bool
	highest   uint32
	seen      []uint64 // a bit for each counter
	received  uint64
	duplicate uint64
	reordered uint64
	crossTalk uint64
	unmarked  uint64

	heard chan time.Duration // sent to once, one deep: when the first frame of the other side came
}

// place is where a datagram came to: a socket, and which of its legs.
type place struct {
	socket, leg int32
}

// anyLeg stands for the leg where only the socket is known.
const anyLeg = -2

// at says whether the leg hears there.
func (m *loadMedia) at(i int, p place) bool {
	order := m.order[i]
	return order/legsPerSocket == p.socket && (p.leg == anyLeg || order%legsPerSocket == p.leg)
}

// hear takes one datagram that came to a place.
func (m *loadMedia) hear(to place, b []byte, from uint64, at time.Duration) {
	var stamp Stamp
	ok := false
	if len(b) >= rtp.HeaderSize && b[1]&0x7f == 0 {
		stamp, ok = readMu(b[rtp.HeaderSize:])
	}
	var g *inLeg
	if ok && stamp.Leg < 2 {
		i := m.index(stamp.Call, 1-stamp.Leg)
		if g = &m.in[i]; g.peer != from || g.call != stamp.Call || !m.at(i, to) {
			g = nil
		}
	}
	if g == nil {
		if g = m.who(to, from, stamp); g == nil {
			if m.counting > 0 && (!ok || stamp.Counter > 0) {
				m.strange++
			}
			return
		}
	}
	if !ok {
		if m.counting > 0 {
			g.unmarked++
		}
		return
	}
	if g.hears(stamp, at) && stamp.Counter > 0 {
		m.latency.Add(at - stamp.Sent)
	}
}

// who is the leg that hears an address at a place; of several, the one that the
// stamp is for.
func (m *loadMedia) who(to place, from uint64, stamp Stamp) (found *inLeg) {
	for _, i := range m.sockets[to.socket].peers[from] {
		g := &m.in[i]
		if !m.at(int(i), to) {
			continue
		}
		if g.call == stamp.Call && g.leg == 1-stamp.Leg {
			return g
		}
		if found == nil {
			found = g
		}
	}
	return found
}

// hears takes one frame from the other side.
func (g *inLeg) hears(s Stamp, at time.Duration) (mine bool) {
	if s.Call != g.call || s.Leg != 1-g.leg {
		// Before the count, a shared address does not tell legs apart yet: a callee
		// speaks as soon as it answers, and the caller may learn of it later.
		if s.Counter > 0 {
			g.crossTalk++
		}
		return false
	}
	if !g.isHeard {
		g.isHeard = true
		if g.heard != nil {
			g.heard <- at
		}
	}
	if s.Counter == 0 {
		return true // before the count
	}
	word, bit := int(s.Counter/64), uint64(1)<<(s.Counter%64)
	for word >= len(g.seen) {
		g.seen = append(g.seen, make([]uint64, 64)...)
	}
	switch {
	case g.seen[word]&bit != 0:
		g.duplicate++
	default:
		g.received++
		if s.Counter < g.highest {
			g.reordered++
		}
	}
	g.seen[word] |= bit
	g.highest = max(g.highest, s.Counter)
	return true
}

// add adds what the leg heard.
func (g *inLeg) add(r *LoadReport) {
	r.Received += g.received
	r.Duplicate += g.duplicate
	r.Reordered += g.reordered
	r.CrossTalk += g.crossTalk
	r.Unmarked += g.unmarked
}

// forget makes the leg one that hears nothing.
func (g *inLeg) forget() {
	*g = inLeg{socket: g.socket, seen: g.seen, call: g.call, leg: g.leg}
}
