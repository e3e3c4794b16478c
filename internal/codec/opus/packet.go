package opus

import (
	"errors"
	"fmt"
)

// SampleRate is that of all audio here, Hz. Opus also counts RTP time in it,
// whatever the bandwidth (RFC 7587 §4.1).
const SampleRate = 48000

// MaxFrame is how long the audio of a packet can be, in samples per channel
// (120 ms, RFC 6716 §3.2.5, R5).
const MaxFrame = 120 * SampleRate / 1000

// MaxPacket is more than a packet needs: three frames of 1275 bytes, which are
// 60 ms at the highest rate (RFC 6716 §3.2.1), and their lengths.
const MaxPacket = 3*maxFrameBytes + 7

const (
	quantum       = SampleRate / 400 // 2.5 ms, the shortest frame
	maxFrameBytes = 1275
)

// ErrPacket means that the bytes are no Opus packet.
var ErrPacket = errors.New("opus: not an Opus packet")

// Mode is which of its two codecs Opus uses in a packet.
type Mode uint8

// The modes of RFC 6716 §3.1.
const (
	SILK   Mode = iota // linear prediction, for speech
	Hybrid             // SILK below 8 kHz, CELT above
	CELT               // transform, for music and for very short frames
)

// Packet is what a packet says of itself.
type Packet struct {
	Mode   Mode
	Stereo bool
	Frame  int // samples per channel of each frame
	Count  int // frames
	// Empty says that the first frame carries no audio: the sender is silent
	// (DTX) and the decoder is to fill in (RFC 6716 §2.1.9).
	Empty bool
	// Recovers says that the packet carries the frame before its own once more
	// (RFC 6716 §2.1.7).
	Recovers bool
}

// Samples is how long the audio of the packet is, per channel.
func (p Packet) Samples() int { return p.Frame * p.Count }

// frameLength gives the samples of a frame by its configuration number, RFC 6716
// §3.1, table 2.
func frameLength(config byte) (Mode, int) {
	const ms = SampleRate / 1000
	switch {
	case config < 12:
		return SILK, [...]int{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config&3]
	case config < 16:
		return Hybrid, [...]int{10 * ms, 20 * ms}[config&1]
	}
	return CELT, quantum << (config & 3)
}

// Duration is how long the audio of a packet is, in samples per channel. It looks
// at its first bytes only; false when they allow no valid packet.
func Duration(b []byte) (int, bool) {
	if len(b) == 0 {
		return 0, false
	}
	_, frame := frameLength(b[0] >> 3)
	var n int
	switch b[0] & 3 {
	case 0:
		n = 1
	case 1, 2:
		n = 2
	default:
		if len(b) < 2 {
			return 0, false
		}
		n = int(b[1] & 63)
	}
	if n == 0 || n*frame > MaxFrame {
		return 0, false
	}
	return n * frame, true
}

// Parse reads a packet and checks every rule of RFC 6716 §3.4 (R1 to R7). What
// breaks one is ErrPacket.
func Parse(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, fmt.Errorf("%w: it is empty (R1)", ErrPacket)
	}
	var p Packet
	p.Mode, p.Frame = frameLength(b[0] >> 3)
	p.Stereo = b[0]&4 != 0
	var first []byte
	var err error
	switch rest := b[1:]; b[0] & 3 {
	case 0: // one frame
		p.Count, first = 1, rest
	case 1: // two of equal size
		p.Count, first = 2, rest[:len(rest)/2]
		if len(rest)%2 != 0 {
			err = fmt.Errorf("%w: two equal frames in %d bytes (R3)", ErrPacket, len(rest))
		}
	case 2: // two, the size of the first is told
		var second []byte
		p.Count = 2
		if first, second, err = cut(rest); err == nil && len(second) > maxFrameBytes {
			err = fmt.Errorf("%w: a frame of %d bytes (R2)", ErrPacket, len(second))
		}
	default:
		p.Count, first, err = several(rest)
	}
	switch {
	case err != nil:
		return Packet{}, err
	case p.Samples() > MaxFrame:
		return Packet{}, fmt.Errorf("%w: %d frames of %d samples (R5)", ErrPacket, p.Count, p.Frame)
	case len(first) > maxFrameBytes:
		return Packet{}, fmt.Errorf("%w: a frame of %d bytes (R2)", ErrPacket, len(first))
	}
	p.Empty = len(first) <= 1
	p.Recovers = !p.Empty && recovers(p, first[0])
	return p, nil
}

// recovers looks for the LBRR flag behind the voice activity flags, which are the
// first bits of a SILK frame: one per 20 ms of a channel (RFC 6716 §4.2.3). Bits of
// even chances stand in the range coder's first byte as they are.
func recovers(p Packet, flags byte) bool {
	if p.Mode == CELT {
		return false
	}
	n := max(1, p.Frame/(SampleRate/50))
	mid := flags>>(7-n)&1 != 0
	return mid || p.Stereo && flags>>(6-2*n)&1 != 0
}

// frameSize reads the size of a frame in one or two bytes, RFC 6716 §3.2.1.
func frameSize(b []byte) (size, used int, ok bool) {
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0] < 252:
		return int(b[0]), 1, true
	case len(b) == 1:
		return 0, 0, false
	}
	return int(b[1])*4 + int(b[0]), 2, true
}

// cut takes a frame with its size before it off b.
func cut(b []byte) (frame, rest []byte, err error) {
	size, used, ok := frameSize(b)
	if !ok || len(b)-used < size {
		return nil, nil, fmt.Errorf("%w: a frame of %d bytes in %d (R4)", ErrPacket, size, len(b))
	}
	return b[used : used+size], b[used+size:], nil
}

// several reads what follows the first byte of a packet of code 3: any number of
// frames, and padding (RFC 6716 §3.2.5).
func several(b []byte) (count int, first []byte, err error) {
	if len(b) == 0 {
		return 0, nil, fmt.Errorf("%w: no count of frames (R6)", ErrPacket)
	}
	head, b := b[0], b[1:]
	count = int(head & 63)
	if count == 0 {
		return 0, nil, fmt.Errorf("%w: no frames (R5)", ErrPacket)
	}
	if head&0x40 != 0 {
		if b, err = unpad(b); err != nil {
			return 0, nil, err
		}
	}
	if head&0x80 == 0 { // equal sizes
		if len(b)%count != 0 {
			return 0, nil, fmt.Errorf("%w: %d equal frames in %d bytes (R6)", ErrPacket, count, len(b))
		}
		return count, b[:len(b)/count], nil
	}
	left, size0 := b, 0
	total := 0
	for i := range count - 1 {
		size, used, ok := frameSize(left)
		if !ok {
			return 0, nil, fmt.Errorf("%w: %d frames, but %d sizes (R7)", ErrPacket, count, i)
		}
		left = left[used:]
		total += size
		if i == 0 {
			size0 = size
		}
	}
	switch last := len(left) - total; {
	case last < 0 || last > maxFrameBytes:
		return 0, nil, fmt.Errorf("%w: frames of %d bytes in %d (R7)", ErrPacket, total, len(left))
	case count == 1:
		size0 = last
	}
	return count, left[:size0], nil
}

// unpad takes the padding off b, whose length stands at its front.
func unpad(b []byte) ([]byte, error) {
	for padding := 0; ; {
		if len(b) == 0 {
			return nil, fmt.Errorf("%w: padding without an end (R6)", ErrPacket)
		}
		n := b[0]
		b = b[1:]
		if n == 255 {
			padding += 254
			continue
		}
		padding += int(n)
		if padding > len(b) {
			return nil, fmt.Errorf("%w: %d bytes of padding in %d (R6)", ErrPacket, padding, len(b))
		}
		return b[:len(b)-padding], nil
	}
}
