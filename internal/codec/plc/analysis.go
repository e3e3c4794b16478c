package plc

import "math"

// predict finds the weights, oldest sample first, that predict a sample of x from
// those before it best (autocorrelation method, Levinson and Durbin). x has been
// through a window. False when it is next to silence.
func predict(x []float32, weight []float32) bool {
	order := len(weight)
	var r [maxOrder + 1]float64
	for k := range order + 1 {
		r[k] = float64(dot(x[k:], x))
	}
	if r[0] < float64(len(x)) {
		return false
	}
	r[0] *= 1.0001 // as if there were some noise, 40 dB down: no sharp resonance
	var a, b [maxOrder]float64
	rest := r[0]
	for i := range order {
		sum := r[i+1]
		for k := range i {
			sum -= a[k] * r[i-k]
		}
		reflection := sum / rest
		copy(b[:i], a[:i])
		for k := range i {
			a[k] = b[k] - reflection*b[i-1-k]
		}
		a[i] = reflection
		rest *= 1 - reflection*reflection
	}
	// A little wider resonances decay, whatever the excitation.
	const wider = 0.99
	factor := wider
	for k := range order {
		weight[order-1-k] = float32(a[k] * factor)
		factor *= wider
	}
	return true
}

// hamming is the window of that name.
func hamming(n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(0.54 - 0.46*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n)))
	}
	return w
}

// decimation is by how much the rate may be lowered for finding the pitch.
func decimation(rate int) int { return max(rate/8000, 1) }

// pitch finds the period of the end of the history, 5 to 16 ms, and how alike two
// periods are (0 to 1).
func (c *channel) pitch(rate int) (period int, likeness float64) {
	d := decimation(rate)
	recent := c.recent[len(c.recent)-d*len(c.small):]
	for i := range c.small {
		sum := float32(0)
		for _, v := range recent[i*d : (i+1)*d] {
			sum += v
		}
		c.small[i] = sum
	}
	low := rate / d
	best, _ := search(c.small, low*5/millisec, low*16/millisec, low*10/millisec)
	if d == 1 {
		return search(c.recent, best, best, rate*10/millisec)
	}
	return search(c.recent, (best-1)*d, min((best+1)*d, rate*17/millisec), rate*10/millisec)
}

// search finds the lag, of from to to, at which the last n samples of x are most
// like those before them.
func search(x []float32, from, to, n int) (lag int, likeness float64) {
	now := x[len(x)-n:]
	energy := float64(dot(now, now))
	past := x[len(x)-n-from : len(x)-from]
	before := float64(dot(past, past))
	lag = from
	for k := from; k <= to; k++ {
		past = x[len(x)-n-k:][:n]
		sum := float64(dot(now, past))
		if norm := math.Sqrt(energy * before); norm > 0 && sum/norm > likeness {
			lag, likeness = k, sum/norm
		}
		if k < to {
			first, last := float64(x[len(x)-n-k-1]), float64(past[n-1])
			before = max(before+first*first-last*last, 0)
		}
	}
	return lag, likeness
}

// dot is the sum of the products; y is at least as long as x. Four sums, because
// each addition waits for the one before it.
func dot(x, y []float32) float32 {
	var a, b, c, d float32
	y = y[:len(x)]
	i := 0
	for ; i < len(x)-3; i += 4 {
		a += x[i] * y[i]
		b += x[i+1] * y[i+1]
		c += x[i+2] * y[i+2]
		d += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		a += x[i] * y[i]
	}
	return a + b + (c + d)
}
