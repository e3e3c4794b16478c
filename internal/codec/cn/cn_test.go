package cn_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tapedeck/internal/codec/cn"
)

func index(k float64) byte { return byte(math.Round(k*32768/258 + 127)) }

// decibels of the RMS, over full scale.
func decibels(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))/(1<<30))
}

func TestLevel(t *testing.T) {
	for name, shape := range map[string][]float64{
		"white": nil, "low": {-0.9}, "high": {0.7}, "room": {-0.85, 0.4, -0.1, 0.2, 0.05, -0.1, 0.1, 0, 0.05, -0.02},
	} {
		for _, level := range []byte{20, 40, 50, 60} {
			payload := []byte{level}
			for _, k := range shape {
				payload = append(payload, index(k))
			}
			g, pcm := cn.New(8000), make([]int16, 80000)
			g.Update(payload)
			g.Fill(pcm)
			if got := decibels(pcm); math.Abs(got+float64(level)) > 0.5 {
				t.Errorf("%s: %.2f dB, want %d", name, got, -int(level))
			}
		}
	}
}

// TestSpectrum: the noise has the reflection coefficients of the packet.
func TestSpectrum(t *testing.T) {
	want := []float64{-0.85, 0.4, -0.1, 0.2}
	g, pcm := cn.New(8000), make([]int16, 400000)
	g.Update([]byte{20, index(want[0]), index(want[1]), index(want[2]), index(want[3])})
	g.Fill(pcm)
	for i, k := range reflections(pcm, len(want)) {
		if math.Abs(k-want[i]) > 0.02 {
			t.Errorf("coefficient %d is %.3f, want %.3f", i+1, k, want[i])
		}
	}
}

// TestForeignPacket: what ffmpeg's encoder made of noise under 700 Hz at −22.5 dB
// (comfortnoise of libavcodec 59) comes out as noise of low tones, as loud.
func TestForeignPacket(t *testing.T) {
	g, pcm := cn.New(8000), make([]int16, 80000)
	g.Update([]byte{0x17, 0x0a, 0xe0, 0x30, 0xb8, 0x50, 0x9b, 0x63, 0x9a, 0x58, 0x90})
	g.Fill(pcm)
	var energy, next float64
	for i := 1; i < len(pcm); i++ {
		energy += float64(pcm[i]) * float64(pcm[i])
		next += float64(pcm[i]) * float64(pcm[i-1])
	}
	if like := next / energy; like < 0.88 || like > 0.95 { // ffmpeg's own decoder: 0.905
		t.Errorf("neighbours are alike by %.3f", like)
	}
	if got := decibels(pcm); math.Abs(got+22.5) > 1 {
		t.Errorf("%.1f dB", got)
	}
}

// reflections finds the reflection coefficients of pcm (Levinson and Durbin).
func reflections(pcm []int16, order int) []float64 {
	r, a := make([]float64, order+1), make([]float64, order+1)
	for lag := range r {
		for i := lag; i < len(pcm); i++ {
			r[lag] += float64(pcm[i]) * float64(pcm[i-lag])
		}
	}
	out, rest := []float64{}, r[0]
	a[0] = 1
	for m := 1; m <= order; m++ {
		sum := 0.0
		for i := range m {
			sum += a[i] * r[m-i]
		}
		k := -sum / rest
		next := slices.Clone(a)
		for i := 1; i <= m; i++ {
			next[i] = a[i] + k*a[m-i]
		}
		a, rest = next, rest*(1-k*k)
		out = append(out, k)
	}
	return out
}

func TestSilenceAndReset(t *testing.T) {
	g, first, second := cn.New(16000), make([]int16, 500), make([]int16, 500)
	g.Update(nil)
	if g.Fill(first); slices.Max(first) != 0 || slices.Min(first) != 0 {
		t.Error("noise before the first packet")
	}
	sid := []byte{30, 40, 200, 127}
	g.Update(sid)
	g.Fill(first)
	g.Update([]byte{70})
	g.Reset()
	if g.Fill(second); slices.Max(second) != 0 {
		t.Error("noise after Reset")
	}
	g.Update(sid)
	g.Fill(second[:100])
	g.Fill(second[100:])
	if !slices.Equal(first, second) {
		t.Error("the same packet makes another noise")
	}
}

// TestChange: a new level comes within 20 ms and not at once.
func TestChange(t *testing.T) {
	g, pcm := cn.New(8000), make([]int16, 8000)
	g.Update([]byte{60})
	g.Fill(pcm)
	g.Update([]byte{30})
	g.Fill(pcm)
	if early, late := decibels(pcm[:20]), decibels(pcm[160:]); early > -40 || math.Abs(late+30) > 0.7 {
		t.Errorf("%.1f dB in the first 2.5 ms, %.1f after 20 ms", early, late)
	}
}

// A party may describe another noise in each packet. It is as loud as it says all
// the same, also between two descriptions of the sharpest resonances.
func TestChangesOfSpectrum(t *testing.T) {
	const level = 60
	want := 32768 * math.Pow(10, -level/20.)
	for name, draw := range map[string]func(*rand.Rand) byte{
		"mild": func(r *rand.Rand) byte { return byte(27 + r.IntN(200)) },
		"wild": func(r *rand.Rand) byte { return []byte{0, 254, byte(r.IntN(255))}[r.IntN(3)] },
	} {
		g, r, pcm := cn.New(8000), rand.New(rand.NewPCG(1, 2)), make([]int16, 160)
		sum, n, peak := 0.0, 0, 0.0
		for range 5000 {
			sid := make([]byte, 1+r.IntN(40))
			for i := range sid {
				sid[i] = draw(r)
			}
			sid[0] = level
			g.Update(sid)
			g.Fill(pcm)
			for _, v := range pcm {
				a := math.Abs(float64(v))
				sum, n, peak = sum+a*a, n+1, max(peak, a)
			}
		}
		if rms := math.Sqrt(sum / float64(n)); rms > 1.2*want || peak > 10*want {
			t.Errorf("%s: RMS %.1f and peak %.0f at a level of %.1f", name, rms, peak, want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	g, pcm, sid := cn.New(8000), make([]int16, 160), []byte{40, 20, 150, 127, 130}
	if n := testing.AllocsPerRun(100, func() { g.Update(sid); g.Fill(pcm) }); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// FuzzUpdate: whatever a packet holds, the noise is no louder than it says, but
// for what a filter at its edge may ring.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte{40}, []byte{0x80 | 60, 0, 254, 255, 1})
	f.Add([]byte{}, []byte{127, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		g, pcm := cn.New(8000), make([]int16, 4000)
		for _, payload := range [][]byte{first, second} {
			g.Update(payload)
			g.Fill(pcm)
			g.Fill(pcm)
		}
		if len(second) == 1 && decibels(pcm) > -float64(second[0]&0x7f)+3 {
			t.Errorf("white noise of %.1f dB for a level of -%d", decibels(pcm), second[0]&0x7f)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	g, pcm := cn.New(8000), make([]int16, 160)
	g.Update([]byte{40, 20, 150, 127, 130, 120, 127, 127, 127, 127, 127})
	b.ReportAllocs()
	for b.Loop() {
		g.Fill(pcm)
	}
}
