package audiotest

import "math"

// Mark is one that was found.
type Mark struct {
	Counter uint16
	At      float64 // place of its beginning, in samples and parts of one
}

// likeness is how much of a place must be the chirp, 1 = all of it.
const likeness = 0.8

// Find returns the marks of the voice in a recording, in their order. A mark
// counts only if its chirp, its number and its checksum are all there.
func (v Voice) Find(pcm []int16) []Mark {
	chirp := make([]float64, int(chirpLength*float64(v.Rate)))
	energy := 0.0
	for i := range chirp {
		chirp[i] = v.chirp(float64(i) / float64(v.Rate))
		energy += chirp[i] * chirp[i]
	}
	var marks []Mark
	match := func(at int) float64 { return likenessAt(pcm, chirp, energy, at) }
	step := max(1, v.Rate/16000) // the correlation's top is 0.3 ms wide
	for i := 0; i+len(chirp) <= len(pcm); i += step {
		here := match(i)
		if here < likeness {
			continue
		}
		// The top is within half a chirp of the first good place.
		for k := i + 1; k <= i+len(chirp)/2 && k+len(chirp) <= len(pcm); k++ {
			if m := match(k); m > here {
				i, here = k, m
			}
		}
		at := float64(i) + top(match(i-1), here, match(i+1))
		if id, counter, ok := v.read(pcm, at); ok && id == v.ID&15 {
			marks = append(marks, Mark{Counter: counter, At: at})
		}
		i += len(chirp) / 2
	}
	return marks
}

// likenessAt compares a place with the chirp: 1 = it is the chirp, at any level
// that is louder than the noise of the codecs.
func likenessAt(pcm []int16, chirp []float64, energy float64, at int) float64 {
	if at < 0 || at+len(chirp) > len(pcm) {
		return 0
	}
	var dot, power float64
	for i, c := range chirp {
		s := float64(pcm[at+i])
		dot += c * s
		power += s * s
	}
	const faint = 100 // RMS
	if power < faint*faint*float64(len(chirp)) {
		return 0
	}
	return dot / math.Sqrt(power*energy)
}

// top is where the parabola through three neighbours is highest, from the
// middle one.
func top(left, middle, right float64) float64 {
	if curve := left - 2*middle + right; curve < 0 {
		return (left - right) / (2 * curve)
	}
	return 0
}

// read decodes the tones of the mark at a place.
func (v Voice) read(pcm []int16, at float64) (id uint8, counter uint16, ok bool) {
	var got uint32
	for bit := range bits {
		from := at + (bitsBegin+float64(bit)*bitLength)*float64(v.Rate)
		first, n := int(math.Round(from)), int(bitLength*float64(v.Rate))
		if first+n > len(pcm) {
			return 0, 0, false
		}
		got <<= 1
		if v.power(pcm[first:first+n], oneTone) > v.power(pcm[first:first+n], zeroTone) {
			got |= 1
		}
	}
	id, counter = uint8(got>>(counterBits+sumBits)), uint16(got>>sumBits)
	return id, counter, got == word(id, counter)
}

// power is how much of a tone there is.
func (v Voice) power(pcm []int16, tone float64) float64 {
	var re, im float64
	for i, s := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * tone * float64(i) / float64(v.Rate))
		re += float64(s) * cos
		im += float64(s) * sin
	}
	return re*re + im*im
}
