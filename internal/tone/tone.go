package tone

import (
	"math"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/audio"
)

// Rate of all clips, Hz. Nothing in them is above 3.4 kHz.
const Rate = 8000

// level is the amplitude of each of the tones that sound together: about -10 dBm0,
// between the limits of ITU-T E.180 and of Q.23.
const level = 0.2

// ramp is how long a tone takes to come and to go, so that it does not click.
const ramp = 3 * time.Millisecond

// Ring is one turn of a country's ringing tone, the pause after it included: played
// again and again, it is what a caller hears who waits. False: the country is none
// of the list.
func Ring(country string) (*audio.Clip, bool) {
	i := slices.IndexFunc(rings(), func(r ring) bool { return slices.Contains(strings.Fields(r.countries), country) })
	if i < 0 {
		return nil, false
	}
	r := rings()[i]
	var out []int16
	for k := 0; k+1 < len(r.cadence); k += 2 {
		out = append(out, burst(millis(r.cadence[k]), r.tones...)...)
		out = append(out, make([]int16, count(millis(r.cadence[k+1])))...)
	}
	return &audio.Clip{Rate: Rate, Samples: out}, true
}

// ring is a ringing tone: what sounds together, and for how many milliseconds it
// sounds and pauses in turn.
type ring struct {
	countries string
	tones     []float64 // Hz
	cadence   []int
}

// rings are the tones of ITU-T E.180 supplement 2. A tone that a country modulates is
// written as the two that it is heard as.
func rings() []ring {
	return []ring{
		{"cz de dk fi pl rs", []float64{425}, []int{1000, 4000}},
		{"cn", []float64{450}, []int{1000, 4000}},
		{"us ca", []float64{440, 480}, []int{2000, 4000}},
		{"uk", []float64{400, 450}, []int{400, 200, 400, 2000}},
		{"hk", []float64{440, 480}, []int{400, 200, 400, 3000}},
		{"in", []float64{375, 400, 425}, []int{400, 200, 400, 2000}},
		{"be", []float64{425}, []int{1000, 3000}},
		{"cy", []float64{425}, []int{1500, 3000}},
		{"dz", []float64{425}, []int{1500, 3500}},
		{"eg", []float64{400, 450, 500}, []int{2000, 1000}},
		{"fr", []float64{440}, []int{1500, 3500}},
		{"hu", []float64{425}, []int{1250, 3750}},
		{"il", []float64{400}, []int{1000, 3000}},
		{"jp", []float64{384, 416}, []int{1000, 2000}},
		{"ko", []float64{440, 480}, []int{1000, 2000}},
		{"pk", []float64{400}, []int{1000, 2000}},
		{"ro", []float64{425}, []int{1850, 4150}},
		{"ru", []float64{425}, []int{800, 3200}},
		{"sa", []float64{425}, []int{1200, 4600}},
		{"tr", []float64{450}, []int{2000, 4000}},
	}
}

// Beep is what a caller hears before a message is recorded: half a second.
func Beep() *audio.Clip {
	return &audio.Clip{Rate: Rate, Samples: burst(500*time.Millisecond, 1000)}
}

// Keys are the tones of keys, '0' to '9', '*', '#' and 'A' to 'D' (ITU-T Q.23), each
// pressed for so long and followed by such a pause. What is no key is left out.
func Keys(keys string, press, pause time.Duration) *audio.Clip {
	var out []int16
	for _, key := range []byte(keys) {
		low, high, ok := Pair(key)
		if !ok {
			continue
		}
		out = append(out, burst(press, low, high)...)
		out = append(out, make([]int16, count(pause))...)
	}
	return &audio.Clip{Rate: Rate, Samples: out}
}

// Pair is the two frequencies of a key, Hz (ITU-T Q.23).
func Pair(key byte) (low, high float64, ok bool) {
	const keys = "123A456B789C*0#D"
	i := strings.IndexByte(keys, key)
	if i < 0 {
		return 0, 0, false
	}
	return [...]float64{697, 770, 852, 941}[i/4], [...]float64{1209, 1336, 1477, 1633}[i%4], true
}

// burst is some tones at once, for so long.
func burst(d time.Duration, tones ...float64) []int16 {
	out := make([]int16, count(d))
	edge := count(ramp)
	for i := range out {
		var v float64
		for _, hz := range tones {
			v += math.Sin(2 * math.Pi * hz * float64(i) / Rate)
		}
		near := min(i, len(out)-1-i) // to the end that is nearer
		if near < edge {
			v *= float64(near) / float64(edge)
		}
		out[i] = int16(math.Round(v * level * math.MaxInt16))
	}
	return out
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func count(d time.Duration) int { return int(d * Rate / time.Second) }
