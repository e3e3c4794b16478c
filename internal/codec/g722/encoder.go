package g722

// Encoder turns PCM into bytes of 64 kbit/s. It belongs to one stream.
type Encoder struct {
	bands  both
	filter analysis
}

// NewEncoder makes an encoder.
func NewEncoder() *Encoder { return &Encoder{bands: fresh()} }

// Encode writes a byte for each two samples to dst, which must be long enough. An
// odd sample at the end is left out.
func (e *Encoder) Encode(dst []byte, src []int16) {
	for len(src) >= 2 {
		n := min(len(src)/2, block)
		e.filter.put(src[:2*n])
		for i := range n {
			low, high := e.filter.at(i)
			code := e.bands.encode(low, high)
			e.bands.lower.low(int32(code) & 0x3f >> 2)
			e.bands.upper.high(int32(code) >> 6)
			dst[i] = code
		}
		e.filter.done(n)
		dst, src = dst[n:], src[2*n:]
	}
}

// encode quantises a value of each band; the state stays as it is.
func (b *both) encode(low, high int32) byte {
	return byte(quantiseHigh(saturate(high-b.upper.estimate), b.upper.scale)<<6 |
		quantiseLow(saturate(low-b.lower.estimate), b.lower.scale))
}

// quantiseLow is QUANTL: 6 bits for a difference of the lower band.
func quantiseLow(d, scale int32) int32 {
	size := d
	if d < 0 {
		size = -(d + 1)
	}
	// The level is how many borders the size reaches.
	from, to := 0, len(borders)
	for from < to {
		mid := (from + to) / 2
		if size < (borders[mid]*scale)>>12 {
			to = mid
		} else {
			from = mid + 1
		}
	}
	level := int32(from)
	switch {
	case d >= 0:
		return 61 - level // ILP: 61 to 32
	case level < 2:
		return 63 - level // ILN: 63, 62,
	default:
		return 33 - level // then 31 to 4
	}
}

// quantiseHigh is QUANTH: 2 bits for a difference of the upper band.
func quantiseHigh(d, scale int32) int32 {
	size, inside := d, int32(1)
	if d < 0 {
		size = -(d + 1)
	}
	if size >= (highBorder*scale)>>12 {
		inside = 0
	}
	if d < 0 {
		return inside // IHN: 1 inside, 0 outside
	}
	return 2 + inside // IHP: 3 inside, 2 outside
}
