package audio

import "math"

// attenuation is what the filters take from the stop-band, dB. The promise is 80;
// the rest is for the rounding of the samples.
const attenuation = 86

// lowpass is a windowed sinc (Kaiser window), sampled at several phases: row p
// holds the weights of the inputs around an output that lies p/phases of a sample
// after an input.
type lowpass struct {
	taps   int
	phases int
	weight []float32 // phases rows of taps
}

// newLowpass designs a filter for signals in which it takes two samples to a
// cycle of frequency 1. It passes up to pass and stops from stop on.
func newLowpass(phases int, pass, stop float64) *lowpass {
	// Oppenheim, Schafer: Discrete-Time Signal Processing, §7.6: length and shape
	// of the Kaiser window for an attenuation and a width of the transition.
	length := (attenuation - 7.95) / (14.36 * (stop - pass) / 2)
	// Short filters miss the rule's attenuation by some dB, so they get some taps more.
	half := (int(math.Ceil(length)) + 4 + 3) / 4 * 2
	f := &lowpass{taps: 2 * half, phases: phases, weight: make([]float32, 0, phases*2*half)}
	const beta = 0.1102 * (attenuation - 8.7)
	cutoff, top := (pass+stop)/2, bessel(beta)
	row := make([]float64, f.taps)
	for p := range phases {
		sum := 0.0
		for k := range row {
			d := float64(p)/float64(phases) + float64(half-1-k)
			row[k] = sinc(cutoff*d) * kaiser(beta, d/float64(half)) / top
			sum += row[k]
		}
		for _, w := range row {
			f.weight = append(f.weight, float32(w/sum)) // each phase has a gain of 1 at 0 Hz
		}
	}
	return f
}

// row returns the weights of a phase.
func (f *lowpass) row(phase int) []float32 {
	return f.weight[phase*f.taps : (phase+1)*f.taps]
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window at x, which is 1 at its edge, up to a factor.
func kaiser(beta, x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(beta * math.Sqrt(1-x*x))
}

// bessel is the modified Bessel function of the first kind and order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// dot is the sum of the products, added in their order. x is as long as weight.
func dot(weight, x []float32) float32 {
	var sum float32
	x = x[:len(weight)]
	for i, w := range weight {
		sum += w * x[i]
	}
	return sum
}

// dot2 is dot with two sums, because each addition waits for the one before it.
// The number of weights is even.
func dot2(weight, x []float32) float32 {
	var a, b float32
	x = x[:len(weight)]
	for i := 0; i < len(weight)-1; i += 2 {
		a += weight[i] * x[i]
		b += weight[i+1] * x[i+1]
	}
	return a + b
}

// dot4 is dot at four places of x in a row, at twice the speed: a weight and a
// value are read once for four products. The number of weights is a multiple of
// 4, and x has 3 values more.
func dot4(weight, x []float32) (a, b, c, d float32) {
	n := len(weight)
	x = x[:n+3]
	x0, x1, x2 := x[0], x[1], x[2]
	ahead := x[3:][:n]
	for i := 0; i < n-3; i += 4 {
		w, x3 := weight[i], ahead[i]
		a, b, c, d = a+w*x0, b+w*x1, c+w*x2, d+w*x3
		w, x0 = weight[i+1], ahead[i+1]
		a, b, c, d = a+w*x1, b+w*x2, c+w*x3, d+w*x0
		w, x1 = weight[i+2], ahead[i+2]
		a, b, c, d = a+w*x2, b+w*x3, c+w*x0, d+w*x1
		w, x2 = weight[i+3], ahead[i+3]
		a, b, c, d = a+w*x3, b+w*x0, c+w*x1, d+w*x2
	}
	return a, b, c, d
}
