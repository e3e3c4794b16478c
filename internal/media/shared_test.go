package media

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// sharing starts an engine whose legs share so many pairs of ports.
func sharing(t *testing.T, n network, pairs, workers int) *bench {
	t.Helper()
	return start(t, Options{network: n, Shared: pairs, Workers: workers})
}

// exchange lets two bridged parties say something, and expects that each hears the other.
func exchange(t *testing.T, p, q *party) {
	t.Helper()
	for _, way := range [][2]*party{{p, q}, {q, p}} {
		for range 3 {
			said := way[0].talk()
			if got := way[1].hearVoice(); !slices.Equal(got.payload, said.payload) {
				t.Fatalf("a party heard %x…, want %x…", got.payload[:4], said.payload[:4])
			}
		}
	}
}

// TestSharedPortsTellPartiesApart by the addresses that they have announced: all legs have
// the same port, and each party hears its own far side only.
func TestSharedPortsTellPartiesApart(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := sharing(t, n, 1, 1)
		type call struct{ p, q *party }
		var calls []call
		at := map[netip.AddrPort]bool{}
		for i := range 5 {
			la, p := b.connect("A")
			lb, q := b.connect("B")
			p.ssrc, q.ssrc = uint32(100+i), uint32(200+i)
			at[la.Addr()], at[lb.Addr()] = true, true
			b.join(la, lb)
			calls = append(calls, call{p, q})
		}
		if len(at) != 1 {
			t.Fatalf("legs are at %v, want one address", at)
		}
		for range 3 {
			for _, c := range calls {
				exchange(t, c.p, c.q)
			}
		}
	})
}

// TestSharedPortsGiveStrangersToNobody, even from the host of a leg.
func TestSharedPortsGiveStrangersToNobody(t *testing.T) {
	b := sharing(t, nil, 1, 1)
	l, p := b.connect("A")
	stranger := newParty(t, l)
	for range 5 {
		stranger.talk()
	}
	p.talk()
	eventually(t, func() bool { return l.Stats().Received == 1 })
	eventually(t, func() bool { return b.totals().Foreign == 5 })
	if s := l.Stats(); s.Foreign+s.Unknown > 0 || s.Remote != addrOf(p.rtp) {
		t.Errorf("the leg saw strangers: %+v", s)
	}
}

// TestSharedPortsFollowAPartyThatMoves: its stream goes on from another address.
func TestSharedPortsFollowAPartyThatMoves(t *testing.T) {
	var passed atomic.Int64 // ns, beside the time that passes
	begun := time.Now()
	b := start(t, Options{Shared: 1, Workers: 1, Now: func() time.Duration {
		return time.Since(begun) + time.Duration(passed.Load())
	}})
	la, p := b.connect("A")
	lb, q := b.connect("B")
	q.ssrc = 0x2000
	b.join(la, lb)
	exchange(t, p, q)
	p.rtp = listen(t) // as behind a NAT that forgot it
	passed.Add(int64(3 * time.Second))
	p.time += 3 * 8000
	for range 2 { // the second confirms the first
		p.talk()
	}
	q.hearVoice()
	eventually(t, func() bool { return la.Stats().Remote == addrOf(p.rtp) })
	q.hearVoice()
	exchange(t, p, q)
}

// TestSharedPortsOfOneAddressTwice: a trunk uses a port again while the call that had it
// before has not ended here. Its stream is that of the new leg.
func TestSharedPortsOfOneAddressTwice(t *testing.T) {
	b := sharing(t, nil, 1, 1)
	before, p := b.connect("before")
	p.talk()
	eventually(t, func() bool { return before.Stats().Received == 1 })
	after, _ := b.open(LegOptions{Name: "after"})
	configure(t, after, p.negotiated())
	p.ssrc, p.seq = 0x3000, 5
	for range 3 {
		p.talk()
	}
	eventually(t, func() bool { return after.Stats().Received == 3 })
	if got := before.Stats().Received; got != 1 {
		t.Errorf("the leg before got %d packets, want its own one", got)
	}
	p.ssrc, p.seq = 0x1000, 101 // what is late of the first call
	p.talk()
	eventually(t, func() bool { return before.Stats().Received == 2 })
	if err := after.Close(); err != nil {
		t.Fatal(err)
	}
	p.talk()
	eventually(t, func() bool { return before.Stats().Received == 3 })
}

// TestSharedPortsAcrossWorkers: a leg that was bridged with one of another worker is
// still at the port that its party knows.
func TestSharedPortsAcrossWorkers(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := sharing(t, n, 2, 2)
		la, p := b.connect("A")
		lb, q := b.connect("B")
		q.ssrc = 0x2000
		if la.worker.Load() == lb.worker.Load() {
			t.Fatal("both legs have one worker")
		}
		port := lb.Addr()
		b.join(la, lb)
		if la.worker.Load() != lb.worker.Load() || lb.Addr() != port {
			t.Fatal("the second leg has not moved, or its port has")
		}
		exchange(t, p, q)
	})
}

// TestSharedPortsGiveReportsToTheirLeg: RTCP comes to the next port, from where the party
// said, or from the port after that of its RTP.
func TestSharedPortsGiveReportsToTheirLeg(t *testing.T) {
	b := sharing(t, nil, 1, 1)
	l, p := b.connect("A")
	_, other := b.connect("B")
	e := &ear{}
	l.SetTaps(e)
	p.talk()
	other.ssrc = 0x2000
	other.talk()
	report := rtp.Report{SSRC: p.ssrc, CNAME: "p", Sender: &rtp.SenderReport{NTP: 1 << 32, RTPTime: 8000, Packets: 1, Octets: 160}}
	datagram, err := report.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.rtcp.WriteToUDPAddrPort(datagram, p.toRTCP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(e.told()) == 1 })
}

// TestSharedPortsListenFromTheAnswerOn: what a party sends as soon as its answer is known
// is not lost, although nobody waits for the worker.
func TestSharedPortsListenFromTheAnswerOn(t *testing.T) {
	b := sharing(t, nil, 1, 1)
	l, _ := b.open(LegOptions{Name: "A"})
	p := newParty(t, l)
	if err := l.ConfigureLater(p.negotiated()); err != nil {
		t.Fatal(err)
	}
	p.talk()
	eventually(t, func() bool { return l.Stats().Received == 1 })
}

// TestSharedPortsForgetLegs: nothing is kept of a leg that has ended.
func TestSharedPortsForgetLegs(t *testing.T) {
	b := sharing(t, nil, 1, 1)
	for range 3 {
		l, p := b.connect("A", func(n *sdp.Negotiated) { n.RTCPMux = true })
		p.talk()
		eventually(t, func() bool { return l.Stats().Received == 1 })
		other := newParty(t, l)
		configure(t, l, other.negotiated()) // a re-INVITE to another address
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := b.shared[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.listed[rtpList].Len() + s.listed[rtcpList].Len() + len(s.streams); n != 0 {
		t.Errorf("%d entries are left of legs that have ended", n)
	}
}
