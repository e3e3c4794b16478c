package render

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// clickLimit is how loud a place may be at other pitches than the tone that is
// played, in dB against the tone. A sample that is dropped or doubled in a tone
// of 1 kHz makes −20 dB.
const clickLimit = -60

// A sender whose clock is off plays a pure tone. Where the audio is made longer
// or shorter to follow the clock, nothing else is heard.
func TestDriftIsCorrectedWithoutAClick(t *testing.T) {
	const hz, seconds = 1000, 12
	for _, ppm := range []float64{300, -300} {
		list := codecs(lookup(t, codec.L16, 8000))
		said := 0
		s := newScene().add(0, journal.Entry{Kind: journal.KindTrackOpened, Detail: journal.Detail{Call: "A", Party: "a", Role: "caller", Codecs: list}}).begin(0)
		s.speak(party{id: 1, ppm: ppm, to: (seconds + 1) * time.Second, payload: func(pcm []int16) (uint8, []byte) {
			out := make([]byte, 0, 2*len(pcm))
			for range pcm {
				v := int16(math.Round(8000 * math.Sin(2*math.Pi*hz*float64(said)/rate)))
				out = binary.BigEndian.AppendUint16(out, uint16(v))
				said++
			}
			return list[0].PT, out
		}})
		r := render(t, s.stop(seconds*time.Second, voice.EndCallEnded).write(t), Layout{})
		if d := r.receipt.Tracks[0].DriftPPM; math.Abs(d-ppm) > 5 {
			t.Fatalf("%+.0f ppm were taken for %+.2f", ppm, d)
		}
		at, worst := loudestElsewhere(r.sides[0][160:len(r.sides[0])-160], hz)
		if worst > clickLimit {
			t.Errorf("%+.0f ppm: %.1f dB beside the tone at sample %d, %d are allowed", ppm, worst, at+160, clickLimit)
		}
		t.Logf("%+.0f ppm: at most %.1f dB beside the tone", ppm, worst)
	}
}

// TestAClickWouldBeHeard: the measure of the test above finds what it is for.
func TestAClickWouldBeHeard(t *testing.T) {
	pcm := make([]int16, 0, 4000)
	for i := range 4000 {
		if i != 2002 { // at the tone's steepest
			pcm = append(pcm, int16(math.Round(8000*math.Sin(2*math.Pi*float64(i)/8))))
		}
	}
	if at, worst := loudestElsewhere(pcm, 1000); worst < clickLimit+20 || at < 1700 || at > 2050 {
		t.Errorf("a missing sample makes %.1f dB at %d", worst, at)
	}
	if _, worst := loudestElsewhere(pcm[:1900], 1000); worst > clickLimit-10 {
		t.Errorf("a pure tone makes %.1f dB", worst)
	}
}

// loudestElsewhere returns the place at which there is most of other pitches
// than the tone's, and how much, in dB against the tone.
func loudestElsewhere(pcm []int16, hz float64) (at int, db float64) {
	const size, hop = 256, 128 // samples
	const beside = 200         // Hz
	var window, sin, cos [size]float64
	for i := range size { // Blackman-Harris: side lobes at −92 dB
		x := 2 * math.Pi * float64(i) / size
		window[i] = 0.35875 - 0.48829*math.Cos(x) + 0.14128*math.Cos(2*x) - 0.01168*math.Cos(3*x)
		sin[i], cos[i] = math.Sincos(x)
	}
	db = math.Inf(-1)
	for from := 0; from+size <= len(pcm); from += hop {
		tone, other := 0.0, 0.0
		for bin := range size / 2 {
			re, im := 0.0, 0.0
			for i := range size {
				v := window[i] * float64(pcm[from+i])
				re += v * cos[bin*i%size]
				im += v * sin[bin*i%size]
			}
			if math.Abs(float64(bin)*rate/size-hz) <= beside {
				tone += re*re + im*im
			} else {
				other += re*re + im*im
			}
		}
		if d := 10 * math.Log10(other/tone); d > db {
			at, db = from, d
		}
	}
	return at, db
}

func lookup(t *testing.T, name string, clockRate int) codec.Info {
	t.Helper()
	i, ok := codec.Lookup(name, clockRate)
	if !ok {
		t.Fatalf("there is no %s/%d", name, clockRate)
	}
	return i
}
