package audiotest

import "math"

// Voice is a signal that can be told from others, and read like a clock. Each
// quarter of a second has a mark: a chirp that gives the place, then the
// voice's number and the mark's counter as tones, protected by a checksum, then
// silence.
type Voice struct {
	ID   uint8 // 0 to 15; even and odd ones differ in the chirp too
	Rate int   // samples a second, at least 8000
}

// Period is the time from one mark to the next, in seconds.
const Period = 0.25

// The parts of a mark, in seconds from its beginning, and its frequencies in Hz.
const (
	chirpLength = 0.040
	chirpLow    = 500
	chirpHigh   = 3300
	bitsBegin   = 0.060
	bitLength   = 0.006
	zeroTone    = 1000 // whole periods in a bit, so that both are orthogonal
	oneTone     = 2000
	amplitude   = 9000
)

// The bits of a mark.
const (
	idBits      = 4
	counterBits = 16
	sumBits     = 8
	bits        = idBits + counterBits + sumBits
)

// Marks is how many marks there are before the counter begins anew.
const Marks = 1 << counterBits

// Signal is the voice for so many marks from the first one on.
func (v Voice) Signal(marks int) []int16 {
	out := make([]int16, int(math.Round(float64(marks)*Period*float64(v.Rate))))
	for i := range out {
		at := float64(i) / float64(v.Rate)
		counter := int(at / Period)
		out[i] = int16(math.Round(v.sample(uint16(counter), at-float64(counter)*Period)))
	}
	return out
}

// sample is the signal at a time since the beginning of a mark.
func (v Voice) sample(counter uint16, at float64) float64 {
	if at < chirpLength {
		return amplitude * v.chirp(at)
	}
	bit := int(math.Floor((at - bitsBegin) / bitLength))
	if at < bitsBegin || bit >= bits {
		return 0
	}
	tone := float64(zeroTone)
	if word(v.ID, counter)>>(bits-1-bit)&1 == 1 {
		tone = oneTone
	}
	return amplitude * math.Sin(2*math.Pi*tone*(at-bitsBegin-float64(bit)*bitLength))
}

// chirp rises, or falls for odd voices, under a raised cosine, which keeps its
// correlation with itself free of side lobes.
func (v Voice) chirp(at float64) float64 {
	from, to := float64(chirpLow), float64(chirpHigh)
	if v.ID%2 == 1 {
		from, to = to, from
	}
	window := 0.5 - 0.5*math.Cos(2*math.Pi*at/chirpLength)
	return window * math.Sin(2*math.Pi*(from*at+(to-from)*at*at/(2*chirpLength)))
}

// word is what the tones of a mark say.
func word(id uint8, counter uint16) uint32 {
	said := uint32(id&15)<<counterBits | uint32(counter)
	return said<<sumBits | uint32(checksum(said))
}

// checksum is CRC-8 with the polynomial x^8+x^2+x+1.
func checksum(v uint32) uint8 {
	crc := uint8(0xff)
	for i := idBits + counterBits - 1; i >= 0; i-- {
		top := crc>>7 ^ uint8(v>>i&1)
		crc <<= 1
		if top == 1 {
			crc ^= 0x07
		}
	}
	return crc
}
