package audio

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// stretched sends pcm through in packets of 160 that last for length samples each.
func stretched(pcm []int16, length float64) []int16 {
	v := NewVarispeed()
	var out []int16
	for packet := range slices.Chunk(pcm, 160) {
		out = v.Process(out, packet, length*float64(len(packet))/160)
	}
	return v.Flush(out)
}

func TestVarispeedFollowsAClock(t *testing.T) {
	const n = 160 * 300
	for _, ppm := range []float64{-1000, -300, -50, -1, 1, 7, 300, 1000} {
		factor := 1 + ppm/1e6
		for _, freq := range []float64{100, 1000, 2500, 3490} {
			out := stretched(sine(n, freq, 8000, 20000), 160*factor)
			if want := int(math.Ceil(n*factor - 1e-6)); len(out) != want {
				t.Fatalf("%+.0f ppm: %d samples, want %d", ppm, len(out), want)
			}
			cut := out[200 : len(out)-200]
			rate := 8000 * factor
			amplitude, phase, rest := fit(cut, freq, rate)
			off := 20 * math.Log10(rest/20000*math.Sqrt2)
			shift := math.Remainder(phase-2*math.Pi*freq/rate*200, 2*math.Pi) / (2 * math.Pi * freq) * rate
			if off > -70 || math.Abs(amplitude-20000) > 20 || math.Abs(shift) > 2e-4 {
				t.Errorf("%+.0f ppm, %.0f Hz: %.1f dB of error, amplitude %.1f, %.6f samples off", ppm, freq, off, amplitude, shift)
			}
		}
	}
}

func TestVarispeedLeavesWhatIsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pcm := rapid.SliceOfN(rapid.Int16(), 0, 1000).Draw(t, "pcm")
		v := NewVarispeed()
		for round := range 2 {
			var out []int16
			for rest := pcm; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
				out = v.Process(out, rest[:n], float64(n))
				rest = rest[n:]
			}
			if out = v.Flush(out); !slices.Equal(out, pcm) {
				t.Fatalf("round %d: %v", round, out)
			}
		}
	})
}

// TestVarispeedCutsAnywhere: where a steady stretch is cut into packets makes no
// difference.
func TestVarispeedCutsAnywhere(t *testing.T) {
	pcm := sine(3000, 700, 8000, 12000)
	rapid.Check(t, func(t *rapid.T) {
		factor := 1 + rapid.Float64Range(-1e-3, 1e-3).Draw(t, "stretch")
		v := NewVarispeed()
		var out []int16
		for rest := pcm; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 500)).Draw(t, "piece")
			out = v.Process(out, rest[:n], float64(n)*factor)
			rest = rest[n:]
		}
		out = v.Flush(out)
		want := NewVarispeed()
		whole := want.Flush(want.Process(nil, pcm, float64(len(pcm))*factor))
		if len(out) != len(whole) {
			t.Fatalf("%d samples, want %d", len(out), len(whole))
		}
		for i := range out { // a place may fall to either side of a boundary of phases
			if d := int(out[i]) - int(whole[i]); d < -3 || d > 3 {
				t.Fatalf("sample %d is %d, want %d", i, out[i], whole[i])
			}
		}
	})
}

func TestVarispeedOfNothing(t *testing.T) {
	v := NewVarispeed()
	for _, length := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if out := v.Process(nil, []int16{1, 2}, length); len(out) != 0 {
			t.Errorf("length %v: %v", length, out)
		}
	}
	if out := v.Flush(v.Process(nil, nil, 10)); len(out) != 0 {
		t.Errorf("nothing becomes %v", out)
	}
}

func TestVarispeedAllocatesNothing(t *testing.T) {
	v, src, dst := NewVarispeed(), make([]int16, 160), make([]int16, 0, 400)
	step := func() { v.Process(dst[:0], src, 160.048) }
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkVarispeed(b *testing.B) {
	src, dst := sine(160, 440, 8000, 9000), make([]int16, 0, 400)
	for name, length := range map[string]float64{"still": 160, "300ppm": 160.048} {
		b.Run(name, func(b *testing.B) {
			v := NewVarispeed()
			b.ReportAllocs()
			for b.Loop() {
				v.Process(dst[:0], src, length)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*50*3600/1e9, "s/hour")
		})
	}
}
