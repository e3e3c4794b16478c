package g722

import "math"

// band is the adaptive predictor and quantiser scale of one sub-band. Encoder and
// decoder keep the same one in step.
type band struct {
	estimate int32    // s: what the predictor expects
	zeros    int32    // sz: the part of it that the zeros expect
	poles    [2]int32 // a1, a2
	zero     [6]int32 // b1 to b6
	diff     [6]int32 // the last quantised differences, doubled, newest first
	signal   [2]int32 // the last reconstructed values, doubled, newest first
	partial  [2]int32 // the last values reconstructed by the zeros alone
	log      int32    // nb: logarithm of the scale
	scale    int32    // det
}

// saturate limits to 16 bits.
func saturate(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

// withSign is v when a and b have the same sign, and −v otherwise. 0 counts as
// positive.
func withSign(v, a, b int32) int32 {
	differ := (a ^ b) >> 31
	return (v ^ differ) - differ
}

// update takes the quantised difference and makes the next estimate. It is on the
// way of every sample.
func (b *band) update(d int32) {
	// RECONS, PARREC
	signal := saturate(b.estimate + d)
	partial := saturate(b.zeros + d)

	// UPPOL2
	wd := saturate(4 * b.poles[0])
	wd = min(-withSign(wd, partial, b.partial[0]), math.MaxInt16)
	second := withSign(128, partial, b.partial[1]) + wd>>7 + (b.poles[1]*32512)>>15
	second = min(max(second, -12288), 12288)
	// UPPOL1
	first := withSign(192, partial, b.partial[0]) + (b.poles[0]*32640)>>15
	limit := 15360 - second
	first = min(max(first, -limit), limit)

	// UPZERO: the leak is 255/256. Neither it nor the step can leave 16 bits. DELAYA
	// of the differences, and FILTEZ with the new ones. Written out, because the loop
	// would take as long again.
	step := int32(128)
	if d == 0 {
		step = 0
	}
	z, x := &b.zero, &b.diff
	z[0] = (z[0]*255)>>8 + withSign(step, x[0], d)
	z[1] = (z[1]*255)>>8 + withSign(step, x[1], d)
	z[2] = (z[2]*255)>>8 + withSign(step, x[2], d)
	z[3] = (z[3]*255)>>8 + withSign(step, x[3], d)
	z[4] = (z[4]*255)>>8 + withSign(step, x[4], d)
	z[5] = (z[5]*255)>>8 + withSign(step, x[5], d)
	x[5], x[4], x[3], x[2], x[1], x[0] = x[4], x[3], x[2], x[1], x[0], saturate(2*d)
	b.zeros = saturate((z[0]*x[0])>>15 + (z[1]*x[1])>>15 + (z[2]*x[2])>>15 +
		(z[3]*x[3])>>15 + (z[4]*x[4])>>15 + (z[5]*x[5])>>15)

	// DELAYA, FILTEP
	b.signal[1], b.signal[0] = b.signal[0], saturate(2*signal)
	b.partial[1], b.partial[0] = b.partial[0], partial
	b.poles = [2]int32{first, second}
	poles := saturate((first*b.signal[0])>>15 + (second*b.signal[1])>>15)
	// PREDIC
	b.estimate = saturate(poles + b.zeros)
}

// rescale is LOGSCL or LOGSCH, and SCALEL or SCALEH: it moves the logarithm by so
// much, no further than limit, and makes the scale of it.
func (b *band) rescale(by, limit int32, shift int32) {
	b.log = min(max((b.log*127)>>7+by, 0), limit)
	root := roots[b.log>>6&31]
	if shift -= b.log >> 11; shift < 0 {
		b.scale = root << -shift << 2
	} else {
		b.scale = root >> shift << 2
	}
}

// low takes the code of the lower band's difference, cut to 4 bits.
func (b *band) low(code int32) {
	d := (b.scale * low4[code]) >> 15
	b.rescale(lowSteps[code], 18432, 8)
	b.update(d)
}

// high takes the code of the upper band's difference, 2 bits, and returns what
// the band becomes.
func (b *band) high(code int32) int32 {
	d := (b.scale * high2[code]) >> 15
	r := limit15(d + b.estimate)
	b.rescale(highSteps[code], 22528, 10)
	b.update(d)
	return r
}

// limit15 limits the reconstructed signal of a band to 15 bits (LIMIT).
func limit15(v int32) int32 { return min(max(v, -16384), 16383) }

// both is the state of the two sub-bands.
type both struct{ lower, upper band }

func fresh() both {
	return both{lower: band{scale: 32}, upper: band{scale: 8}} // G.722 §6.2, RESET
}
