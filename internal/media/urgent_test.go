package media

import (
	"testing"
	"time"
)

// TestUrgencyIsForBusyWorkers: and does not change at every look.
func TestUrgencyIsForBusyWorkers(t *testing.T) {
	for _, c := range []struct {
		share          float64
		before, urgent bool
	}{
		{0, false, false}, {0.07, false, false}, {0.1, false, true}, {0.5, false, true}, {1, false, true},
		{0.02, true, false}, {0.07, true, true}, {0.5, true, true}, {1, true, true},
	} {
		u := urgency{on: c.before}
		if got := u.wanted(c.share); got != c.urgent {
			t.Errorf("%.2f of a processor, urgent before %t: urgent %t, want %t", c.share, c.before, got, c.urgent)
		}
	}
}

// TestOthersHaveTheirPart: a worker that goes first leaves a part of the time to others, in
// short pieces, as far as they have not had it anyway. One that does not owes them nothing.
func TestOthersHaveTheirPart(t *testing.T) {
	for name, c := range map[string]struct {
		share          float64 // of what it is not resting
		urgent, behind bool
		from, to       time.Duration // rest in a second
		piece          time.Duration
	}{
		"alone":                 {1, true, false, time.Second / (othersPart + 2), time.Second / (othersPart - 2), pause},
		"some had by them":      {0.95, true, false, time.Second / 40, time.Second / 20, pause},
		"enough had":            {0.9, true, false, 0, 0, pause},
		"ordinary":              {1, false, false, 0, 0, pause},
		"behind":                {1, true, true, time.Second / (morePart + 1), time.Second / (morePart - 1), morePause},
		"behind, with much had": {0.7, true, true, 0, 0, morePause},
		"behind, ordinary":      {1, false, true, 0, 0, morePause},
	} {
		t.Run(name, func(t *testing.T) {
			u := urgency{on: c.urgent, allowed: true}
			now, rested := time.Duration(0), time.Duration(0)
			for rest := time.Duration(0); now < time.Second; {
				now += glanceEvery + rest
				u.decided = now // nothing is to be decided
				// It used so much since the last look.
				u.used = threadTime() - time.Duration(c.share*float64(glanceEvery))
				var changed bool
				if changed, rest = u.look(now, func() bool { return c.behind }); changed {
					t.Fatal("it is as urgent as before")
				}
				if rest > c.piece {
					t.Errorf("rests for %v", rest)
				}
				rested += rest
			}
			if rested < c.from || rested > c.to {
				t.Errorf("rested %v, want %v to %v", rested, c.from, c.to)
			}
		})
	}
}
