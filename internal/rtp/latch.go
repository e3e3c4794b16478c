package rtp

import (
	"net/netip"
	"time"
)

// QuietAfter is how long a latched source must have been silent before another
// address can take its place without a new offer/answer exchange.
const QuietAfter = 2 * time.Second

// A packet that goes on with the playing stream, from another port of the same host or
// from another host, can take its place sooner: after so long. The stream goes on when the
// number is no further ahead than packets of the shortest length and some losses explain,
// and the time is the one that passed, but for movedOff.
const (
	movedPort = 200 * time.Millisecond
	movedHost = 500 * time.Millisecond
	movedOff  = 300 * time.Millisecond
	shortest  = 10 * time.Millisecond
)

// latch decides from which address a leg takes packets (symmetric RTP, RFC 4961;
// peers behind a NAT send from an address that their SDP does not name).
//
// The negotiated address is trusted at once. Any other address has to show a run
// of valid packets first, and cannot take over from a source that is active. How long
// that one must have been silent depends on whether its stream goes on (Receiver.moved).
type latch struct {
	source netip.AddrPort // whom we listen to; zero = nobody yet
	heard  time.Duration  // last packet of source
	// loose: the peer named a new address, and the source is what was latched
	// before that. It is still heard, so that nothing is lost while the peer
	// moves, but the first newcomer takes over.
	loose      bool
	negotiated netip.AddrPort // from SDP; zero = none known
}

// trust says how a packet's address stands.
type trust uint8

const (
	trusted   trust = iota // listen to it
	candidate              // may become the source by a run of valid packets
	stranger               // never
)

// renegotiate takes the peer's address from SDP. No address (hold by c=0.0.0.0)
// or the same one change nothing.
func (l *latch) renegotiate(addr netip.AddrPort, at time.Duration) {
	if !addr.IsValid() || addr == l.negotiated {
		return
	}
	l.negotiated = addr
	l.loose = l.source.IsValid() && l.source != addr
	if l.loose {
		l.heard = at
	}
}

// look says how an address stands, without changing anything.
func (l *latch) look(from netip.AddrPort, at time.Duration) trust {
	switch {
	case from == l.source || from == l.negotiated:
		return trusted
	case !l.source.IsValid() || l.loose || at-l.heard >= QuietAfter:
		return candidate
	}
	return stranger
}

// take notes a good packet of a trusted or confirmed address.
func (l *latch) take(from netip.AddrPort, at time.Duration) {
	if from != l.source {
		l.source, l.loose = from, false
	} else if l.loose && at-l.heard >= QuietAfter {
		// The peer named another address but goes on from the old one.
		l.loose = false
	}
	if !l.loose {
		l.heard = at
	}
}

// target is where to send: where the peer's packets come from, or what it
// negotiated as long as nothing came from there.
func (l *latch) target() netip.AddrPort {
	if l.source.IsValid() && !l.loose {
		return l.source
	}
	return l.negotiated
}
