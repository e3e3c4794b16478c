package rtp

import "encoding/binary"

// eventSize is the size of a telephone-event payload (RFC 4733 §2.3).
const eventSize = 4

// reordered is how far back a packet of an older digit may be, in clock units
// (16 s at 8 kHz). Further back, the sender has set its clock back.
const reordered = 1 << 17

// TelephoneEvent is what one packet says of a key that is pressed (RFC 4733
// §2.3).
type TelephoneEvent struct {
	Code     uint8
	End      bool
	Volume   uint8  // level below the reference, dBm0: 0 to 63
	Duration uint16 // so far, in units of the RTP clock
}

// ParseEvent reads the payload of a telephone-event packet. It reports false for
// one that is too short.
func ParseEvent(payload []byte) (TelephoneEvent, bool) {
	if len(payload) < eventSize {
		return TelephoneEvent{}, false
	}
	return TelephoneEvent{
		Code: payload[0], End: payload[1]&0x80 != 0, Volume: payload[1] & 0x3f, Duration: binary.BigEndian.Uint16(payload[2:]),
	}, true
}

// Digit is the key, '0' to '9', '*', '#' or 'A' to 'D' (RFC 4733 §3.2); false for
// an event that is no key.
func (e TelephoneEvent) Digit() (byte, bool) {
	const digits = "0123456789*#ABCD"
	if int(e.Code) >= len(digits) {
		return 0, false
	}
	return digits[e.Code], true
}

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
	e, ok := ParseEvent(p.Payload)
	if !ok {
		return 0, false
	}
	code, ended, duration := e.Code, e.End, e.Duration
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
	if again || segment {
		return 0, false
	}
	return e.Digit()
}
