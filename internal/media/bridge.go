package media

import (
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// Bridge is two legs that hear each other.
type Bridge struct{ a, b *Leg }

// Join bridges two legs. When they have different workers, b moves to a's. A leg
// that is bridged already is ErrBridged, one that has ended ErrClosed.
func (e *Engine) Join(a, b *Leg) (*Bridge, error) {
	br := &Bridge{a: a, b: b}
	if a == b || a.engine != e || b.engine != e {
		return nil, fmt.Errorf("join legs %s and %s: not two legs of this engine", a.name, b.name)
	}
	for {
		if err := b.move(a.worker.Load()); err != nil {
			return nil, fmt.Errorf("join legs %s and %s: %w", a.name, b.name, err)
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
		l.out.Break()
		l.route()
		l.arrangeComfort(at)
	}
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
}

// unlink is one leg's side of the end of a bridge.
func (l *Leg) unlink() {
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

// routes says what happens to the packets of a leg by their payload type.
type routes struct {
	index [128]uint8 // 1 + place in list, 0 = not sent on
	list  []route
}

// route is how packets of one format go on.
type route struct {
	pt      uint8        // on the other side
	audio   bool         // not an event
	convert func([]byte) // in place; nil = as it is
}

// route works out the routes from the leg to its peer, from what both negotiated.
func (l *Leg) route() {
	l.routes = routes{}
	if !l.configured || !l.peer.configured {
		return
	}
	var known [128]bool
	// What was negotiated before may still be under way; its payload types keep
	// their routes as long as the receiver understands them.
	for _, list := range [][]sdp.Codec{l.agreed.Receive, l.former} {
		for i := range list {
			if pt := list[i].PT & 0x7f; !known[pt] {
				known[pt] = true
				l.addRoute(&list[i])
			}
		}
	}
}

func (l *Leg) addRoute(c *sdp.Codec) {
	r, ok := routeTo(c, &l.peer.agreed)
	if !ok {
		return
	}
	l.routes.list = append(l.routes.list, r)
	l.routes.index[c.PT&0x7f] = uint8(len(l.routes.list))
}

// routeTo finds the way of a format to a peer.
func routeTo(c *sdp.Codec, to *sdp.Negotiated) (route, bool) {
	switch {
	case c.ClockRate != to.Send.ClockRate:
		return route{}, false // its timestamps would mean something else there
	case c.Is(codec.Event):
		if to.Event == nil || to.Event.ClockRate != c.ClockRate {
			return route{}, false
		}
		return route{pt: to.Event.PT}, true
	case c.Is(codec.CN):
		for _, r := range to.Receive { // who sends comfort noise understands it
			if r.Is(codec.CN) && r.ClockRate == c.ClockRate {
				return route{pt: r.PT, audio: true}, true
			}
		}
		return route{}, false
	case c.Is(to.Send.Name) && c.Channels == to.Send.Channels:
		return route{pt: to.Send.PT, audio: true}, true
	}
	convert, ok := codec.Converter(c.Info, to.Send.Info)
	return route{pt: to.Send.PT, audio: true, convert: convert}, ok
}

// relay sends a packet of the leg to its peer: another header, the same payload,
// or the other law of G.711. No decoding, no buffering.
func (l *Leg) relay(p *rtp.Received) {
	to := l.peer
	target := to.in.Target()
	if !to.sends || !target.IsValid() {
		to.unsent++
		return
	}
	if p.Verdict == rtp.Late {
		if ssrc, _ := l.in.SSRC(); p.SSRC != ssrc {
			return // of a stream that another has replaced: it has no place any more
		}
	}
	i := l.routes.index[p.PT&0x7f]
	if i == 0 {
		to.unsent++
		to.out.Skip(p, l.in.Epoch())
		return
	}
	r := &l.routes.list[i-1]
	if r.convert != nil {
		r.convert(p.Payload)
	}
	if packet := to.out.Relay(p, r.pt, l.in.Epoch(), r.audio); packet != nil {
		to.w.poller.send(to.media.socket, target, packet)
	}
}
