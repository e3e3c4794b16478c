package bench

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// TestSlowness: a core of which somebody else had half for half of the time. What came
// between is not counted.
func TestSlowness(t *testing.T) {
	var looks []time.Duration
	for i := range 100 {
		took := 30 * time.Microsecond
		if i%2 == 1 {
			took *= 2
		}
		looks = append(looks, took)
	}
	if got := slowness(looks); math.Abs(got-0.44) > 0.01 {
		t.Errorf("slowed by %.3f, want 4/9", got)
	}
	even := make([]time.Duration, 100)
	for i := range even {
		even[i] = 30 * time.Microsecond
	}
	even[7], even[50] = time.Second, time.Millisecond
	if got := slowness(even); got != 0 {
		t.Errorf("two interruptions: slowed by %.3f", got)
	}
	if got := slowness(nil); got != 0 {
		t.Errorf("no looks: slowed by %.3f", got)
	}
}

// TestPaceLooks: at the core that it is told to look at, until it is asked.
func TestPaceLooks(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Timeout(t, time.Minute)
	p := startPace([]int{0})
	for looked := false; !looked; {
		p.mu.Lock()
		looked = len(p.looks) > 1
		p.mu.Unlock()
	}
	if got := p.slowed(); got < 0 || math.IsNaN(got) {
		t.Errorf("slowed by %g", got)
	}
}
