package audio

import (
	"math"
	"sync"
)

// Stretcher brings pieces of a signal to another length, by a sample or two, to
// follow a clock, so that nobody hears it: by a band-limited interpolation whose
// speed is the signal's own where the piece begins and where it ends. So the
// neighbours of a piece need not change, and pieces that are as long as they
// should be cost nothing. It is for one goroutine, and allocates nothing after the
// first long piece.
type Stretcher struct {
	buf []float32 // a filter's length, the piece, and a filter's length
}

// gentle is the part of its length by which a piece may change and still be
// changed smoothly: its speed rises and falls again within it.
const gentle = 8

// Stretch fills dst with src at another length. Before holds what was heard just
// before src, as much as is known; where more is needed it is taken to be steady.
// For lengths that differ by more than an eighth the speed is even all through,
// and the band is not limited.
func (s *Stretcher) Stretch(dst, src, before []int16) {
	switch {
	case len(src) == 0:
		clear(dst)
		return
	case len(src) == len(dst):
		copy(dst, src)
		return
	}
	half := fine().taps / 2
	s.load(src, before, half)
	n, m := float64(len(src)), float64(len(dst))
	smooth := gentle*math.Abs(n-m) <= m
	for i := range dst {
		at := float64(i) * n / m
		if smooth {
			at = float64(i) + (n-m)*ease(float64(i)/m)
		}
		dst[i] = s.at(at)
	}
}

// load puts the signal where the filter finds it.
func (s *Stretcher) load(src, before []int16, half int) {
	s.buf = s.buf[:0]
	for k := len(before) - half; k < len(before); k++ {
		v := src[0]
		if len(before) > 0 {
			v = before[max(k, 0)]
		}
		s.buf = append(s.buf, float32(v))
	}
	for _, v := range src {
		s.buf = append(s.buf, float32(v))
	}
	for range half + 1 {
		s.buf = append(s.buf, float32(src[len(src)-1]))
	}
}

// at is the signal at a place of src, from 0 to its length.
func (s *Stretcher) at(place float64) int16 {
	f := fine()
	n := int(place*finePhases + 0.5)
	k, phase := n/finePhases, n%finePhases
	if phase == 0 {
		return int16(s.buf[k+f.taps/2])
	}
	// The first half of the weights is for the samples up to k.
	return round(dot2(f.row(phase), s.buf[k+1:k+1+f.taps]))
}

// ease goes from 0 to 1, and is flat at both ends, in speed and in its change.
func ease(t float64) float64 { return t * t * t * (10 + t*(6*t-15)) }

// finePhases is how many places between two samples there are weights for. To miss
// a place by up to 1/2048 of a sample is an error of −68 dB for a tone of a quarter
// of the rate: what is stretched is 20 ms now and then.
const finePhases = 1024

// fine holds the weights for places between two samples.
//
//nolint:gochecknoglobals // a table, computed once and never written again
var fine = sync.OnceValue(func() *lowpass { return newLowpass(finePhases, 7./8, 9./8) })
