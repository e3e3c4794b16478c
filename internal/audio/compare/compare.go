package compare

import "math"

// Match is where a reference lies in a signal.
type Match struct {
	// Lag is the place of the reference's first sample in the signal, in samples and
	// parts of one: signal[i+Lag] is reference[i]. Below zero, its beginning is missing.
	Lag float64
	// Correlation of both over the reference's length, the signal counting as silent
	// outside its ends: 1 = the same up to a factor, 0 = unrelated.
	Correlation float64
}

// Samples is the lag to the nearest whole sample.
func (m Match) Samples() int { return int(math.Round(m.Lag)) }

// Align finds the place of ref in got at which both are most alike. Silence is
// like nothing: its correlation is 0.
func Align(ref, got []int16) Match {
	a, b := floats(ref), floats(got)
	if len(a) == 0 || len(b) == 0 {
		return Match{}
	}
	c := correlate(a, b)
	best := 0
	for i, v := range c {
		if v > c[best] {
			best = i
		}
	}
	lag := best - (len(a) - 1)
	m := Match{Lag: float64(lag), Correlation: at(a, b, lag)}
	if best > 0 && best < len(c)-1 {
		m.Lag += vertex(c[best-1], c[best], c[best+1])
	}
	return m
}

// Correlation compares ref with the part of got that begins at a lag, in
// samples: 1 = the same up to a factor, 0 = unrelated.
func Correlation(ref, got []int16, lag int) float64 { return at(floats(ref), floats(got), lag) }

func at(ref, got []float64, lag int) float64 {
	var rr, gg, rg float64
	for i, v := range ref {
		rr += v * v
		if j := i + lag; j >= 0 && j < len(got) {
			gg += got[j] * got[j]
			rg += v * got[j]
		}
	}
	if rr == 0 || gg == 0 {
		return 0
	}
	return rg / math.Sqrt(rr*gg)
}

// vertex is where the parabola through three equidistant points has its top,
// relative to the middle one.
func vertex(left, middle, right float64) float64 {
	curve := left - 2*middle + right
	if curve == 0 {
		return 0
	}
	return (left - right) / (2 * curve)
}

// CrossTalk is how loud other is on a side that should hold own alone, in dB
// against own as it is on that side, whatever the delay of either. It is -Inf
// when nothing of other is found, and +Inf when own is not there at all.
//
// What own explains is taken out first, so that two parties who speak at once
// are no cross-talk.
func CrossTalk(side, own, other []int16) float64 {
	s, a, b := floats(side), floats(own), floats(other)
	energyA, energyB := energy(a), energy(b)
	if energyB == 0 || len(s) == 0 {
		return math.Inf(-1)
	}
	lag := Align(own, side).Samples()
	var dot float64
	for i, v := range a {
		if j := i + lag; j >= 0 && j < len(s) {
			dot += v * s[j]
		}
	}
	if energyA == 0 || dot == 0 {
		return math.Inf(1)
	}
	gain := dot / energyA
	for i, v := range a {
		if j := i + lag; j >= 0 && j < len(s) {
			s[j] -= gain * v
		}
	}
	leak := 0.0
	for _, v := range correlate(b, s) {
		leak = max(leak, math.Abs(v)/energyB)
	}
	// Below a thousandth of the smallest step, it is the transform's rounding.
	if leak*math.Sqrt(energyB/float64(len(b))) < 1e-3 {
		return math.Inf(-1)
	}
	return 20 * math.Log10(leak*math.Sqrt(energyB)/(math.Abs(gain)*math.Sqrt(energyA)))
}

func energy(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func floats(pcm []int16) []float64 {
	out := make([]float64, len(pcm))
	for i, v := range pcm {
		out[i] = float64(v)
	}
	return out
}
