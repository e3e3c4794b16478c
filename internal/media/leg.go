package media

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// EventKind says what an Event is.
type EventKind uint8

// The kinds of events.
const (
	Started  EventKind = iota // the first packet came, or the first after TimedOut
	TimedOut                  // nothing came for LegOptions.Timeout
	Digit                     // the peer pressed a key (RFC 4733, or in-band: HearKeys)
	Failed                    // a fault of ours ended the leg's media; close it
	Played                    // what Play or SendKeys began is over
)

// String names the kind for logs.
func (k EventKind) String() string {
	names := [...]string{"started", "timed out", "digit", "failed", "played"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Event is what a leg tells session.
type Event struct {
	Kind  EventKind
	Digit byte   // '0'..'9', '*', '#', 'A'..'D'
	Play  uint64 // of Played: the ID that it was begun with
	Cut   bool   // of Played: it did not come to its end
	At    time.Duration
}

// Tap reads a leg: everything that came from the peer, in the order of arrival,
// duplicates included. It is called by the leg's worker, must not block and must
// not keep the payload.
type Tap interface {
	Take(*rtp.Received)
	TakeReport(*rtp.SenderReport)
	// Touch reads a word of each cache line that the next Take needs, so that those of
	// many legs are fetched from memory at the same time. What it returns means nothing.
	Touch() uint64
}

// LegOptions describe a new leg.
type LegOptions struct {
	Name string // for logs
	// Near puts the leg on the same worker as another one, which saves the move when
	// they are bridged; nil = any.
	Near *Leg
	// Timeout is how long the peer may be silent before TimedOut; 0 = for ever.
	Timeout time.Duration
	// Notify gets the events, from the worker: it must not block, and must not call
	// the leg or the engine. Nil = nobody wants them.
	Notify func(Event)
}

// Leg is one RTP stream pair. What session calls is safe for any goroutine; all
// of it waits for the leg's worker.
type Leg struct {
	engine *Engine
	name   string
	notify func(Event)
	limit  time.Duration

	live // the worker's

	control port // of RTCP
	cname   string

	worker  atomic.Pointer[worker]         // changed by that worker only
	coming  atomic.Pointer[sdp.Negotiated] // left by ConfigureLater for the worker; nil = nothing
	member  *member                        // of ports that legs share; nil = it has its own
	freed   sync.Once                      // sockets closed, ports given back
	freeErr error
}

// newLeg makes a leg without ports.
func newLeg(e *Engine, name string) *Leg {
	l := &Leg{engine: e, name: name, cname: newCNAME()}
	l.aside = new(aside)
	l.media.leg, l.control.leg = l, l
	for i := range l.timers {
		l.timers[i] = timer{leg: l, kind: timerKind(i)}
	}
	return l
}

// expect lets what the peer sends from the addresses that it announces come to the leg,
// where ports are shared.
func (l *Leg) expect(n *sdp.Negotiated) {
	if m := l.member; m != nil {
		m.of.expect(m, n)
	}
}

// Open makes a leg with an even RTP port and RTCP on the next one. Until it is
// configured, it sends nothing and counts what comes as unknown. The error is
// ErrNoPorts when there is no port, and ErrClosed when the engine has ended.
func (e *Engine) Open(o LegOptions) (*Leg, error) {
	l := newLeg(e, o.Name)
	l.notify, l.limit = o.Notify, o.Timeout
	w := e.place(o.Near)
	if len(w.shared) > 0 {
		l.share(w.portsFor(o.Near))
	} else {
		var err error
		if l.media, l.control, err = e.bind(false); err != nil {
			return nil, fmt.Errorf("open leg %s: %w", o.Name, err)
		}
		l.media.leg, l.control.leg = l, l
	}
	l.worker.Store(w)
	if !e.admit(l) {
		return nil, errors.Join(fmt.Errorf("open leg %s: %w", o.Name, ErrClosed), l.release())
	}
	if err := l.do(l.arrive); err != nil {
		return nil, errors.Join(fmt.Errorf("open leg %s: %w", o.Name, err), l.release())
	}
	return l, nil
}

// newCNAME makes a name that lives as long as the leg and tells nothing
// (RFC 7022 §4.2: 96 random bits).
func newCNAME() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// randomStart are the random first numbers of a stream (RFC 3550 §5.1).
func randomStart() (ssrc uint32, seq uint16, time uint32) {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint32(b[6:])
}

// do runs a command on the leg's worker and waits for it.
func (l *Leg) do(run func(*worker) error) error {
	done := make(chan error, 1)
	l.worker.Load().post(command{leg: l, run: run, done: done})
	return <-done
}

// Addr is the public IP and the RTP port, for SDP.
func (l *Leg) Addr() netip.AddrPort {
	return netip.AddrPortFrom(l.engine.publicIP, uint16(l.media.number))
}

// Configure takes the outcome of an offer/answer exchange, the first or a later
// one. It is in force when Configure returns. A peer address of a family that the
// leg is not bound to is an error, and changes nothing.
func (l *Leg) Configure(n sdp.Negotiated) error {
	if err := l.check(&n); err != nil {
		return fmt.Errorf("configure leg %s: %w", l.name, err)
	}
	l.expect(&n)
	rate := n.Send.SampleRate
	var p *player       // what is played, and must be brought to another rate first
	var ready rendition // of it
	for done := false; !done; {
		err := l.do(func(w *worker) error {
			switch {
			case l.over:
				return ErrClosed
			case l.player == nil || l.player.rate == rate || l.player.keys != nil:
			case l.player == p:
				p.retune(ready)
			default:
				p = l.player
				return nil
			}
			l.configure(&n, w.now())
			done = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("configure leg %s: %w", l.name, err)
		}
		if !done {
			ready = p.play.render(rate)
		}
	}
	return nil
}

func (l *Leg) check(n *sdp.Negotiated) error {
	for _, addr := range []*netip.AddrPort{&n.Remote, &n.RemoteRTCP} {
		if !addr.IsValid() {
			continue
		}
		*addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if addr.Addr().Is4() != l.engine.bindIP.Is4() && !(addr.Addr().Is4() && l.engine.bindIP.IsUnspecified()) {
			return fmt.Errorf("the peer's address %s cannot be reached from %s", addr, l.engine.bindIP)
		}
	}
	if n.Send.ClockRate <= 0 {
		return fmt.Errorf("codec %q to send has no clock rate", n.Send.Name)
	}
	return nil
}

// SetTaps replaces all taps of the leg. When it returns, no former tap is called
// any more. On a leg that has ended it does nothing.
func (l *Leg) SetTaps(taps ...Tap) {
	own := tapsOf(taps)
	// An ended leg calls no taps, so there is nothing to do for it.
	_ = l.do(func(*worker) error {
		if !l.over {
			l.taps = own
		}
		return nil
	})
}

// Close ends the leg and its part in a bridge, tells the peer (RTCP BYE) and gives
// the ports back. It may be called more than once.
func (l *Leg) Close() error {
	err := l.do(func(w *worker) error {
		w.end(l, false)
		return nil
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		return errors.Join(fmt.Errorf("close leg %s: %w", l.name, err), l.release())
	}
	return l.release()
}

// release closes the sockets and gives the ports back. The leg's worker must have
// let go of it.
func (l *Leg) release() error {
	l.freed.Do(func() {
		defer l.engine.forget(l)
		if m := l.member; m != nil {
			m.of.leave(m)
			return
		}
		if err := errors.Join(l.media.socket.close(), l.control.socket.close()); err != nil {
			l.freeErr = fmt.Errorf("close the ports of leg %s: %w", l.name, err)
		}
		l.engine.ports.put(l.media.number, l.engine.now())
	})
	return l.freeErr
}

// Stats are the counters and measures of a leg, since it was opened.
type Stats struct {
	Remote netip.AddrPort // where the peer's packets come from; zero = none came
	SSRC   uint32         // of the stream that plays

	Received, ReceivedOctets uint64 // packets of the peer, without duplicates; octets of payload
	Late, Duplicate, Lost    uint64
	Foreign                  uint64 // not from the peer
	Malformed                uint64 // not RTP or RTCP
	Unknown                  uint64 // of a payload type nobody agreed on
	Overflow                 uint64 // lost in the socket's full buffer
	Jitter                   time.Duration

	Sent, SentOctets uint64
	Unsent           uint64 // of the bridge, but the leg was on hold or the peer takes no such format

	// What the peer said, where it had to be transcoded for the bridged leg.
	Transcoded uint64        // packets made of it
	Concealed  time.Duration // of what was lost or late
	Missed     uint64        // packets that came too late to be heard

	RemoteLost   int32 // packets of ours that the peer did not get, as it reports
	RemoteJitter time.Duration
	RoundTrip    time.Duration
	LastHeard    time.Duration // arrival of the newest packet; 0 = none
}

// add adds the counters of another leg.
func (s *Stats) add(o *Stats) {
	s.Received += o.Received
	s.ReceivedOctets += o.ReceivedOctets
	s.Late += o.Late
	s.Duplicate += o.Duplicate
	s.Lost += o.Lost
	s.Foreign += o.Foreign
	s.Malformed += o.Malformed
	s.Unknown += o.Unknown
	s.Overflow += o.Overflow
	s.Sent += o.Sent
	s.SentOctets += o.SentOctets
	s.Unsent += o.Unsent
	s.Transcoded += o.Transcoded
	s.Concealed += o.Concealed
	s.Missed += o.Missed
}

// Stats returns the counters as they stand, also of a leg that has ended.
func (l *Leg) Stats() (s Stats) {
	read := func(*worker) error { s = l.stats(); return nil }
	if err := l.do(read); err != nil {
		return l.stats() // the worker has ended and touches nothing any more
	}
	return s
}

// String describes the leg's pipeline, for logs and tests:
// "RTP(PCMU/8000) 127.0.0.1:20000 ⇄ 127.0.0.1:5004 → bridge(B)".
func (l *Leg) String() (s string) {
	read := func(*worker) error { s = l.describe(); return nil }
	if err := l.do(read); err != nil {
		return l.describe()
	}
	return s
}
