package dtmf

import (
	"math"
	"time"
)

// A window is so long that the tones of neighbours are apart in it (73 Hz), and so
// short that one which is 1.5 % off is still in its place. Windows overlap by half.
const (
	hop    = 6375 * time.Microsecond
	window = 2 * hop
)

// Limits of what is taken for a key, as ratios of power.
const (
	twist     = 10.0 // the low tone over the high one: 8 dB and some room (Q.24)
	untwist   = 4.0  // the high one over the low one: 4 dB and some room
	apart     = 6.3  // over every other tone of its group: 8 dB
	purity    = 0.62 // of both tones together, of all that sounds
	overtone  = 0.1  // of a tone's second harmonic, at most: voices have them
	quietest  = 1e-4 // of full scale, mean square: -40 dB
	onset     = 4    // windows in a row that begin a key: 32 ms of it
	departure = 4    // windows in a row without it that end one
)

// groups are the tones, Hz: the rows of the keys and their columns.
const groups = 2

// Detector hears the keys in one stream of audio. It is for one goroutine.
type Detector struct {
	tones [groups][4]goertzel
	twice [groups][4]goertzel // of their second harmonics

	buffer []float64 // of one window
	filled int

	candidate byte // of the newest windows
	hits      int
	key       byte // that is pressed; 0 = none
	misses    int
}

// goertzel measures the power at one frequency.
type goertzel struct{ coefficient float64 }

func at(hz float64, rate int) goertzel {
	return goertzel{2 * math.Cos(2*math.Pi*hz/float64(rate))}
}

// power is that of the samples at the frequency, so that a tone alone has the power
// that the samples have: their mean square.
func (g goertzel) power(samples []float64) float64 {
	var a, b float64
	for _, v := range samples {
		a, b = v+g.coefficient*a-b, a
	}
	n := float64(len(samples))
	return (a*a + b*b - g.coefficient*a*b) * 2 / (n * n)
}

// New makes a detector for a sample rate in Hz, 8000 or more.
func New(rate int) *Detector {
	d := &Detector{buffer: make([]float64, 2*int(hop*time.Duration(rate)/time.Second))}
	for group, frequencies := range [groups][4]float64{{697, 770, 852, 941}, {1209, 1336, 1477, 1633}} {
		for i, hz := range frequencies {
			d.tones[group][i], d.twice[group][i] = at(hz, rate), at(2*hz, rate)
		}
	}
	return d
}

// Reset forgets what was heard.
func (d *Detector) Reset() {
	d.filled, d.candidate, d.hits, d.key, d.misses = 0, 0, 0, 0, 0
}

// Feed takes the next samples, of any length up to 60 ms, and returns a key when it
// has just been heard to be pressed: '0' to '9', '*', '#', 'A' to 'D'. Two keys do
// not begin within 60 ms.
func (d *Detector) Feed(samples []int16) (key byte, ok bool) {
	for len(samples) > 0 {
		n := min(len(samples), len(d.buffer)-d.filled)
		for i, v := range samples[:n] {
			d.buffer[d.filled+i] = float64(v) / (math.MaxInt16 + 1)
		}
		d.filled += n
		samples = samples[n:]
		if d.filled < len(d.buffer) {
			break
		}
		if d.step(d.look()) {
			key, ok = d.key, true
		}
		half := len(d.buffer) / 2
		d.filled = copy(d.buffer, d.buffer[half:])
	}
	return key, ok
}

// step takes what a window holds, and reports whether a key begins with it.
func (d *Detector) step(found byte) bool {
	if found != 0 && found == d.candidate {
		d.hits++
	} else {
		d.candidate, d.hits = found, 1
	}
	if d.key != 0 {
		if found == d.key {
			d.misses = 0
			return false
		}
		if d.misses++; d.misses < departure {
			return false
		}
		d.key = 0
	}
	if d.candidate == 0 || d.hits < onset {
		return false
	}
	d.key, d.misses = d.candidate, 0
	return true
}

// look says which key sounds in the window; 0 = none.
func (d *Detector) look() byte {
	var all float64
	for _, v := range d.buffer {
		all += v * v
	}
	all /= float64(len(d.buffer))
	if all < quietest {
		return 0
	}
	row, low, ok := d.loudest(0)
	if !ok {
		return 0
	}
	column, high, ok := d.loudest(1)
	if !ok || low > twist*high || high > untwist*low || low+high < purity*all {
		return 0
	}
	return "123A456B789C*0#D"[4*row+column]
}

// loudest finds the one tone of a group that sounds.
func (d *Detector) loudest(group int) (which int, power float64, ok bool) {
	var powers [4]float64
	for i, g := range d.tones[group] {
		powers[i] = g.power(d.buffer)
		if powers[i] > powers[which] {
			which = i
		}
	}
	power = powers[which]
	for i, other := range powers {
		if i != which && power < apart*other {
			return 0, 0, false
		}
	}
	return which, power, d.twice[group][which].power(d.buffer) < overtone*power
}
