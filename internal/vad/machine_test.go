package vad

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/codectest"
)

// usual are the settings of a call that names none.
func usual(until Until) Settings {
	return Settings{Words: 5, Quiet: 3 * time.Second, Tone: 30 * time.Second, Until: until}
}

func count(d time.Duration) int { return int(d * Rate / time.Second) }

// sine is a tone, of a level in dB of full scale.
func sine(hz, level float64, d time.Duration) []int16 {
	out := make([]int16, count(d))
	for i := range out {
		out[i] = int16(32767 * math.Sqrt2 * math.Pow(10, level/20) * math.Sin(2*math.Pi*hz*float64(i)/Rate))
	}
	return out
}

// nothing is a while of silence.
func nothing(d time.Duration) []int16 { return make([]int16, count(d)) }

// voices is a while of two people who talk.
func voices(d time.Duration) []int16 {
	said := codectest.Speech()
	for len(said) < count(d) {
		said = append(said, said...)
	}
	return said[:count(d)]
}

// TestMachine: what is found out, and when, by every way of waiting for it.
func TestMachine(t *testing.T) {
	const second = time.Second
	loud := noise(rand.New(rand.NewPCG(5, 6)), -20, 10*second)
	fan := noise(rand.New(rand.NewPCG(5, 7)), -36, 10*second)
	beep := sine(1000, -14, second/2)
	for _, c := range []struct {
		name  string
		until Until
		heard []int16
		want  Finding // of words, only whether there are some
		about time.Duration
	}{
		{"silence", UntilKnown, nothing(5 * second), Finding{}, 3 * second},
		{"a fan", UntilKnown, fan, Finding{}, 3 * second},
		{"a loud noise", UntilKnown, loud, Finding{}, 3 * second},
		{"a telephone that goes on ringing", UntilTone, slices.Concat(sine(425, -14, second), nothing(5*second)), Finding{}, 3 * second},
		{"one word", UntilTone, slices.Concat(nothing(second), voices(second/2), nothing(5*second)), Finding{Who: ByHuman, Words: 1}, 5 * second / 2},
		{"who goes on", UntilKnown, voices(10 * second), Finding{Who: ByMachine, Words: 1}, 3 * second / 2},
		{"the end of a greeting", UntilQuiet, slices.Concat(voices(6*second), nothing(5*second)), Finding{Who: ByMachine, Words: 1}, 9 * second},
		{"a greeting without end", UntilQuiet, voices(60 * second), Finding{Who: ByMachine, Words: 1}, 63 * second / 2},
		{"the tone ends a greeting", UntilQuiet, slices.Concat(voices(6*second), nothing(second), beep), Finding{Who: ByMachine, Words: 1, Tone: true}, 7 * second},
		{"the tone", UntilTone, slices.Concat(voices(6*second), nothing(5*second), beep), Finding{Who: ByMachine, Words: 1, Tone: true}, 11 * second},
		{"no tone", UntilTone, slices.Concat(voices(6*second), nothing(60*second)), Finding{Who: ByMachine, Words: 1}, 63 * second / 2},
		{"nothing but a tone", UntilKnown, slices.Concat(nothing(second), beep), Finding{Who: ByMachine, Tone: true}, second},
		{"a low tone after words", UntilTone, slices.Concat(voices(4*second), nothing(second/2), sine(440, -14, second)), Finding{Who: ByMachine, Words: 1, Tone: true}, 9 * second / 2},
	} {
		m := NewMachine(usual(c.until))
		f, done := m.Feed(c.heard)
		if !done || f.Who != c.want.Who || f.Tone != c.want.Tone || (f.Words > 0) != (c.want.Words > 0) || (f.After-c.about).Abs() > second/2 {
			t.Errorf("%s: %+v, decided %v; want %+v after about %v", c.name, f, done, c.want, c.about)
		}
		if again, _ := m.Feed(slices.Concat(voices(3*second), beep)); again != f {
			t.Errorf("%s: %+v became %+v", c.name, f, again)
		}
	}
}

// TestTones: a machine's tone is heard at any usual frequency and level, in noise,
// when it lasts a fifth of a second, and speech has none.
func TestTones(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for hz := 540.0; hz < 2300; hz += 37 {
		for _, level := range []float64{-6, -20, -34} {
			line := slices.Concat(nothing(time.Second), sine(hz, level, 200*time.Millisecond), nothing(time.Second))
			audio.MixAdd(line, noise(r, level-20, 3*time.Second)[:len(line)])
			if f, _ := NewMachine(usual(UntilTone)).Feed(line); !f.Tone {
				t.Errorf("%.0f Hz at %.0f dB is no tone", hz, level)
			}
		}
	}
	if f, _ := NewMachine(usual(UntilTone)).Feed(voices(30 * time.Second)); f.Tone {
		t.Errorf("a voice has a tone: %+v", f)
	}
	pressed := sine(770, -12, time.Second)
	audio.MixAdd(pressed, sine(1336, -12, time.Second))
	if f, _ := NewMachine(usual(UntilTone)).Feed(pressed); f.Tone {
		t.Errorf("a key is a machine's tone: %+v", f)
	}
}

// TestMachineDecides: whatever is heard, in pieces of whatever length, it is decided
// within what the settings allow, and the pieces make no difference.
func TestMachineDecides(t *testing.T) {
	sounds := [][]int16{
		voices(time.Second), nothing(time.Second), noise(rand.New(rand.NewPCG(1, 9)), -18, time.Second), sine(1000, -20, 100*time.Millisecond),
		sine(425, -14, time.Second), noise(rand.New(rand.NewPCG(2, 9)), -40, time.Second),
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Settings{
			Words: rapid.IntRange(1, 6).Draw(t, "words"), Until: Until(rapid.IntRange(0, 2).Draw(t, "until")),
			Quiet: time.Duration(rapid.IntRange(1, 3).Draw(t, "quiet")) * time.Second,
			Tone:  time.Duration(rapid.IntRange(1, 3).Draw(t, "tone")) * time.Second,
		}
		most := s.Quiet + time.Duration(s.Words)*perWord + waits + s.Tone + time.Second
		var line []int16
		for len(line) < count(most) {
			sound := rapid.SampledFrom(sounds).Draw(t, "sound")
			line = append(line, sound[:rapid.IntRange(1, len(sound)).Draw(t, "length")]...)
		}
		want, done := NewMachine(s).Feed(line)
		if !done || want.After > most {
			t.Fatalf("%+v, decided %v", want, done)
		}
		m := NewMachine(s)
		var got Finding
		for done = false; !done && len(line) > 0; {
			n := min(rapid.IntRange(0, 4000).Draw(t, "piece"), len(line))
			got, done = m.Feed(line[:n])
			line = line[n:]
		}
		if got != want {
			t.Fatalf("in pieces %+v, at once %+v", got, want)
		}
	})
}

// TestAnySamples: no samples make it fail.
func TestAnySamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMachine(usual(UntilTone))
		for range rapid.IntRange(1, 20).Draw(t, "frames") {
			f, done := m.Feed(rapid.SliceOfN(rapid.Int16(), 0, 960).Draw(t, "frame"))
			if f.Words < 0 || f.After < 0 || !done && f.Who == ByHuman {
				t.Fatalf("%+v, %v", f, done)
			}
		}
	})
}

// TestMachineAllocatesNothing: a media worker calls it for every frame.
func TestMachineAllocatesNothing(t *testing.T) {
	m := NewMachine(Settings{Words: 1 << 20, Quiet: time.Hour, Tone: time.Hour})
	said, at := voices(10*time.Second), 0
	if n := testing.AllocsPerRun(400, func() { m.Feed(said[at : at+unitSamples]); at += unitSamples }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// BenchmarkMachine is the cost of a frame of speech.
func BenchmarkMachine(b *testing.B) {
	m := NewMachine(Settings{Words: 1 << 30, Quiet: time.Hour, Tone: time.Hour})
	said := voices(10 * time.Second)
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		m.Feed(said[at : at+unitSamples])
		at = (at + unitSamples) % (len(said) - unitSamples)
	}
}
