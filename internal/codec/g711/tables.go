package g711

// µ-law works on 14 bits and A-law on 13, of which the encoder looks at 12: the
// low bits of a 16-bit sample make no difference, so the tables leave them out.
//
//nolint:gochecknoglobals // tables, computed once and never written again
var (
	fromMu = table(expandMu)
	fromA  = table(expandA)
	toMu   = muTable()
	toA    = aTable()
	muToA  = table(func(b byte) byte { return compressA(expandMu(b)) })
	aToMu  = table(func(b byte) byte { return compressMu(expandA(b)) })
)

func table[T int16 | byte](f func(byte) T) (t [256]T) {
	for i := range t {
		t[i] = f(byte(i))
	}
	return t
}

func muTable() (t [1 << 14]byte) {
	for i := range t {
		t[i] = compressMu(int16(i << 2))
	}
	return t
}

func aTable() (t [1 << 12]byte) {
	for i := range t {
		t[i] = compressA(int16(i << 4))
	}
	return t
}

// The codes hold a sign bit, a segment of 3 bits and a step of 4 bits, and are
// inverted on the line: µ-law all bits (G.711 table 2), A-law every other bit
// (G.711 table 1, note 2).
const (
	signBit  = 0x80
	stepMask = 0x0f
	evenBits = 0x55
	muBias   = 33 // in 14-bit units: makes all segments powers of two
)

// expandMu is the right-hand column of G.711 tables 2a and 2b, in 16-bit units.
func expandMu(code byte) int16 {
	c := ^code
	segment, step := c>>4&7, int16(c&stepMask)
	v := ((step<<1+muBias)<<segment - muBias) << 2
	if c&signBit != 0 {
		return -v
	}
	return v
}

// expandA is the right-hand column of G.711 tables 1a and 1b, in 16-bit units.
func expandA(code byte) int16 {
	c := code ^ evenBits
	segment, step := c>>4&7, int16(c&stepMask)
	v := step<<1 + 1
	if segment > 0 {
		v = (v + 32) << (segment - 1)
	}
	v <<= 3
	if c&signBit == 0 {
		return -v
	}
	return v
}

// compressMu finds the code of the interval that holds the sample. Negative
// samples take the one's complement, as ITU-T G.191 does, so that both signs have
// the same intervals.
func compressMu(v int16) byte {
	const clip = 0x1fff // the largest magnitude, bias included
	sign := byte(signBit)
	if v < 0 {
		v, sign = ^v, 0
	}
	m := min(v>>2+muBias, clip)
	segment := byte(0)
	for m>>(segment+6) != 0 {
		segment++
	}
	step := byte(m>>(segment+1)) & stepMask
	return sign | (^(segment<<4 | step) & 0x7f)
}

// compressA likewise, for A-law.
func compressA(v int16) byte {
	sign := byte(signBit)
	if v < 0 {
		v, sign = ^v, 0
	}
	m := v >> 4 // 11 bits
	segment := byte(0)
	for m>>(segment+5) != 0 {
		segment++
	}
	code := byte(m) & 0x1f // the first two segments share a step size
	if segment > 0 {
		code = (segment+1)<<4 | byte(m>>segment)&stepMask
	}
	return sign | code ^ evenBits
}
