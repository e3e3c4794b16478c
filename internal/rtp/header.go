package rtp

import "encoding/binary"

// HeaderSize is the size of an RTP header without contributing sources and
// extension, which is what we send (RFC 3550 §5.1).
const HeaderSize = 12

const version = 2

// header is what we read of an RTP header.
type header struct {
	seq     uint16
	time    uint32
	ssrc    uint32
	pt      uint8
	marker  bool
	payload int // where the payload begins
	end     int // where it ends; padding follows
}

// parse reads an RTP header (RFC 3550 §5.1). Contributing sources and header
// extensions are passed over, whatever they hold: they say nothing that a
// recording needs, and audio must not be lost because of them.
func parse(b []byte) (h header, ok bool) {
	if len(b) < HeaderSize || b[0]>>6 != version {
		return h, false
	}
	off := HeaderSize + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 { // extension, RFC 3550 §5.3.1
		if len(b) < off+4 {
			return h, false
		}
		off += 4 + 4*int(binary.BigEndian.Uint16(b[off+2:]))
	}
	end := len(b)
	if off > end {
		return h, false
	}
	if b[0]&0x20 != 0 { // padding: the last byte counts itself and the rest
		if end == off {
			return h, false
		}
		pad := int(b[end-1])
		if pad == 0 || pad > end-off {
			return h, false
		}
		end -= pad
	}
	return header{
		seq:     binary.BigEndian.Uint16(b[2:]),
		time:    binary.BigEndian.Uint32(b[4:]),
		ssrc:    binary.BigEndian.Uint32(b[8:]),
		pt:      b[1] & 0x7f,
		marker:  b[1]&0x80 != 0,
		payload: off,
		end:     end,
	}, true
}

// putHeader writes an RTP header without contributing sources and extension.
func putHeader(b []byte, pt uint8, marker bool, seq uint16, time, ssrc uint32) {
	_ = b[HeaderSize-1]
	b[0] = version << 6
	b[1] = pt & 0x7f
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], time)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}
