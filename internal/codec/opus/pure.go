package opus

import (
	"fmt"
	"slices"
)

// decodePure decodes without libopus. pion/opus 0.1.0 has no concealment and no
// DTX: a frame without audio is concealed like a lost one. A sender that begins to
// speak in the middle of a packet has such frames before the others.
func (d *Decoder) decodePure(dst []int16, payload []byte, p Packet) (int, error) {
	d.frames = split(d.frames[:0], payload)
	if !slices.ContainsFunc(d.frames, silent) {
		return len(dst), d.decodeWhole(dst, payload)
	}
	size := p.Frame * d.channels
	for i, frame := range d.frames {
		part := dst[i*size : (i+1)*size]
		if silent(frame) {
			d.Conceal(part)
			continue
		}
		d.single = append(append(d.single[:0], payload[0]&^3), frame...)
		if err := d.decodeWhole(part, d.single); err != nil {
			return 0, err
		}
	}
	return len(dst), nil
}

// silent says that a frame carries no audio (RFC 6716 §2.1.9).
func silent(frame []byte) bool { return len(frame) <= 1 }

// decodeWhole decodes a packet whose frames all carry audio, as much as dst holds.
func (d *Decoder) decodeWhole(dst []int16, payload []byte) error {
	n, err := d.pure.DecodeToInt16(payload, dst)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if n*d.channels != len(dst) {
		return fmt.Errorf("%w: %d samples of %d came out", ErrPacket, n, len(dst)/d.channels)
	}
	d.last = append(d.last[:0], dst...)
	d.heard()
	return nil
}

// split appends the frames of a packet that Parse has taken.
func split(frames [][]byte, b []byte) [][]byte {
	rest := b[1:]
	switch b[0] & 3 {
	case 0:
		return append(frames, rest)
	case 1:
		half := len(rest) / 2
		return append(frames, rest[:half], rest[half:])
	case 2:
		first, second, _ := cut(rest)
		return append(frames, first, second)
	}
	head, rest := rest[0], rest[1:]
	count := int(head & 63)
	if head&0x40 != 0 {
		rest, _ = unpad(rest)
	}
	var sizes [MaxFrame / quantum]int
	total := 0
	for i := range count - 1 {
		sizes[i] = len(rest) / count
		if head&0x80 != 0 {
			size, used, _ := frameSize(rest[total:])
			sizes[i], total = size, total+used
		}
	}
	rest = rest[total:]
	for _, n := range sizes[:count-1] {
		frames, rest = append(frames, rest[:n]), rest[n:]
	}
	return append(frames, rest)
}

// concealPure goes back over the last frame, mirrored at its end and again at its
// beginning: no step at the seams, and the same spectrum.
func (d *Decoder) concealPure(dst []int16) {
	frames, c := len(d.last)/d.channels, d.channels
	if frames == 0 {
		clear(dst)
		return
	}
	for i := 0; i < len(dst); i++ {
		at := (d.concealed + i/c) % (2 * frames)
		if at < frames {
			at = frames - 1 - at
		} else {
			at -= frames
		}
		dst[i] = d.last[at*c+i%c]
	}
}
