package media

import (
	"fmt"
	"time"

	"tapedeck/internal/sdp"
)

// What is here is asked for and not waited for: a worker that carries many calls looks
// into its mailbox once a turn, and to set a call up takes many such looks. What one
// goroutine asks of a leg, and of the bridge it is in, is done in that order: whoever
// waits for the last has waited for all.

// later runs a command on the leg's worker.
func (l *Leg) later(run func(*worker)) {
	l.worker.Load().post(command{leg: l, run: func(w *worker) error { run(w); return nil }})
}

// ConfigureLater is Configure that does not wait, for a leg that plays nothing: what is
// played is not brought to another rate. A leg that has ended is left as it is.
func (l *Leg) ConfigureLater(n sdp.Negotiated) error {
	if err := l.check(&n); err != nil {
		return fmt.Errorf("configure leg %s: %w", l.name, err)
	}
	l.expect(&n)
	l.coming.Store(&n)
	l.later(func(w *worker) { l.settle(w.now()) })
	return nil
}

// settle takes the newest outcome that ConfigureLater left. A packet of a leg that has
// none yet asks for it, too: the peer may answer before the worker has come to the
// command.
func (l *Leg) settle(at time.Duration) {
	if n := l.coming.Swap(nil); n != nil && !l.over {
		l.configure(n, at)
	}
}

// HearKeysLater is HearKeys that does not wait. A leg that has ended is left as it is.
func (l *Leg) HearKeysLater(on bool) {
	l.later(func(w *worker) {
		if !l.over {
			l.hearKeys(on, w.now())
		}
	})
}

// SetTapsLater is SetTaps that does not wait: the taps before may get a few packets
// more.
func (l *Leg) SetTapsLater(taps ...Tap) {
	own := tapsOf(taps)
	l.later(func(*worker) {
		if !l.over {
			l.taps = own
		}
	})
}

// SetPlayTapsLater is SetPlayTaps that does not wait.
func (l *Leg) SetPlayTapsLater(taps ...Tap) {
	own := append([]Tap(nil), taps...)
	l.later(func(*worker) {
		if !l.over {
			l.monitor.taps = own
		}
	})
}

// StatsLater writes the counters as they are now into s, which is the worker's until
// something that was asked for later has been waited for.
func (l *Leg) StatsLater(s *Stats) {
	l.later(func(*worker) { *s = l.stats() })
}
