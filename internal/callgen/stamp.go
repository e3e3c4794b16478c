package callgen

import "time"

// Stamp is the mark of one frame: who sent it, in which call, which one it is,
// and when. It is written as loud and plain samples (one of 16 levels each), so
// that it comes through µ-law, A-law, the change between them, and a WAV file.
type Stamp struct {
	Call    uint32        // below 1<<24
	Leg     uint8         // below 16
	Counter uint32        // below 1<<24
	Sent    time.Duration // on the sender's clock, below 1<<56 ns
}

// StampSamples is how many samples of a frame a stamp takes.
const StampSamples = 4 + 6 + 1 + 6 + 14 + 8

// stampMagic begins every stamp.
const stampMagic = 0xb3c5

// levels are the middles of the eight µ-law segments: far apart even after a
// detour through A-law.
const (
	levelBias = 132
	levelBase = 196
)

// level is the sample of a value from 0 to 15.
func level(v uint64) int16 {
	amplitude := int16(levelBase<<(v&7) - levelBias)
	if v&8 != 0 {
		return -amplitude
	}
	return amplitude
}

// value is the nearest value of a sample. Neighbouring levels differ by a
// factor of two, plus the bias: the border is half-way on that scale.
func value(sample int16) uint64 {
	v, amplitude := uint64(0), int(sample)
	if amplitude < 0 {
		v, amplitude = 8, -amplitude
	}
	for s := range 7 {
		if amplitude+levelBias < levelBase<<s*3/2 {
			return v | uint64(s)
		}
	}
	return v | 7
}

// Put writes the stamp into the first StampSamples of a frame.
func (s Stamp) Put(frame []int16) {
	at := 0
	put := func(v uint64, digits int) {
		for i := digits - 1; i >= 0; i-- {
			frame[at] = level(v >> (4 * i) & 15)
			at++
		}
	}
	put(stampMagic, 4)
	put(uint64(s.Call), 6)
	put(uint64(s.Leg), 1)
	put(uint64(s.Counter), 6)
	put(uint64(s.Sent), 14)
	put(uint64(s.sum()), 8)
}

// ReadStamp reads the stamp of a frame; false when it has none, or a damaged one.
func ReadStamp(frame []int16) (Stamp, bool) {
	if len(frame) < StampSamples {
		return Stamp{}, false
	}
	at := 0
	get := func(digits int) (v uint64) {
		for range digits {
			v = v<<4 | value(frame[at])
			at++
		}
		return v
	}
	if get(4) != stampMagic {
		return Stamp{}, false
	}
	s := Stamp{Call: uint32(get(6)), Leg: uint8(get(1)), Counter: uint32(get(6)), Sent: time.Duration(get(14))}
	return s, uint64(s.sum()) == get(8)
}
