package compare

import (
	"math"
	"math/bits"
)

// transform is the discrete Fourier transform of a power of two of values, in
// place; the inverse one is not scaled.
func transform(x []complex128, inverse bool) {
	n := len(x)
	shift := 64 - uint(bits.TrailingZeros(uint(n)))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	sign := -1.0
	if inverse {
		sign = 1
	}
	// One table serves every stage, with a stride.
	roots := make([]complex128, n/2)
	for i := range roots {
		sin, cos := math.Sincos(sign * 2 * math.Pi * float64(i) / float64(n))
		roots[i] = complex(cos, sin)
	}
	for size := 2; size <= n; size *= 2 {
		half, stride := size/2, n/size
		for start := 0; start < n; start += size {
			for k := range half {
				a, b := x[start+k], x[start+k+half]*roots[k*stride]
				x[start+k], x[start+k+half] = a+b, a-b
			}
		}
	}
}

// correlate returns Σ ref[i]·got[i+lag] for every lag from -(len(ref)-1) to
// len(got)-1, the first one at index 0.
func correlate(ref, got []float64) []float64 {
	total := len(ref) + len(got) - 1
	n := 2
	for n < total {
		n *= 2
	}
	// Both are real, so one transform does for both: ref in the real part, got in
	// the imaginary part.
	x := make([]complex128, n)
	for i, v := range ref {
		x[i] = complex(v, 0)
	}
	for i, v := range got {
		x[i] += complex(0, v)
	}
	transform(x, false)
	y := make([]complex128, n)
	for k := range x {
		p, q := x[k], x[(n-k)&(n-1)]
		a := complex(real(p)+real(q), imag(p)-imag(q)) / 2  // of ref
		b := complex(imag(p)+imag(q), -real(p)+real(q)) / 2 // of got
		y[k] = complex(real(a), -imag(a)) * b
	}
	transform(y, true)
	out := make([]float64, total)
	for i := range out {
		lag := i - (len(ref) - 1)
		out[i] = real(y[(lag+n)&(n-1)]) / float64(n)
	}
	return out
}
