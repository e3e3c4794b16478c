package opus

import "fmt"

// decodePure decodes without libopus. pion/opus 0.1.0 has no concealment and no
// DTX: a packet without audio is concealed like a lost one.
func (d *Decoder) decodePure(dst []int16, payload []byte, p Packet) (int, error) {
	if p.Empty {
		d.Conceal(dst)
		return len(dst), nil
	}
	n, err := d.pure.DecodeToInt16(payload, dst)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if n*d.channels != len(dst) {
		return 0, fmt.Errorf("%w: %d samples of %d came out", ErrPacket, n, p.Samples())
	}
	d.last = append(d.last[:0], dst...)
	d.heard()
	return len(dst), nil
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
