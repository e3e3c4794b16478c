package vad

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/codec/codectest"
)

const frameLength = Rate / 50

// feed feeds the samples in frames of 20 ms, and calls seen after each.
func feed(d *Detector, pcm []int16, seen func(State)) {
	for len(pcm) >= frameLength {
		s := d.Feed(pcm[:frameLength])
		if seen != nil {
			seen(s)
		}
		pcm = pcm[frameLength:]
	}
}

// noise is a while of noise of this level, in dB of full scale.
func noise(r *rand.Rand, level float64, d time.Duration) []int16 {
	amplitude := 32768 * math.Pow(10, level/20)
	out := make([]int16, int(d.Seconds()*Rate))
	for i := range out {
		out[i] = int16(max(-32768, min(32767, r.NormFloat64()*amplitude)))
	}
	return out
}

// TestSpeechInNoise: two voices amid noise of several levels are found, and their
// end is, and the noise itself is no speech once it was listened to.
func TestSpeechInNoise(t *testing.T) {
	for _, level := range []float64{-90, -60, -50, -42} {
		r := rand.New(rand.NewPCG(1, 2))
		var d Detector
		feed(&d, noise(r, level, 3*time.Second), func(s State) {
			if s == Speech {
				t.Fatalf("noise of %v dB is speech", level)
			}
		})
		if d.Spoke() || d.Silent() != 3*time.Second {
			t.Fatalf("after noise of %v dB: spoke %v, silent for %v", level, d.Spoke(), d.Silent())
		}
		voices := codectest.Speech()
		for i, v := range noise(r, level, time.Duration(len(voices))*time.Second/Rate+time.Second)[:len(voices)] {
			voices[i] = int16(max(-32768, min(32767, int(voices[i])+int(v))))
		}
		spoken, frames := 0, 0
		feed(&d, voices, func(s State) {
			frames++
			if s == Speech {
				spoken++
			}
		})
		if share := float64(spoken) / float64(frames); !d.Spoke() || share < 0.6 {
			t.Errorf("in noise of %v dB, %.2f of the speech is speech", level, share)
		}
		feed(&d, noise(r, level, 2*time.Second), nil)
		if d.Silent() < 1500*time.Millisecond {
			t.Errorf("in noise of %v dB, 2 s after the speech it is silent for %v", level, d.Silent())
		}
	}
}

// TestLoudFan: a loud noise is taken for speech for no longer than it takes to
// know it.
func TestLoudFan(t *testing.T) {
	var d Detector
	feed(&d, noise(rand.New(rand.NewPCG(3, 4)), -34, 6*time.Second), nil)
	if d.Silent() < 4*time.Second {
		t.Errorf("6 s of a fan: silent for %v", d.Silent())
	}
}

// TestClick: what is shorter than any sound of speech is none.
func TestClick(t *testing.T) {
	var d Detector
	click := make([]int16, 3*Rate)
	for i := range Rate / 50 { // 20 ms
		click[Rate+i] = int16(12000 * math.Sin(float64(i)))
	}
	feed(&d, click, func(s State) {
		if s == Speech {
			t.Fatal("a click is speech")
		}
	})
	if d.Spoke() || d.Silent() != 3*time.Second {
		t.Errorf("spoke %v, silent for %v", d.Spoke(), d.Silent())
	}
}

// TestAnyFrames: whatever comes in frames of whatever length, the counted time
// never passes that of the frames, and speech and silence exclude each other.
func TestAnyFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Detector
		var fed time.Duration
		for range rapid.IntRange(1, 40).Draw(t, "frames") {
			frame := rapid.SliceOfN(rapid.Int16(), 0, 960).Draw(t, "frame")
			s := d.Feed(frame)
			fed += time.Duration(len(frame)) * time.Second / Rate
			if d.Silent() > fed || s == Speech && !d.Spoke() || s == Speech && d.Silent() >= lingers {
				t.Fatalf("%v, silent for %v of %v, spoke %v", s, d.Silent(), fed, d.Spoke())
			}
		}
	})
}

// TestFeedAllocatesNothing: a media worker calls it for every frame.
func TestFeedAllocatesNothing(t *testing.T) {
	var d Detector
	frame := codectest.Speech()[:frameLength]
	if n := testing.AllocsPerRun(100, func() { d.Feed(frame) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
