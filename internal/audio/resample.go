package audio

import (
	"math"
	"slices"
)

// Resampler brings mono audio from one sample rate to another with a
// band-limiting filter. What lies above the lower rate's half is at least 80 dB
// down, also what would be mirrored; up to 7/8 of that half the gain is even
// within 0.01 dB. The phase is linear and its delay is made up for: a sound is at
// the same time before and after.
//
// A Resampler serves one stream and is for one goroutine. After the first calls
// it allocates nothing but what dst lacks.
type Resampler struct {
	from, to int
	stages   []*stage
	scratch  [2][]float32
	in       int64 // samples taken
	out      int64 // samples given
}

// Rates that a Resampler works with, Hz.
const (
	minRate = 1000
	maxRate = 384000
)

// block is how many samples pass through the filters at once.
const block = 1024

// NewResampler makes a resampler between two rates in Hz. With equal rates, or
// rates under 1 kHz or over 384 kHz, it copies.
func NewResampler(from, to int) *Resampler {
	r := &Resampler{from: from, to: to}
	if from == to || min(from, to) < minRate || max(from, to) > maxRate {
		r.from, r.to = 1, 1
		return r
	}
	// The edge of the band needs a long filter, which is cheap at low rates only.
	// Where the rates are far apart, it works at twice the lower one, and a short
	// filter does the rest.
	switch {
	case to >= 3*from:
		r.stages = []*stage{newStage(from, 2*from, from), newStage(2*from, to, from)}
	case from >= 3*to:
		r.stages = []*stage{newStage(from, 2*to, to), newStage(2*to, to, to)}
	default:
		r.stages = []*stage{newStage(from, to, min(from, to))}
	}
	return r
}

// Process takes the next samples and appends what is known of the output to dst.
// The newest samples, some 6 ms of the lower rate, stay inside until the samples
// after them or Flush come.
func (r *Resampler) Process(dst, src []int16) []int16 {
	r.in += int64(len(src))
	if len(r.stages) == 0 {
		r.out += int64(len(src))
		return append(dst, src...)
	}
	dst = slices.Grow(dst, int(r.due()-r.out))
	for len(src) > 0 {
		n := min(len(src), block)
		r.stages[0].take(src[:n])
		dst = r.run(dst)
		src = src[n:]
	}
	return dst
}

// Flush appends the rest, so that the output has round(n·to/from) samples for n
// samples of input, and begins anew.
func (r *Resampler) Flush(dst []int16) []int16 {
	want := len(dst) + int(r.due()-r.out)
	for len(dst) < want {
		r.stages[0].silence()
		dst = r.run(dst)
	}
	r.Reset()
	return dst[:want]
}

// Reset forgets all input.
func (r *Resampler) Reset() {
	r.in, r.out = 0, 0
	for _, s := range r.stages {
		s.reset()
	}
}

// due is how many samples the input so far becomes.
func (r *Resampler) due() int64 {
	return (2*r.in*int64(r.to) + int64(r.from)) / (2 * int64(r.from))
}

// run lets the first stage's input pass through all.
func (r *Resampler) run(dst []int16) []int16 {
	var pcm []float32
	for i, s := range r.stages {
		if i > 0 {
			s.buf = append(s.buf, pcm...)
		}
		pcm = s.run(r.scratch[i][:0])
		r.scratch[i] = pcm
	}
	r.out += int64(len(pcm))
	for _, v := range pcm {
		dst = append(dst, round(v))
	}
	return dst
}

// round makes a sample of a value, saturating.
func round(v float32) int16 {
	v = min(max(v, math.MinInt16), math.MaxInt16)
	return int16(int32(v+(MaxLevel+0.5)) - MaxLevel) // positive, so that cutting rounds down
}

// stage changes the rate by a ratio of two whole numbers.
type stage struct {
	filter       *lowpass
	up, down     int
	whole, parts int       // one output's step: whole inputs and parts/up
	buf          []float32 // input from the first tap of the next output on
	next         int       // first tap of the next output in buf
	phase        int       // of the next output, in 1/up of an input
}

// maxPhases bounds the size of a filter for odd ratios. Their outputs are placed
// to 1/4096 of a sample.
const maxPhases = 2048

// newStage makes the step between two rates of a signal that has, or shall have,
// nothing above half of the rate band.
func newStage(from, to, band int) *stage {
	g := gcd(from, to)
	s := &stage{up: to / g, down: from / g}
	s.whole, s.parts = s.down/s.up, s.down%s.up
	nyquist := float64(from) / 2
	edge := float64(band) / 2
	const flat = 7. / 8
	pass, stop := flat*edge, edge
	if low := min(from, to); low > band {
		pass, stop = edge, float64(low)-edge // only mirrors are to be stopped
	}
	s.filter = newLowpass(min(s.up, maxPhases), pass/nyquist, stop/nyquist)
	s.reset()
	return s
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (s *stage) reset() {
	s.next, s.phase = 0, 0
	s.buf = append(s.buf[:0], make([]float32, s.filter.taps/2-1)...)
}

// take appends samples to the input.
func (s *stage) take(pcm []int16) {
	for _, v := range pcm {
		s.buf = append(s.buf, float32(v))
	}
}

// silence appends some samples of silence to the input.
func (s *stage) silence() {
	var none [64]float32
	s.buf = append(s.buf, none[:]...)
}

// run appends all outputs whose inputs are there to dst.
func (s *stage) run(dst []float32) []float32 {
	taps, exact := s.filter.taps, s.filter.phases == s.up
	if s.down == 1 && exact && s.phase == 0 {
		dst = s.runUp(dst)
	}
	for s.next+taps <= len(s.buf) {
		phase := s.phase
		if !exact {
			phase = int((int64(phase) * int64(s.filter.phases)) / int64(s.up))
		}
		if s.down == 1 {
			dst = append(dst, dot(s.filter.row(phase), s.buf[s.next:s.next+taps])) // as runUp does it
		} else {
			dst = append(dst, dot2(s.filter.row(phase), s.buf[s.next:s.next+taps]))
		}
		s.next += s.whole
		s.phase += s.parts
		if s.phase >= s.up {
			s.phase -= s.up
			s.next++
		}
	}
	done := min(s.next, len(s.buf))
	s.buf = s.buf[:copy(s.buf, s.buf[done:])]
	s.next -= done
	return dst
}

// runUp appends the outputs of four inputs at a time, for a rate that is a
// multiple of the other.
func (s *stage) runUp(dst []float32) []float32 {
	taps, up := s.filter.taps, s.up
	for s.next+taps+3 <= len(s.buf) {
		n := len(dst)
		dst = slices.Grow(dst, 4*up)[:n+4*up]
		x := s.buf[s.next : s.next+taps+3]
		for p := range up {
			out := dst[n+p:]
			out[0], out[up], out[2*up], out[3*up] = dot4(s.filter.row(p), x)
		}
		s.next += 4
	}
	return dst
}
