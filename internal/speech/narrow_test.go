package speech

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tapedeck/internal/audio"
)

func hiss(n int) []int16 {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(random.IntN(8001) - 4000)
	}
	return out
}

// level is how strong a frequency is.
func level(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		a := 2 * math.Pi * hz * float64(i) / sphinxRate
		re += float64(v) * math.Cos(a)
		im += float64(v) * math.Sin(a)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

// TestWiden: what is as wide as a telephone call has its mirror image above 4 kHz,
// and all else is left alone.
func TestWiden(t *testing.T) {
	tone := make([]int16, sphinxRate)
	for i := range tone {
		tone[i] = int16(math.Round(8000 * math.Sin(2*math.Pi*1000*float64(i)/sphinxRate)))
	}
	wide := widen(tone)
	if low, high := level(wide, 1000), level(wide, 7000); math.Abs(low-8000) > 20 || math.Abs(high-8000*mirrored) > 20 {
		t.Errorf("at 1 kHz %.0f, at 7 kHz %.0f", low, high)
	}
	down, up := audio.NewResampler(sphinxRate, sphinxRate/2), audio.NewResampler(sphinxRate/2, sphinxRate)
	telephoned := up.Flush(up.Process(nil, down.Flush(down.Process(nil, hiss(sphinxRate)))))
	if slices.Equal(widen(telephoned), telephoned) {
		t.Error("noise of a telephone was left narrow")
	}
	for name, pcm := range map[string][]int16{"nothing": nil, "silence": make([]int16, 1000), "wide": hiss(sphinxRate), "short": {5}} {
		if got := widen(pcm); !slices.Equal(got, pcm) {
			t.Errorf("%s was changed", name)
		}
	}
	loud := slices.Repeat([]int16{math.MaxInt16, math.MaxInt16, math.MinInt16, math.MinInt16}, 4000)
	for i, v := range widen(loud) {
		if (v < 0) != (loud[i] < 0) {
			t.Fatalf("sample %d of a loud clip turned over", i)
		}
	}
}
