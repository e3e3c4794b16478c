package rtp

import "encoding/binary"

// eventSize is the size of a telephone-event payload (RFC 4733 §2.3).
const eventSize = 4

// reordered is how far back a packet of an older digit may be, in clock units
// (16 s at 8 kHz). Further back, the sender has set its clock back.
const reordered = 1 << 17

// Digits reports the digits of one telephone-event stream, each once: a digit
// comes in many packets that carry the same timestamp, and its last one three
// times (RFC 4733 §2.5.1). The zero value is ready.
type Digits struct {
	begun    bool
	ssrc     uint32
	code     uint8
	time     uint64
	duration uint16
	ended    bool
}

// Read takes a packet with verdict Event. It returns the digit ('0' to '9', '*',
// '#', 'A' to 'D') when this is the first packet of it, whether that is the first
// one sent or not.
func (d *Digits) Read(p *Received) (digit byte, ok bool) {
	if len(p.Payload) < eventSize {
		return 0, false
	}
	const digits = "0123456789*#ABCD"
	code, ended := p.Payload[0], p.Payload[1]&0x80 != 0
	duration := binary.BigEndian.Uint16(p.Payload[2:])
	same := d.begun && d.ssrc == p.SSRC
	if same && p.Time < d.time && d.time-p.Time < reordered {
		return 0, false // of a digit before
	}
	again := same && p.Time == d.time
	// RFC 4733 §2.5.1.3: a digit longer than 65,535 units goes on in another
	// segment, which begins where the last one ends and is not marked.
	segment := same && !d.ended && code == d.code && !p.Marker && p.Time == d.time+uint64(d.duration)
	d.begun, d.ssrc, d.code, d.time = true, p.SSRC, code, p.Time
	if again {
		d.duration, d.ended = max(d.duration, duration), d.ended || ended
	} else {
		d.duration, d.ended = duration, ended
	}
	if again || segment || int(code) >= len(digits) {
		return 0, false
	}
	return digits[code], true
}
