package audio

import (
	"math"
	"slices"
	"sync"
)

// Varispeed stretches or shrinks mono audio a little and without a break, to
// follow a clock: some hundred parts in a million, where no ear hears the change
// of pitch. What is not stretched comes out bit by bit as it went in. Otherwise
// the error is at least 70 dB down, up to 7/8 of half the sample rate.
//
// A Varispeed serves one run of audio that belongs together and is for one
// goroutine. After the first calls it allocates nothing but what dst lacks.
type Varispeed struct {
	buf   []float32 // inputs that are still needed
	ahead float64   // from where the inputs so far end to the next output, in outputs
	due   []float64 // places of the next outputs in buf
}

// NewVarispeed makes one for a new run.
func NewVarispeed() *Varispeed {
	v := &Varispeed{}
	v.Reset()
	return v
}

// Process takes the next samples, which shall last for so many samples of the
// output, seldom a whole number, and appends what is known of the output to dst.
// The newest samples, some 3 ms at 8 kHz, stay inside until those after them or
// Flush come. Of N samples of length in all, the output has N, rounded up.
func (v *Varispeed) Process(dst, src []int16, length float64) []int16 {
	if len(src) == 0 || !(length > 0) || math.IsInf(length, 1) {
		return dst
	}
	// Sums of lengths miss whole numbers by their rounding; an output that comes a
	// millionth of a sample early is right all the same.
	const early = 1e-6
	begin, step := float64(len(v.buf)), float64(len(src))/length
	at := v.ahead
	for ; at < length-early; at++ {
		v.due = append(v.due, begin+at*step)
	}
	v.ahead = at - length
	for _, s := range src {
		v.buf = append(v.buf, float32(s))
	}
	return v.run(slices.Grow(dst, len(v.due)))
}

// Flush appends the rest and begins a new run.
func (v *Varispeed) Flush(dst []int16) []int16 {
	for range fine().taps {
		v.buf = append(v.buf, 0)
	}
	dst = v.run(dst)
	v.Reset()
	return dst
}

// Reset forgets the run.
func (v *Varispeed) Reset() {
	v.ahead, v.due = 0, v.due[:0]
	v.buf = append(v.buf[:0], make([]float32, fine().taps/2-1)...)
}

// run appends the outputs whose inputs are there.
func (v *Varispeed) run(dst []int16) []int16 {
	f := fine()
	before, after := f.taps/2-1, f.taps/2
	done := 0
	for _, place := range v.due {
		n := uint(place*finePhases + 0.5)
		k, phase := int(n/finePhases), int(n%finePhases)
		if k+after >= len(v.buf) {
			break
		}
		if phase == 0 {
			dst = append(dst, int16(v.buf[k]))
		} else {
			dst = append(dst, round(dot2(f.row(phase), v.buf[k-before:k+after+1])))
		}
		done++
	}
	v.due = v.due[:copy(v.due, v.due[done:])]
	// The next output lies at one of the places, or behind the inputs.
	drop := len(v.buf)
	if len(v.due) > 0 {
		drop = int(v.due[0])
	}
	if drop -= f.taps; drop > 0 {
		v.buf = v.buf[:copy(v.buf, v.buf[drop:])]
		for i := range v.due {
			v.due[i] -= float64(drop)
		}
	}
	return dst
}

// finePhases is how many places between two samples there are weights for.
const finePhases = 4096

// fine holds the weights for places between two samples. To miss a place by up to
// 1/8192 of a sample is an error of −85 dB for a tone of an eighth of the rate.
//
//nolint:gochecknoglobals // a table, computed once and never written again
var fine = sync.OnceValue(func() *lowpass { return newLowpass(finePhases, 7./8, 9./8) })
