package rtp

import "time"

// Received is one RTP packet as it arrived, parsed.
type Received struct {
	Arrival time.Duration // since the process's epoch, monotonic
	// Seq and Time are the packet's sequence number and timestamp, extended to 64
	// bits within its SSRC, so that they do not wrap (RFC 3550 A.1). The low 16 and
	// 32 bits are what was on the wire. Both begin one cycle up, so that a packet
	// which is older than the first one does not go below zero.
	Seq, Time uint64
	SSRC      uint32
	PT        uint8
	Marker    bool
	Verdict   Verdict
	Payload   []byte // aliases the datagram: copy what you keep

	packet []byte // HeaderSize bytes of room, then Payload
}

// Packet is the payload with HeaderSize bytes in front of it that may be
// overwritten: where a relay writes its own header. It is nil for a Received that
// did not come from a Receiver.
func (p *Received) Packet() []byte { return p.packet }

// Verdict says what a packet is to its leg.
type Verdict uint8

// The verdicts. The first five are packets of the peer, and are passed on; the
// others are only counted.
const (
	Audio     Verdict = iota // audio in a negotiated codec
	Event                    // telephone-event (RFC 4733)
	Noise                    // comfort noise (RFC 3389)
	Late                     // came after a later one, or belongs to a stream that another has replaced: of use to a recording
	Duplicate                // seen before
	Foreign                  // not from the peer that this leg listens to
	Malformed                // not RTP
	Unknown                  // RTP of a payload type that nobody agreed on
	Held                     // waits for a second packet that confirms its source; see Receiver.Released
)

// Usable reports whether a packet with this verdict came from the peer and can
// be read: such packets go to taps.
func (v Verdict) Usable() bool { return v <= Duplicate }

// String names the verdict for counters and logs.
func (v Verdict) String() string {
	names := [...]string{"audio", "event", "noise", "late", "duplicate", "foreign", "malformed", "unknown", "held"}
	if int(v) < len(names) {
		return names[v]
	}
	return "invalid"
}
