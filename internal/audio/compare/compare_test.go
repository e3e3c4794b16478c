package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func noise(seed uint64, n int, amplitude float64) []int16 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(amplitude * r.NormFloat64())
	}
	return out
}

// put adds a signal to another at a place, with a factor.
func put(dst, src []int16, at int, factor float64) {
	for i, v := range src {
		if j := i + at; j >= 0 && j < len(dst) {
			dst[j] += int16(math.Round(factor * float64(v)))
		}
	}
}

func TestCorrelateIsTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 40).Draw(t, "ref")
		got := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 40).Draw(t, "got")
		for i, c := range correlate(ref, got) {
			want := 0.0
			for k, v := range ref {
				if j := k + i - (len(ref) - 1); j >= 0 && j < len(got) {
					want += v * got[j]
				}
			}
			if math.Abs(c-want) > 1e-6 {
				t.Fatalf("at index %d: %g, the sum is %g", i, c, want)
			}
		}
	})
}

func TestAlign(t *testing.T) {
	ref := noise(1, 8000, 3000)
	for _, c := range []struct {
		name   string
		lag    int
		factor float64
		hiss   float64
		atMost float64
	}{
		{"in place", 0, 1, 0, 1},
		{"later", 1234, 1, 0, 1},
		{"quieter", 77, 0.25, 0, 1},
		{"with noise 20 dB below", 500, 1, 300, 0.9975},
		{"beginning missing", -100, 1, 0, 0.995},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := noise(2, 16000, c.hiss)
			put(got, ref, c.lag, c.factor)
			m := Align(ref, got)
			if math.Abs(m.Lag-float64(c.lag)) > 0.05 {
				t.Errorf("lag %.3f, want %d", m.Lag, c.lag)
			}
			if m.Correlation < 0.99 || m.Correlation > c.atMost {
				t.Errorf("correlation %.5f, want 0.99 to %g", m.Correlation, c.atMost)
			}
		})
	}
}

func TestAlignBetweenSamples(t *testing.T) {
	tone := func(shift float64) []int16 {
		out := make([]int16, 4000)
		for i := range out {
			x := float64(i) - shift - 2000
			out[i] = int16(8000 * math.Exp(-x*x/40000) * math.Cos(x*2*math.Pi/20))
		}
		return out
	}
	if m := Align(tone(0), tone(3.4)); math.Abs(m.Lag-3.4) > 0.02 {
		t.Errorf("lag %.4f, want 3.4", m.Lag)
	}
}

func TestSilenceIsLikeNothing(t *testing.T) {
	quiet, loud := make([]int16, 100), noise(1, 100, 1000)
	for _, pair := range [][2][]int16{{quiet, loud}, {loud, quiet}, {nil, loud}, {loud, nil}, {nil, nil}} {
		if m := Align(pair[0], pair[1]); m.Correlation != 0 {
			t.Errorf("correlation %g with silence", m.Correlation)
		}
	}
}

func TestCorrelationAtALag(t *testing.T) {
	ref := noise(1, 4000, 1000)
	got := make([]int16, 9000)
	put(got, ref, 800, 1)
	if c := Correlation(ref, got, 800); c < 0.999 {
		t.Errorf("in its place: %g", c)
	}
	if c := Correlation(ref, got, 820); math.Abs(c) > 0.1 {
		t.Errorf("beside its place: %g", c)
	}
}

func TestCrossTalk(t *testing.T) {
	own, other := noise(1, 40000, 3000), noise(2, 40000, 3000)
	for _, c := range []struct {
		name   string
		factor float64
		lag    int
		want   float64
	}{
		{"none", 0, 0, math.Inf(-1)},
		{"40 dB below", 0.01, 0, -40},
		{"20 dB below and late", 0.1, 321, -20},
		{"the other side", 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			side := make([]int16, 41000)
			put(side, own, 200, 1)
			put(side, other, 200+c.lag, c.factor)
			if got := CrossTalk(side, own, other); got != c.want && math.Abs(got-c.want) > 0.5 {
				t.Errorf("%.2f dB, want %.2f", got, c.want)
			}
		})
	}
	if got := CrossTalk(make([]int16, 100), own, other); !math.IsInf(got, 1) {
		t.Errorf("own is missing: %g, want +Inf", got)
	}
	if got := CrossTalk(own, own, nil); !math.IsInf(got, -1) {
		t.Errorf("nobody else there: %g, want -Inf", got)
	}
}

// TestAlignLong: half a minute against a minute, as the tests of calls do it.
// Without the transform it would take minutes.
func TestAlignLong(t *testing.T) {
	ref, got := noise(1, 30*8000, 3000), noise(2, 60*8000, 300)
	put(got, ref, 100000, 1)
	if m := Align(ref, got); m.Samples() != 100000 {
		t.Errorf("lag %v", m)
	}
}
