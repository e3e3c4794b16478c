package audio

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestStretchKeepsTheSound(t *testing.T) {
	var s Stretcher
	for _, n := range []int{158, 159, 160, 161, 320, 960} {
		src, dst := sine(160, 440, 8000, 12000), make([]int16, n)
		s.Stretch(dst, src, nil)
		want := sine(n, 440, 8000*float64(n)/160, 12000)
		if c := Correlation(dst, want); c < 0.997 {
			t.Errorf("160 to %d samples: correlation %f", n, c)
		}
	}
	dst := []int16{1, 2}
	s.Stretch(dst, nil, nil)
	if dst[0] != 0 || dst[1] != 0 {
		t.Errorf("nothing stretches to %v, want silence", dst)
	}
}

// followed sends pcm through in packets of 160; every so many are a sample longer
// or shorter, as a clock that is off asks for.
func followed(pcm []int16, every, by int) []int16 {
	var s Stretcher
	var out, before []int16
	k := 0
	for packet := range slices.Chunk(pcm, 160) {
		n := len(packet)
		if k++; k%every == 0 {
			n += by
		}
		dst := make([]int16, n)
		s.Stretch(dst, packet, before)
		before = packet
		out = append(out, dst...)
	}
	return out
}

// A tone that follows a clock stays one tone: what is not within 250 Hz of it is
// quieter than the noise of G.711. Each stretch is a short change of
// pitch, which lies near the tone; a click would lie everywhere.
func TestStretchDoesNotClick(t *testing.T) {
	const n = 1024
	for _, by := range []int{-1, 1} {
		for _, freq := range []float64{250, 1000, 2000, 3000, 3400} {
			out := followed(sine(160*50, freq, 8000, 20000), 21, by) // ±300 ppm
			worst := 0.0
			for at := 0; at+n <= len(out); at += n / 2 {
				worst = max(worst, beside(out[at:at+n], freq, 250))
			}
			if db := 20 * math.Log10(worst); db > -45 {
				t.Errorf("%+d sample at %.0f Hz: %.1f dB beside the tone", by, freq, db)
			}
		}
	}
}

// beside is the amplitude of all that is further than width from a tone, against the
// amplitude of what is near.
func beside(pcm []int16, freq, width float64) float64 {
	windowed := make([]float64, len(pcm))
	for i, v := range pcm {
		windowed[i] = float64(v) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm))))
	}
	var near, far float64
	for bin := 1; bin < len(pcm)/2; bin++ {
		f := float64(bin) * 8000 / float64(len(pcm))
		// Goertzel's way: two sums in place of a sine for each sample.
		turn := 2 * math.Cos(2*math.Pi*f/8000)
		var last, before float64
		for _, v := range windowed {
			last, before = v+turn*last-before, last
		}
		if power := last*last + before*before - turn*last*before; math.Abs(f-freq) <= width {
			near += power
		} else {
			far += power
		}
	}
	return math.Sqrt(far / near)
}

// The ends of a piece meet its neighbours, so that a steady signal stays steady.
func TestStretchMeetsItsNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		freq := rapid.Float64Range(50, 3400).Draw(t, "frequency")
		n := rapid.IntRange(80, 960).Draw(t, "length")
		by := rapid.SampledFrom([]int{-2, -1, 1, 2}).Draw(t, "by")
		all := sine(3*n, freq, 8000, 15000)
		var s Stretcher
		dst := make([]int16, n+by)
		s.Stretch(dst, all[n:2*n], all[:n])
		if dst[0] != all[n] {
			t.Fatalf("it begins with %d, the signal with %d", dst[0], all[n])
		}
		// The greatest step that a tone of this kind can make, and a little.
		limit := 15000*2*math.Pi*freq/8000*1.2 + 60
		if step := math.Abs(float64(dst[len(dst)-1]) - float64(all[2*n])); step > limit {
			t.Fatalf("a step of %.0f where it ends, %.0f are possible", step, limit)
		}
	})
}

func TestStretchAllocatesNothing(t *testing.T) {
	var s Stretcher
	src, dst := sine(160, 440, 8000, 9000), make([]int16, 161)
	s.Stretch(dst, src, src)
	if n := testing.AllocsPerRun(100, func() { s.Stretch(dst, src, src) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStretch(b *testing.B) {
	var s Stretcher
	src, dst := sine(160, 440, 8000, 9000), make([]int16, 161)
	b.ReportAllocs()
	for b.Loop() {
		s.Stretch(dst, src, src)
	}
}
