package media

import "testing"

// TestUrgencyIsForBusyWorkersWithRoom: and does not change at every look.
func TestUrgencyIsForBusyWorkersWithRoom(t *testing.T) {
	for _, c := range []struct {
		share          float64
		before, urgent bool
	}{
		{0, false, false}, {0.07, false, false}, {0.1, false, true}, {0.5, false, true}, {0.85, false, true},
		{0.9, false, false}, {1, false, false},
		{0.07, true, true}, {0.5, true, true}, {0.9, true, true},
		{0.02, true, false}, {0.97, true, true}, {1, true, true}, // but see TestUrgencyOfAThread
	} {
		u := urgency{on: c.before}
		if got := u.wanted(c.share); got != c.urgent {
			t.Errorf("%.2f of a processor, urgent before %t: urgent %t, want %t", c.share, c.before, got, c.urgent)
		}
	}
}
