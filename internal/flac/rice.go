package flac

import "math/bits"

const (
	maxPartition = 6  // 2^6 partitions of 64 samples
	maxParameter = 30 // of Rice codes, in five bits
	wideFrom     = 15 // parameters from here on need five bits; 15 itself is an escape in four
)

// riceCode is how a residual is coded: 2^order partitions, each with its own
// parameter (RFC 9639 §9.2.7).
type riceCode struct {
	order  int
	wide   bool // parameters take five bits
	params [1 << maxPartition]uint8
	bits   uint64
}

// zigzag makes small positive numbers of small numbers.
func zigzag(v int32) uint32 { return uint32(v<<1) ^ uint32(v>>31) }

// choose finds the cheapest code of a residual of n samples less the predictor's
// order; sums is scratch.
func (c *riceCode) choose(residual []int32, predictor, n int, sums *[1 << maxPartition]uint64) {
	top := min(maxPartition, bits.TrailingZeros(uint(n)))
	for top > 0 && n>>top <= predictor {
		top--
	}
	size := n >> top
	at := 0
	for p := range 1 << top {
		end := (p+1)*size - predictor
		var sum uint64
		for _, v := range residual[at:end] {
			sum += uint64(zigzag(v))
		}
		sums[p], at = sum, end
	}
	best := riceCode{bits: 1 << 62}
	for order := top; order >= 0; order-- {
		if order < top {
			for p := range 1 << order {
				sums[p] = sums[2*p] + sums[2*p+1]
			}
		}
		var t riceCode
		t.order, t.bits = order, 6
		for p := range 1 << order {
			count := n >> order
			if p == 0 {
				count -= predictor
			}
			k, cost := parameter(sums[p], uint64(count))
			t.params[p] = k
			t.bits += cost + 4
			t.wide = t.wide || k >= wideFrom
		}
		if t.wide {
			t.bits += 1 << order
		}
		if t.bits < best.bits {
			best = t
		}
	}
	*c = best
}

// parameter finds the best parameter for so many numbers of such a sum, and
// about how many bits they take.
func parameter(sum, count uint64) (k uint8, cost uint64) {
	if count == 0 {
		return 0, 0
	}
	guess := max(0, bits.Len64(sum/count)-1)
	cost = 1 << 62
	for t := max(guess-1, 0); t <= min(guess+1, maxParameter); t++ {
		// The sum of the upper parts is at most sum>>t; half of the lower bits
		// are lost in each number on average.
		upper := sum >> t
		if t > 0 {
			upper -= min(upper, count/2)
		}
		if c := count*uint64(t+1) + upper; c < cost {
			k, cost = uint8(t), c
		}
	}
	return k, cost
}

// write appends the residual.
func (c *riceCode) write(b *bitWriter, residual []int32, predictor, n int) {
	method, wide := uint64(0), uint(4)
	if c.wide {
		method, wide = 1, 5
	}
	b.write(method, 2)
	b.write(uint64(c.order), 4)
	at := 0
	for p := range 1 << c.order {
		k := uint(c.params[p])
		b.write(uint64(k), wide)
		end := (p+1)*(n>>c.order) - predictor
		for _, v := range residual[at:end] {
			b.rice(zigzag(v), k)
		}
		at = end
	}
}
