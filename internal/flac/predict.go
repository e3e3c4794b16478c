package flac

import (
	"math"
)

type kind uint8

const (
	constant kind = iota // one value
	verbatim             // as it is
	fixed                // a polynomial through the last samples
	linear               // a weighted sum of the last samples
)

const (
	maxFixed  = 4
	maxLinear = 8
	precision = 14 // bits of a weight
)

// plan is how one channel of a block is coded.
type plan struct {
	kind     kind
	samples  []int32
	width    uint // bits of a sample
	order    int
	shift    int
	coefs    [maxLinear]int32
	residual []int32
	rice     riceCode
}

// search finds plans. It owns what they are made of.
type search struct {
	window   []float64 // of a full block
	windowed []float64
	a, b     []int32 // residuals
	sums     [1 << maxPartition]uint64
}

func newSearch() search {
	s := search{
		window: make([]float64, blockSize), windowed: make([]float64, blockSize),
		a: make([]int32, blockSize), b: make([]int32, blockSize),
	}
	makeWindow(s.window)
	return s
}

// makeWindow fills w with a Tukey window of which one half is flat: the edges of
// a block must not look like events.
func makeWindow(w []float64) {
	edge := max(len(w)/4, 1)
	for i := range w {
		w[i] = 1
		if d := min(i, len(w)-1-i); d < edge {
			w[i] = 0.5 - 0.5*math.Cos(math.Pi*(float64(d)+0.5)/float64(edge))
		}
	}
}

// plan chooses how to code the samples of a channel.
func (s *search) plan(p *plan, x []int32, width uint) {
	*p = plan{kind: verbatim, samples: x, width: width}
	if isConstant(x) {
		p.kind = constant
		return
	}
	best := uint64(len(x)) * uint64(width)
	var order int
	order, p.residual = s.fixed(x)
	p.rice.choose(p.residual, order, len(x), &s.sums)
	if cost := p.rice.bits + uint64(order)*uint64(width); cost < best {
		best, p.kind, p.order = cost, fixed, order
	}
	var other plan
	if !s.linear(&other, x) {
		return
	}
	other.rice.choose(other.residual, other.order, len(x), &s.sums)
	if cost := other.rice.bits + uint64(other.order)*uint64(width+precision) + 9; cost < best {
		other.kind, other.samples, other.width = linear, x, width
		*p = other
	}
}

func isConstant(x []int32) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// fixed finds the polynomial predictor with the smallest residual, RFC 9639
// §9.2.5: of order 0 to 4, each the differences of the one before.
func (s *search) fixed(x []int32) (order int, residual []int32) {
	var sums [maxFixed + 1]uint64
	var d1, d2, d3 int32 // the last differences
	if len(x) <= maxFixed {
		return 0, append(s.a[:0], x...)
	}
	d1 = x[3] - x[2]
	d2 = d1 - (x[2] - x[1])
	d3 = d2 - (x[2] - 2*x[1] + x[0])
	last := x[3]
	for _, v := range x[maxFixed:] {
		e1 := v - last
		e2 := e1 - d1
		e3 := e2 - d2
		e4 := e3 - d3
		sums[0] += uint64(abs(v))
		sums[1] += uint64(abs(e1))
		sums[2] += uint64(abs(e2))
		sums[3] += uint64(abs(e3))
		sums[4] += uint64(abs(e4))
		last, d1, d2, d3 = v, e1, e2, e3
	}
	for i, sum := range sums {
		if sum < sums[order] {
			order = i
		}
	}
	residual = append(s.a[:0], x...)
	for k := range order {
		for i := len(residual) - 1; i > k; i-- {
			residual[i] -= residual[i-1]
		}
	}
	return order, residual[order:]
}

// linear finds the predictor that fits the block best and its residual; false
// when there is none to be had, or it is of no use.
func (s *search) linear(p *plan, x []int32) bool {
	const shortest = 64 // below, the weights cost more than they save
	if len(x) < shortest {
		return false
	}
	window := s.window
	if len(x) != blockSize {
		window = make([]float64, len(x)) // once a file: the last block
		makeWindow(window)
	}
	w := s.windowed[:len(x)]
	for i, v := range x {
		w[i] = float64(v) * window[i]
	}
	var auto [maxLinear + 1]float64
	for lag := range auto {
		sum := 0.0
		for i, v := range w[lag:] {
			sum += v * w[i]
		}
		auto[lag] = sum
	}
	weights, order := levinson(&auto, len(x))
	if order == 0 || !quantise(p, weights[:order]) {
		return false
	}
	p.order = order
	return s.predict(p, x)
}

// levinson solves for the weights of each order in turn (Levinson and Durbin) and
// stops at the order whose residual pays for its weights.
func levinson(auto *[maxLinear + 1]float64, n int) (best [maxLinear]float64, order int) {
	var w [maxLinear]float64
	e := auto[0]
	if e <= 0 {
		return best, 0
	}
	least := math.Inf(1)
	for i := range maxLinear {
		r := auto[i+1]
		for j := range i {
			r -= w[j] * auto[i-j]
		}
		r /= e
		w[i] = r
		for j := range i / 2 {
			a, b := w[j], w[i-1-j]
			w[j], w[i-1-j] = a-r*b, b-r*a
		}
		if i%2 == 1 {
			w[i/2] -= r * w[i/2]
		}
		if e *= 1 - r*r; e <= 0 {
			break
		}
		// Halving the amplitude of the residual saves a bit a sample.
		if cost := 0.5*math.Log2(e)*float64(n) + float64((i+1)*(precision+width)); cost < least {
			least, best, order = cost, w, i+1
		}
	}
	return best, order
}

// quantise makes integers of the weights, carrying the error of each to the next.
func quantise(p *plan, weights []float64) bool {
	top := 0.0
	for _, w := range weights {
		top = max(top, math.Abs(w))
	}
	_, exp := math.Frexp(top) // top < 2^exp
	p.shift = min(precision-1-exp, 15)
	if top == 0 || p.shift < 0 { // a negative shift is not allowed
		return false
	}
	const limit = 1<<(precision-1) - 1
	off := 0.0
	for i, w := range weights {
		off += w * float64(int(1)<<p.shift)
		q := min(max(math.Round(off), -limit-1), limit)
		p.coefs[i] = int32(q)
		off -= q
	}
	return true
}

// predict computes the residual; false when a value of it does not fit.
func (s *search) predict(p *plan, x []int32) bool {
	residual := s.b[:len(x)-p.order]
	c := p.coefs // beyond the order they are 0
	for i := range residual {
		at := i + p.order
		var sum int64
		if at >= maxLinear {
			h := x[at-maxLinear : at]
			sum = int64(c[0])*int64(h[7]) + int64(c[1])*int64(h[6]) + int64(c[2])*int64(h[5]) + int64(c[3])*int64(h[4]) +
				int64(c[4])*int64(h[3]) + int64(c[5])*int64(h[2]) + int64(c[6])*int64(h[1]) + int64(c[7])*int64(h[0])
		} else {
			for k := range p.order {
				sum += int64(c[k]) * int64(x[at-1-k])
			}
		}
		v := int64(x[at]) - sum>>p.shift
		if v > math.MaxInt32/2 || v < math.MinInt32/2 {
			return false
		}
		residual[i] = int32(v)
	}
	p.residual = residual
	return true
}
