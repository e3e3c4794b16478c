package audio

import (
	"math"
	"testing"
	"time"
)

// TestClip: a clip keeps its length and its tone at any rate, and is itself at
// its own.
func TestClip(t *testing.T) {
	c := &Clip{Rate: 16000, Samples: make([]int16, 16000)}
	for i := range c.Samples {
		c.Samples[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/16000))
	}
	if c.At(16000) != c || c.Duration() != time.Second {
		t.Errorf("a second became %v", c.Duration())
	}
	for _, rate := range []int{8000, 44100, 48000} {
		got := c.At(rate)
		want := make([]int16, rate)
		for i := range want {
			want[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
		}
		if got.Rate != rate || len(got.Samples) != rate || Correlation(got.Samples, want) < 0.999 {
			t.Errorf("at %d Hz: %d samples, likeness %.4f", rate, len(got.Samples), Correlation(got.Samples, want))
		}
	}
	if s := Silence(8000, 1500*time.Millisecond); s.Duration() != 1500*time.Millisecond || Measure(s.Samples).Peak != math.Inf(-1) {
		t.Errorf("silence of %v", s.Duration())
	}
	if (&Clip{}).Duration() != 0 {
		t.Error("a clip of nothing lasts")
	}
}
