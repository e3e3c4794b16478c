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
	apart     = 4.0  // over every other tone of its group: 6 dB
	purity    = 0.85 // of both tones together, of all that sounds
	overtone  = 0.1  // of the high tone's second harmonic, at most: voices have them
	steady    = 3.0  // from one window to the next, of each tone: 5 dB; a voice changes
	aside     = 0.01 // of a tone's frequency: where it is looked for besides
	quietest  = 1e-4 // of full scale, mean square: -40 dB
	onset     = 4    // windows in a row that begin a key: 32 ms of it
	departure = 4    // windows in a row without it that end one
)

// groups are the tones, Hz: the rows of the keys and their columns.
const groups = 2

// Detector hears the keys in one stream of audio. It is for one goroutine.
type Detector struct {
	tones [groups][4]goertzel
	near  [groups][4][2]goertzel // a little below and above them
	twice [4]goertzel            // the second harmonics of the high ones; those of the low ones lie among them

	buffer []float64 // of one window
	filled int

	candidate sight // of the newest window
	hits      int
	key       byte // that is pressed; 0 = none
	misses    int
}

// sight is what a window holds.
type sight struct {
	key       byte // 0 = none
	low, high float64
}

// follows reports whether the key of one window goes on in the next.
func (v sight) follows(before sight) bool {
	near := func(a, b float64) bool { return a < steady*b && b < steady*a }
	return v.key != 0 && v.key == before.key && near(v.low, before.low) && near(v.high, before.high)
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
			d.tones[group][i], d.twice[i] = at(hz, rate), at(2*hz, rate)
			d.near[group][i] = [2]goertzel{at(hz*(1-aside), rate), at(hz*(1+aside), rate)}
		}
	}
	return d
}

// Reset forgets what was heard.
func (d *Detector) Reset() {
	d.filled, d.candidate, d.hits, d.key, d.misses = 0, sight{}, 0, 0, 0
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
func (d *Detector) step(found sight) bool {
	if !found.follows(d.candidate) {
		d.hits = 0
	}
	d.hits++
	d.candidate = found
	if d.key != 0 {
		if found.key == d.key {
			d.misses = 0
			return false
		}
		if d.misses++; d.misses < departure {
			return false
		}
		d.key = 0
	}
	if found.key == 0 || d.hits < onset {
		return false
	}
	d.key, d.misses = found.key, 0
	return true
}

// look says which key sounds in the window.
func (d *Detector) look() (v sight) {
	var all float64
	for _, v := range d.buffer {
		all += v * v
	}
	all /= float64(len(d.buffer))
	if all < quietest {
		return v
	}
	row, low, ok := d.loudest(0)
	if !ok {
		return v
	}
	column, high, ok := d.loudest(1)
	if !ok || d.twice[column].power(d.buffer) > overtone*high {
		return v
	}
	if low > twist*high || high > untwist*low || low+high < purity*all {
		return v
	}
	return sight{key: "123A456B789C*0#D"[4*row+column], low: low, high: high}
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
	for _, g := range d.near[group][which] {
		power = max(power, g.power(d.buffer))
	}
	return which, power, true
}
