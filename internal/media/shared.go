package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/media/addresses"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// shared is a pair of UDP ports that many legs have in common (Options.Shared). Its
// worker receives for all of them, whichever worker they are on. Whose a datagram is,
// is told by the address that it comes from; see whose.
type shared struct {
	media, control port

	// mu guards what follows. It is a leaf, held for a batch of look-ups, never during
	// I/O.
	mu      sync.Mutex
	listed  [2]*addresses.Table[*member] // by where a leg's RTP, and its RTCP, comes from
	streams map[uint32]*member           // by the SSRC that was heard last
}

// manyStreams of a port are known without more memory: a new one may be heard while a worker
// has to do without (Engine.Relent).
const manyStreams = 1024

// The lists of addresses.
const (
	rtpList = iota
	rtcpList
)

// member is a leg as its shared port knows it. The port's mutex guards it, but for of and
// leg, which do not change.
type member struct {
	leg   *Leg
	of    *shared
	ssrc  uint32 // of the stream that was heard last
	heard bool
	gone  bool
	next  [2]*member        // who else is listed there, and was before
	at    [2]netip.AddrPort // where it is listed; zero = nowhere
}

// bindShared binds the ports that legs share, so many pairs for each worker.
func (e *Engine) bindShared(pairs int) error {
	for _, w := range e.workers {
		for range pairs {
			m, c, err := e.bind(true)
			if err != nil {
				return fmt.Errorf("media: shared ports of worker %d: %w", w.index, err)
			}
			s := &shared{
				media: m, control: c, streams: make(map[uint32]*member, manyStreams),
				listed: [2]*addresses.Table[*member]{addresses.New[*member](), addresses.New[*member]()},
			}
			e.shared, w.shared = append(e.shared, s), append(w.shared, s)
		}
	}
	return nil
}

// closeShared closes them. No worker runs any more.
func (e *Engine) closeShared() error {
	var errs []error
	for _, s := range e.shared {
		errs = append(errs, s.media.socket.close(), s.control.socket.close())
		e.ports.put(s.media.number, e.now())
	}
	e.shared = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("media: close the shared ports: %w", err)
	}
	return nil
}

// portsFor are the shared ports of a new leg: those of the leg near to it, so that the
// packets of a call leave by the socket that they came to, many by one system call; else
// each in turn.
func (w *worker) portsFor(near *Leg) *shared {
	if near != nil {
		return near.member.of
	}
	return w.shared[int(w.turns.Add(1))%len(w.shared)]
}

// share gives a new leg its ports.
func (l *Leg) share(s *shared) {
	l.member = &member{leg: l, of: s}
	l.media, l.control = s.media, s.control
	l.media.leg, l.control.leg = l, l
}

// expect lists a leg under the addresses that its peer has announced. Any goroutine may
// call it.
func (s *shared) expect(m *member, n *sdp.Negotiated) {
	control := n.RemoteRTCP
	if !control.IsValid() && n.Remote.IsValid() && n.Remote.Port() < 65535 {
		control = netip.AddrPortFrom(n.Remote.Addr(), n.Remote.Port()+1) // RFC 3550 §11
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.gone {
		return
	}
	if n.Remote.IsValid() && n.Remote != m.at[rtpList] {
		s.list(rtpList, m, n.Remote)
	}
	if control.IsValid() && control != m.at[rtcpList] {
		s.list(rtcpList, m, control)
	}
}

// leave forgets a leg. It may be called more than once.
func (s *shared) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.gone = true
	s.unlist(rtpList, m)
	s.unlist(rtcpList, m)
	if s.streams[m.ssrc] == m {
		delete(s.streams, m.ssrc)
	}
}

// list puts a leg into a list, before those that have the same address.
func (s *shared) list(which int, m *member, at netip.AddrPort) {
	s.unlist(which, m)
	m.at[which], m.next[which] = at, s.listed[which].Find(at)
	s.listed[which].Put(at, m)
}

func (s *shared) unlist(which int, m *member) {
	at := m.at[which]
	if !at.IsValid() {
		return
	}
	switch first := s.listed[which].Find(at); {
	case first != m:
		before := first
		for before.next[which] != m {
			before = before.next[which]
		}
		before.next[which] = m.next[which]
	case m.next[which] == nil:
		s.listed[which].Remove(at)
	default:
		s.listed[which].Put(at, m.next[which])
	}
	m.at[which], m.next[which] = netip.AddrPort{}, nil
}

// note remembers the stream of a leg, by which it is known when its peer moves.
func (s *shared) note(m *member, ssrc uint32) {
	if m.heard && m.ssrc == ssrc {
		return
	}
	if s.streams[m.ssrc] == m {
		delete(s.streams, m.ssrc)
	}
	m.ssrc, m.heard = ssrc, true
	s.streams[ssrc] = m
}

// whose finds the leg that a datagram is for; first is the one listed at its address. Who
// sends from the address that it announced is known by that; where several have announced
// the same (a trunk uses a port again before the call that had it has ended here) the stream
// tells, and a new stream is of the newest leg that has heard none. Who has moved to another
// address is known by the stream that was heard from him before. Such a datagram is shown to
// the leg, which decides by the rules of symmetric RTP whether it listens (rtp.Receiver);
// sure is false then. Nil = nobody's: that it comes from the host of a leg says nothing, all
// calls of a trunk come from one.
func (s *shared) whose(control bool, d *datagram, first *member) (m *member, sure bool) {
	which, at := listOf(control), 8 // RFC 3550 §5.1: SSRC
	if control || rtp.IsControl(d.data) {
		at = 4 // RFC 3550 §6.4.1: SSRC of who reports
	}
	if len(d.data) < at+4 {
		return nil, false
	}
	ssrc := binary.BigEndian.Uint32(d.data[at:])
	if first == nil {
		return s.streams[ssrc], false
	}
	m = first
	if m.next[which] != nil {
		m = pick(first, which, ssrc)
	}
	if at == 8 {
		s.note(m, ssrc)
	}
	return m, true
}

// listOf is the list of those who send to the RTCP port, or to the RTP port.
func listOf(control bool) int {
	if control {
		return rtcpList
	}
	return rtpList
}

// pick is the leg of a stream, of those that are listed under one address.
func pick(first *member, which int, ssrc uint32) *member {
	var fresh *member
	for m := first; m != nil; m = m.next[which] {
		if m.heard && m.ssrc == ssrc {
			return m
		}
		if !m.heard && fresh == nil {
			fresh = m
		}
	}
	if fresh != nil {
		return fresh
	}
	return first
}

// owner is whose a datagram is.
type owner struct {
	member *member
	sure   bool
}

// owners finds those of a batch.
func (s *shared) owners(control bool, batch []datagram, out *[batchSize]owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// All are looked up before any of them is read: see soon.go.
	list := s.listed[listOf(control)]
	for i := range batch {
		out[i].member = list.Find(batch[i].from)
	}
	for i := range batch {
		out[i].member, out[i].sure = s.whose(control, &batch[i], out[i].member)
	}
}

// follow lists a leg where its peer's packets come from, once it has decided to listen
// there. Its worker calls it.
func (s *shared) follow(l *Leg) {
	from := l.in.Source()
	ssrc, ok := l.in.SSRC()
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := l.member; !m.gone && ok && from.IsValid() {
		if from != m.at[rtpList] {
			s.list(rtpList, m, from)
		}
		s.note(m, ssrc)
	}
}

// receiveShared takes one batch of a shared port.
func (w *worker) receiveShared(p *port, batch []datagram, dropped uint32) {
	at := w.now() // one stamp a batch
	s := w.sharedOf(p)
	w.gone.Overflow += uint64(dropped)
	s.owners(p.control, batch, &w.owners)
	w.soonShared(w.owners[:len(batch)])
	for i := range batch {
		m := w.owners[i].member
		if m == nil {
			w.gone.Foreign++
			continue
		}
		if home := m.leg.worker.Load(); home != w {
			back := w.stepBack() // it needs memory
			home.forward(m.leg, p.control, &batch[i], at)
			if back {
				w.goAhead()
			}
			continue
		}
		w.accept(m.leg, p.control, &batch[i], at)
		if !w.owners[i].sure {
			s.follow(m.leg)
		}
	}
	w.flush()
}

// sharedOf finds what a port is one of; there are few.
func (w *worker) sharedOf(p *port) *shared {
	for _, s := range w.shared {
		if p == &s.media || p == &s.control {
			return s
		}
	}
	return nil
}

// forward hands a datagram to the worker of a leg that was bridged with one of another
// worker, as a command: its bytes are copied.
func (w *worker) forward(l *Leg, control bool, d *datagram, at time.Duration) {
	copied := datagram{from: d.from, data: slices.Clone(d.data), truncated: d.truncated}
	w.post(command{leg: l, run: func(w *worker) error {
		if _, here := w.legs[l]; here {
			w.accept(l, control, &copied, at)
			l.member.of.follow(l)
		}
		return nil
	}})
}
