package vad

import "math"

// A machine's tone is one frequency that stays, for a fifth of a second at least.
// It is looked for in half the sample rate, in windows of 20 ms, at frequencies so
// near to each other that none falls between.
const (
	beepRate   = Rate / 2
	beepWindow = beepRate / 50
	beepLow    = 350.0 // Hz
	beepStep   = 25.0
	beepCount  = 83    // of them: up to 2,400 Hz
	ringing    = 520.0 // Hz; below are the tones of networks: no machine's, unless it has spoken
	ringBins   = 9     // so many of the frequencies have all the power of a network's tones
	ringShare  = 0.85  // of the power, at the least
	beepLevel  = -45.0 // dB of full scale, at the least
	beepPurity = 0.75  // of the power is at the frequency
	beepLikely = 0.5   // and so much at the one next to it
	beepSteady = 4.0   // dB from one window to the next
	beepUnits  = 7     // in a row are a tone
	toneUnits  = 2     // in a row are no speech
)

// beeps looks for tones.
type beeps struct {
	window [beepWindow]float64
	scale  float64 // from the power at a frequency to its share of all
	tune   [beepCount]float64

	rings  bool // the newest unit may be a ring tone, of one frequency or of some that are near to each other
	row    int  // units that are the tone
	first  int  // place of its frequency
	before float64
}

// prepare works out the tables.
func (b *beeps) prepare() {
	var sum, squares float64
	for i := range b.window {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/beepWindow)
		b.window[i] = w
		sum += w
		squares += w * w
	}
	b.scale = 2 * squares / (sum * sum)
	for i := range b.tune {
		b.tune[i] = 2 * math.Cos(2*math.Pi*(beepLow+beepStep*float64(i))/beepRate)
	}
}

// feed takes a unit and its loudness. It reports whether a tone sounds, and whether a
// machine's has just been recognised; spoke says whether somebody has spoken.
func (b *beeps) feed(frame []int16, loudness float64, spoke bool) (tonal, beep bool) {
	place, purity := 0, 0.0
	b.rings = false
	if loudness >= beepLevel {
		place, purity = b.look(frame)
	}
	switch {
	case purity < beepPurity:
		b.row = 0
		return false, false
	case b.row == 0, place < b.first-1, place > b.first+1, math.Abs(loudness-b.before) > beepSteady:
		b.row, b.first = 0, place
	}
	b.row++
	b.before = loudness
	machines := spoke || beepLow+beepStep*float64(place) > ringing
	return b.row >= toneUnits, b.row == beepUnits && machines
}

// look finds the frequency that has most of the power, and its share.
func (b *beeps) look(frame []int16) (place int, purity float64) {
	var x [beepWindow]float64
	var mean, all float64
	for i := range x {
		x[i] = float64(frame[2*i]) + float64(frame[2*i+1])
		mean += x[i] / beepWindow
	}
	for i := range x {
		x[i] = (x[i] - mean) * b.window[i]
		all += x[i] * x[i]
	}
	most, low := 0.0, 0.0
	try := func(i int) float64 {
		power := powerAt(b.tune[i], &x)
		if power > most {
			place, most = i, power
		}
		return power
	}
	for i := 0; i < beepCount; i += 2 {
		if power := try(i); i < ringBins {
			low += power
		}
	}
	b.rings = 2*low > ringShare*beepWindow*all // Parseval: every other one is a bin of the window
	if all == 0 || most*b.scale < beepLikely*all {
		return 0, 0
	}
	near := place
	for i := max(near-1, 0); i <= min(near+1, beepCount-1); i += 2 {
		try(i)
	}
	return place, most * b.scale / all
}

// powerAt is the power of the samples at a frequency.
func powerAt(c float64, x *[beepWindow]float64) float64 {
	var p, q float64
	for _, v := range x {
		p, q = v+c*p-q, p
	}
	return p*p + q*q - c*p*q
}
