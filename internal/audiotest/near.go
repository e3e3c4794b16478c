package audiotest

import (
	"math"
	"time"
)

// The parts of a mark, from its beginning: the chirp lasts so long, and the last
// tone ends so late.
const (
	ChirpLength = time.Duration(chirpLength * float64(time.Second))
	MarkLength  = time.Duration((bitsBegin + bits*bitLength) * float64(time.Second))
)

// Mark is the signal of one mark and the silence after it, Period long.
func (v Voice) Mark(counter uint16) []int16 {
	out := make([]int16, int(math.Round(Period*float64(v.Rate))))
	for i := range out {
		out[i] = int16(math.Round(v.sample(counter, float64(i)/float64(v.Rate))))
	}
	return out
}

// Sighting is a chirp, and what the tones after it say.
type Sighting struct {
	At   float64 // place of its beginning, in samples and parts of one
	Like float64 // how much of the place is the chirp, 1 = all of it
	Mark bool    // the tones are whole: ID and Counter are what they say

	ID      uint8
	Counter uint16
}

// Found says whether there is a chirp at all.
func (s Sighting) Found() bool { return s.Like >= likeness }

// Near looks for a chirp of the voice that begins within so many samples of a
// place, and returns the likest one. Where packets were lost, the tones may be
// missing, but the chirp gives the place all the same.
func (v Voice) Near(pcm []int16, place, within float64) Sighting {
	chirp := make([]float64, int(chirpLength*float64(v.Rate)))
	energy := 0.0
	for i := range chirp {
		chirp[i] = v.chirp(float64(i) / float64(v.Rate))
		energy += chirp[i] * chirp[i]
	}
	match := func(at int) float64 { return likenessAt(pcm, chirp, energy, at) }
	step := max(1, v.Rate/16000)
	best, like := 0, 0.0
	look := func(from, to, step int) {
		for i := max(from, 0); i <= to; i += step {
			if m := match(i); m > like {
				best, like = i, m
			}
		}
	}
	look(int(math.Floor(place-within)), int(math.Ceil(place+within)), step)
	if like == 0 {
		return Sighting{}
	}
	look(best-step+1, best+step-1, 1)
	out := Sighting{At: float64(best) + top(match(best-1), like, match(best+1)), Like: like}
	out.ID, out.Counter, out.Mark = v.read(pcm, out.At)
	return out
}
