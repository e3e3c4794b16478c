package recorder

import (
	"testing"
	"time"
)

// TestTheFasterWayIsTaken: with one call for all, unless that is slow and the other way is
// not. What is slow is tried again, but not at every turn.
func TestTheFasterWayIsTaken(t *testing.T) {
	const (
		quick, slow = 50 * time.Millisecond, 2 * time.Second
		rounds      = 600
	)
	for name, c := range map[string]struct {
		together, alone time.Duration
		from, to        int // rounds by one call
	}{
		"both quick":                       {quick, quick, rounds, rounds},
		"others write much":                {slow, quick, rounds / 90, rounds / 30},
		"too much to do for the processor": {slow, slow, rounds * 9 / 10, rounds - 1},
		"a disk that is slow with each":    {quick, slow, rounds, rounds},
	} {
		t.Run(name, func(t *testing.T) {
			var g grouping
			now, ones := time.Second, 0
			for range rounds {
				took := c.alone
				one := g.one(now, togetherFrom)
				if one {
					ones++
					took = c.together
				}
				now += max(took, time.Second)
				if one {
					g.tookTogether(now, took)
				} else {
					g.tookAlone(took, togetherFrom)
				}
			}
			if ones < c.from || ones > c.to {
				t.Errorf("%d of %d rounds by one call, want %d to %d", ones, rounds, c.from, c.to)
			}
		})
	}
	var g grouping
	if g.one(time.Second, togetherFrom-1) {
		t.Error("a few journals are made safe by one call")
	}
	g.tookTogether(time.Second, slow)
	g.tookAlone(slow, togetherFrom-1)
	if g.one(2*time.Second, togetherFrom) {
		t.Error("a few journals say how long many take")
	}
}
