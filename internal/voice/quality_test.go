package voice

import (
	"testing"
	"time"
)

func TestOpinion(t *testing.T) {
	for _, c := range []struct {
		heard, lost uint64
		jitter      time.Duration
		least, most float64
	}{
		{99, 0, 0, 0, 0}, // too few to tell
		{1000, 0, 0, 4.3, 4.5},
		{1000, 0, 10 * time.Millisecond, 4.3, 4.5},
		{990, 10, 0, 4.2, 4.4},
		{950, 50, 0, 3.5, 4.2},
		{800, 200, 0, 1.5, 2.7},
		{1000, 0, 200 * time.Millisecond, 2.5, 4.2},
		{100, 100_000, time.Minute, 1, 1},
	} {
		if got := Opinion(c.heard, c.lost, c.jitter); got < c.least || got > c.most {
			t.Errorf("%d heard, %d lost, jitter %s: %.2f, want %.2f to %.2f", c.heard, c.lost, c.jitter, got, c.least, c.most)
		}
	}
	before := 5.0
	for lost := range uint64(500) {
		now := Opinion(1000, lost, 0)
		if now > before {
			t.Fatalf("%d lost of %d: %.3f, better than with one less: %.3f", lost, 1000+lost, now, before)
		}
		before = now
	}
}
