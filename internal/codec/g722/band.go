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

	// UPZERO: the leak is 255/256. Neither it nor the step can leave 16 bits.
	step := int32(128)
	if d == 0 {
		step = 0
	}
	for i, old := range b.diff {
		b.zero[i] = (b.zero[i]*255)>>8 + withSign(step, old, d)
	}

	// DELAYA
	b.diff[5], b.diff[4], b.diff[3] = b.diff[4], b.diff[3], b.diff[2]
	b.diff[2], b.diff[1], b.diff[0] = b.diff[1], b.diff[0], saturate(2*d)
	b.signal[1], b.signal[0] = b.signal[0], saturate(2*signal)
	b.partial[1], b.partial[0] = b.partial[0], partial
	b.poles = [2]int32{first, second}

	// FILTEP
	poles := saturate((first*b.signal[0])>>15 + (second*b.signal[1])>>15)
	// FILTEZ
	var sum int32
	for i, w := range b.zero {
		sum += (w * b.diff[i]) >> 15
	}
	b.zeros = saturate(sum)
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
