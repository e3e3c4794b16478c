package audio

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func sine(n int, freq, rate, amplitude float64) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(amplitude * math.Sin(2*math.Pi*freq*float64(i)/rate))
	}
	return out
}

func TestMixAddSaturates(t *testing.T) {
	dst := []int16{30000, -30000, 1, 7}
	MixAdd(dst, []int16{10000, -10000, 2})
	if want := []int16{math.MaxInt16, math.MinInt16, 3, 7}; !slices.Equal(dst, want) {
		t.Fatalf("got %v, want %v", dst, want)
	}
}

func TestMixAddIsCommutative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Int16(), 8, 8).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Int16(), 8, 8).Draw(t, "b")
		ab, ba := slices.Clone(a), slices.Clone(b)
		MixAdd(ab, b)
		MixAdd(ba, a)
		if !slices.Equal(ab, ba) {
			t.Fatalf("%v and %v", ab, ba)
		}
	})
}

func TestGain(t *testing.T) {
	pcm := []int16{100, -100, 30000, -30000}
	Gain(pcm, 2)
	if want := []int16{200, -200, math.MaxInt16, math.MinInt16}; !slices.Equal(pcm, want) {
		t.Fatalf("got %v, want %v", pcm, want)
	}
}

func TestMono(t *testing.T) {
	dst := make([]int16, 4)
	if n := Mono(dst, []int16{1, 3, -5, -7, 9}, 2); n != 2 || dst[0] != 2 || dst[1] != -6 {
		t.Fatalf("%d frames: %v", n, dst)
	}
	if n := Mono(dst, []int16{1, 2}, 1); n != 2 || dst[1] != 2 {
		t.Fatalf("%d frames: %v", n, dst)
	}
}

func TestMeasure(t *testing.T) {
	l := Measure(sine(8000, 1000, 8000, 16384))
	if math.Abs(l.Peak+6.02) > 0.01 || math.Abs(l.RMS+9.03) > 0.01 {
		t.Errorf("half-scale sine: peak %.2f, RMS %.2f dBFS", l.Peak, l.RMS)
	}
	if l := Measure([]int16{math.MinInt16}); l.Peak != 0 {
		t.Errorf("full scale: peak %.2f dBFS", l.Peak)
	}
	for _, pcm := range [][]int16{nil, make([]int16, 10)} {
		if l := Measure(pcm); !math.IsInf(l.RMS, -1) || !math.IsInf(l.Peak, -1) {
			t.Errorf("silence: %+v", l)
		}
	}
}

func TestCorrelation(t *testing.T) {
	a := sine(800, 300, 8000, 9000)
	b := slices.Clone(a)
	Gain(b, -0.5)
	if c := Correlation(a, a); c < 0.9999 {
		t.Errorf("with itself %f", c)
	}
	if c := Correlation(a, b); c > -0.9999 {
		t.Errorf("with its opposite %f", c)
	}
	if c := Correlation(a, sine(800, 1000, 8000, 9000)); math.Abs(c) > 0.01 {
		t.Errorf("with another tone %f", c)
	}
	if c := Correlation(a, make([]int16, 800)); c != 0 {
		t.Errorf("with silence %f", c)
	}
}
