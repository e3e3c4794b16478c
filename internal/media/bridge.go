package media

import (
	"errors"
	"fmt"
	"time"
)

// Bridge is two legs that hear each other.
type Bridge struct {
	a, b *Leg
	text string
}

// String says what became of the audio when the legs were joined.
func (br *Bridge) String() string { return br.text }

// Join bridges two legs. When they have different workers, b moves to a's. A leg
// that is bridged already is ErrBridged, one that has ended ErrClosed.
func (e *Engine) Join(a, b *Leg) (*Bridge, error) {
	br := &Bridge{a: a, b: b}
	if a == b || a.engine != e || b.engine != e {
		return nil, fmt.Errorf("join legs %s and %s: not two legs of this engine", a.name, b.name)
	}
	for {
		if home := a.worker.Load(); b.worker.Load() != home {
			if err := b.move(home); err != nil {
				return nil, fmt.Errorf("join legs %s and %s: %w", a.name, b.name, err)
			}
		}
		together := false
		err := a.do(func(w *worker) error {
			// While this runs, a leg that is on this worker cannot leave it.
			if together = b.worker.Load() == w; !together {
				return nil
			}
			return br.link(w.now())
		})
		if err != nil {
			return nil, fmt.Errorf("join legs %s and %s: %w", a.name, b.name, err)
		}
		if together {
			return br, nil
		}
	}
}

// Close ends the bridge; both legs live on and get comfort silence. It may be
// called more than once, and after a leg has ended.
func (br *Bridge) Close() error {
	err := br.a.do(func(w *worker) error {
		br.part(w.now())
		return nil
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		return fmt.Errorf("close the bridge of %s and %s: %w", br.a.name, br.b.name, err)
	}
	return nil
}

// link joins the legs. Their worker calls it.
func (br *Bridge) link(at time.Duration) error {
	a, b := br.a, br.b
	switch {
	case a.over || b.over:
		return ErrClosed
	case a.bridge != nil || b.bridge != nil:
		return ErrBridged
	}
	a.peer, a.bridge = b, br
	b.peer, b.bridge = a, br
	for _, l := range []*Leg{a, b} {
		l.cutPlay(at)
		l.leaveAudience(at)
		l.out.Break()
		l.route()
		l.arrangeComfort(at)
	}
	br.text = a.describe()
	return nil
}

// part separates the legs, when they are still joined by this bridge.
func (br *Bridge) part(at time.Duration) {
	if br.a.bridge != br {
		return
	}
	br.a.unlink()
	br.b.unlink()
	br.a.arrangeComfort(at)
	br.b.arrangeComfort(at)
	br.a.arrangeAudience(at)
	br.b.arrangeAudience(at)
}

// unlink is one leg's side of the end of a bridge.
func (l *Leg) unlink() {
	l.dropTranscoder()
	l.peer, l.bridge = nil, nil
	l.out.Break()
}

// move brings a leg to another worker, with its sockets. The old worker lets go
// of it and posts its arrival before anybody can see the new one, so commands to
// the leg stay in order.
func (l *Leg) move(to *worker) error {
	arrived := make(chan error, 1)
	err := l.do(func(from *worker) error {
		switch {
		case l.over:
			return ErrClosed
		case from == to:
			arrived <- nil
			return nil
		case l.bridge != nil:
			return ErrBridged
		}
		from.remove(l)
		to.post(command{run: l.arrive, done: arrived})
		l.worker.Store(to)
		return nil
	})
	if err != nil {
		return err
	}
	return <-arrived
}
