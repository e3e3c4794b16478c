package audio

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var rates = []int{8000, 16000, 24000, 32000, 44100, 48000}

func everyPair(t *testing.T, f func(t *testing.T, from, to int)) {
	for _, from := range rates {
		for _, to := range rates {
			if from != to {
				t.Run(fmt.Sprintf("%d to %d", from, to), func(t *testing.T) { f(t, from, to) })
			}
		}
	}
}

func resample(from, to int, src []int16) []int16 {
	r := NewResampler(from, to)
	return r.Flush(r.Process(nil, src))
}

// fit finds the sine of a frequency in pcm: its amplitude, how far its phase is
// from that of sine(), and the RMS of all that is not it.
func fit(pcm []int16, freq, rate float64) (amplitude, phase, rest float64) {
	var ss, cc, sc, xs, xc float64
	wave := make([][2]float64, len(pcm))
	for i, v := range pcm {
		s, c := math.Sincos(2 * math.Pi * freq * float64(i) / rate)
		wave[i] = [2]float64{s, c}
		ss, cc, sc = ss+s*s, cc+c*c, sc+s*c
		xs, xc = xs+float64(v)*s, xc+float64(v)*c
	}
	det := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	for i, v := range pcm {
		d := float64(v) - a*wave[i][0] - b*wave[i][1]
		rest += d * d
	}
	return math.Hypot(a, b), math.Atan2(b, a), math.Sqrt(rest / float64(len(pcm)))
}

// TestSweep: tones over the whole band. In the pass-band they come through in
// their place and with their level; anywhere, all that was not there before is 80
// dB down, and so are tones above what the new rate can hold.
func TestSweep(t *testing.T) {
	const level, tones = 30000., 37
	down := func(v float64) float64 { return 20 * math.Log10(v/level*math.Sqrt2) }
	everyPair(t, func(t *testing.T, from, to int) {
		edge := float64(min(from, to)) / 2
		var ripple, mirror, stop, shift float64
		mirror, stop = -200, -200
		for k := range tones {
			freq := float64(from) / 2 * (float64(k) + 0.37) / tones
			out := resample(from, to, sine(from/12, freq, float64(from), level))
			out = out[to/50 : len(out)-to/50] // where the tone begins and ends there are others
			if freq >= edge {
				stop = max(stop, down(Measure(out).rms()))
				continue
			}
			amplitude, phase, rest := fit(out, freq, float64(to))
			mirror = max(mirror, down(rest))
			if freq <= edge*7/8 {
				ripple = max(ripple, math.Abs(20*math.Log10(amplitude/level)))
				ahead := math.Remainder(phase-2*math.Pi*freq/float64(to)*float64(to/50), 2*math.Pi)
				shift = max(shift, math.Abs(ahead)/(2*math.Pi*freq))
			}
		}
		t.Logf("ripple %.4f dB, mirrors %.1f dB, stop-band %.1f dB, shift %.1e s", ripple, mirror, stop, shift)
		if ripple > 0.01 || mirror > -80 || stop > -80 || shift > 1e-7 {
			t.Error("out of bounds")
		}
	})
}

// rms undoes the decibels.
func (l Level) rms() float64 { return math.Pow(10, l.RMS/20) * MaxLevel }

func TestResampledLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SampledFrom(rates).Draw(t, "from"), rapid.SampledFrom(rates).Draw(t, "to")
		n := rapid.IntRange(0, 3000).Draw(t, "n")
		want := int(math.Round(float64(n) * float64(to) / float64(from)))
		if got := len(resample(from, to, make([]int16, n))); got != want {
			t.Fatalf("%d samples become %d, want %d", n, got, want)
		}
	})
}

// TestPiecesAreTheWhole: however the input is cut, the output is the same, and a
// resampler that was used before is as new.
func TestPiecesAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SampledFrom(append(rates, 11025, 12345)).Draw(t, "from")
		to := rapid.SampledFrom(append(rates, 11025, 54321)).Draw(t, "to")
		src := rapid.SliceOfN(rapid.Int16(), 0, 2000).Draw(t, "src")
		want := resample(from, to, src)
		r := NewResampler(from, to)
		r.Process(nil, []int16{1, 2, 3, 4, 5, 6, 7, 8, 9, 30000, -30000})
		r.Reset()
		for round := range 2 {
			var got []int16
			for rest := src; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
				got = r.Process(got, rest[:n])
				rest = rest[n:]
			}
			if got = r.Flush(got); !slices.Equal(got, want) {
				t.Fatalf("round %d: %d samples in pieces differ from %d at once", round, len(got), len(want))
			}
		}
	})
}

func TestResamplerSaturates(t *testing.T) {
	src := make([]int16, 800)
	for i := range src {
		src[i] = math.MaxInt16
		if i%20 < 10 {
			src[i] = math.MinInt16
		}
	}
	for i, v := range resample(8000, 16000, src) {
		if src[i/2] == src[min(i/2+1, len(src)-1)] && (v > 0) != (src[i/2] > 0) {
			t.Fatalf("sample %d is %d amid %d", i, v, src[i/2])
		}
	}
}

func TestStrangeRates(t *testing.T) {
	src := sine(4000, 440, 12345, 9000)
	out := resample(12345, 54321, src)
	if amplitude, _, rest := fit(out[500:len(out)-500], 440, 54321); math.Abs(amplitude-9000) > 5 || rest > 5 {
		t.Errorf("12345 to 54321: amplitude %.1f, rest %.1f", amplitude, rest)
	}
	for _, pair := range [][2]int{{8000, 8000}, {0, 8000}, {8000, -1}, {8000, math.MaxInt32}} {
		if out := resample(pair[0], pair[1], src); !slices.Equal(out, src) {
			t.Errorf("%d to %d is no copy", pair[0], pair[1])
		}
	}
}

func TestResamplerAllocatesNothing(t *testing.T) {
	for _, pair := range [][2]int{{8000, 16000}, {8000, 48000}, {48000, 8000}, {44100, 48000}} {
		r := NewResampler(pair[0], pair[1])
		src, dst := make([]int16, pair[0]/50), make([]int16, 0, pair[1]/25)
		step := func() { r.Process(dst[:0], src) }
		for range 50 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%d to %d: %v allocations per frame", pair[0], pair[1], n)
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, pair := range [][2]int{{8000, 16000}, {8000, 48000}, {16000, 48000}, {44100, 48000}, {16000, 8000}, {48000, 8000}} {
		b.Run(fmt.Sprintf("%dto%d", pair[0], pair[1]), func(b *testing.B) {
			r := NewResampler(pair[0], pair[1])
			src := sine(pair[0], 440, float64(pair[0]), 9000)
			dst := make([]int16, 0, pair[1]+1000)
			b.ReportAllocs()
			for b.Loop() {
				r.Process(dst[:0], src)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*3600/1e9, "s/hour")
		})
	}
}
