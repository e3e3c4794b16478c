package audio

import "math"

// MaxLevel is full scale of 16-bit PCM.
const MaxLevel = 32768

// clip saturates a sum at 16 bits, as an ear expects: no wrap to the other sign.
func clip(v int32) int16 {
	if v > math.MaxInt16 {
		return math.MaxInt16
	}
	if v < math.MinInt16 {
		return math.MinInt16
	}
	return int16(v)
}

// MixAdd adds src to dst, saturating, over the shorter of both.
func MixAdd(dst, src []int16) {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for i, v := range src {
		dst[i] = clip(int32(dst[i]) + int32(v))
	}
}

// Gain multiplies by a factor, saturating.
func Gain(pcm []int16, factor float64) {
	for i, v := range pcm {
		scaled := math.Round(float64(v) * factor)
		pcm[i] = int16(min(max(scaled, math.MinInt16), math.MaxInt16))
	}
}

// Mono averages the frames of src, of so many channels each, into dst and returns
// how many frames that were.
func Mono(dst, src []int16, channels int) int {
	if channels <= 1 {
		return copy(dst, src)
	}
	frames := min(len(dst), len(src)/channels)
	for i := range frames {
		sum := int32(0)
		for _, v := range src[i*channels : (i+1)*channels] {
			sum += int32(v)
		}
		dst[i] = int16(sum / int32(channels))
	}
	return frames
}

// Level is how loud audio is.
type Level struct {
	RMS  float64 // dBFS, a full-scale square wave is 0; -Inf for silence
	Peak float64 // dBFS; -Inf for silence
}

// Measure returns the level of all samples together.
func Measure(pcm []int16) Level {
	var m Meter
	m.Add(pcm)
	return m.Level()
}

// Meter measures the level of audio that comes in pieces.
type Meter struct {
	sum  float64
	n    int64
	peak int32
}

// Add takes the next piece.
func (m *Meter) Add(pcm []int16) {
	var sum int64 // 2^30 per sample at most: good for 2^33 samples
	for _, v := range pcm {
		a := int32(v)
		sum += int64(a) * int64(a)
		m.peak = max(m.peak, max(a, -a))
	}
	m.sum += float64(sum)
	m.n += int64(len(pcm))
}

// Level is the level so far.
func (m *Meter) Level() Level {
	if m.n == 0 {
		return Level{RMS: math.Inf(-1), Peak: math.Inf(-1)}
	}
	return Level{
		RMS:  decibel(math.Sqrt(m.sum / float64(m.n))),
		Peak: decibel(float64(m.peak)),
	}
}

func decibel(v float64) float64 { return 20 * math.Log10(v/MaxLevel) }

// Correlation compares two signals at no shift: 1 for the same up to a factor, 0
// for unrelated, -1 for opposite. Silence correlates with nothing.
func Correlation(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := range min(len(a), len(b)) {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
