package media

import (
	"net"
	"net/netip"
	"testing"
)

// eachLink runs a test over the drivers that link.
func eachLink(t *testing.T, test func(*testing.T, network)) {
	for name, n := range systemNetworks() {
		t.Run(name, func(t *testing.T) { test(t, n) })
	}
}

// linkOf is whom the RTP port of a leg is linked to; zero = nobody.
func linkOf(t *testing.T, l *Leg) (to netip.AddrPort) {
	t.Helper()
	if err := l.do(func(*worker) error {
		if s := l.media.socket.(*epollSocket); s.link.fd >= 0 {
			to = s.link.peer
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return to
}

func listenAt(t *testing.T, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// chat lets two bridged parties say n packets each, every one of which has to come.
func chat(t *testing.T, p, q *party, n int) {
	t.Helper()
	for range n {
		for _, pair := range [][2]*party{{p, q}, {q, p}} {
			said := pair[0].talk()
			if heard := pair[1].hearVoice(); string(heard.payload) != string(said.payload) {
				t.Fatalf("heard another packet than %d", said.seq)
			}
		}
	}
}

func TestALegThatTalksLongerIsLinkedToItsPeer(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 1, network: n})
		la, p := b.connect("A")
		lb, q := b.connect("B")
		b.join(la, lb)
		chat(t, p, q, linkAfter/2)
		if to := linkOf(t, la); to.IsValid() {
			t.Fatalf("linked to %s after %d packets", to, linkAfter/2)
		}
		chat(t, p, q, linkAfter)
		for l, want := range map[*Leg]*party{la: p, lb: q} {
			eventually(t, func() bool { return linkOf(t, l) == addrOf(want.rtp) })
		}
		chat(t, p, q, linkAfter)
		// What is sent still comes from the port that the SDP names.
		p.talk()
		if k := q.hearVoice(); k.from != lb.Addr() {
			t.Errorf("from %s, want %s", k.from, lb.Addr())
		}
	})
}

func TestWhoIsLinkedStillSeesStrangersAndAPeerThatMoves(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 1, network: n})
		la, p := b.connect("A")
		lb, q := b.connect("B")
		b.join(la, lb)
		chat(t, p, q, 2*linkAfter)
		eventually(t, func() bool { return linkOf(t, la).IsValid() })

		stranger := newParty(t, la)
		stranger.ssrc = 0x666
		stranger.talk()
		eventually(t, func() bool { return la.Stats().Foreign == 1 })

		// The peer says in a new offer that it moved, and goes on from there.
		old := addrOf(p.rtp)
		p.rtp = listen(t)
		configure(t, la, p.negotiated())
		chat(t, p, q, 2*linkAfter)
		eventually(t, func() bool { return linkOf(t, la) == addrOf(p.rtp) })
		if to := linkOf(t, la); to == old {
			t.Errorf("still linked to %s", to)
		}
		chat(t, p, q, 5)
		if s := la.Stats(); s.Lost != 0 || s.Duplicate != 0 || s.Late != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestALinkMovesWithItsLeg(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 2, network: n})
		la, p := b.connect("A")
		lb, q := b.connect("B") // on the other worker, and moves when they are joined
		br := b.join(la, lb)
		chat(t, p, q, 2*linkAfter)
		eventually(t, func() bool { return linkOf(t, lb).IsValid() })
		if err := br.Close(); err != nil {
			t.Fatal(err)
		}
		other, r := b.connect("C")
		for other.worker.Load() == lb.worker.Load() {
			other, r = b.connect("C")
		}
		b.join(other, lb)
		chat(t, r, q, linkAfter)
		if to := linkOf(t, lb); to != addrOf(q.rtp) {
			t.Errorf("linked to %s", to)
		}
	})
}

func TestAFullBufferOfALinkIsCounted(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 1, network: n})
		la, p := b.connect("A")
		lb, q := b.connect("B")
		b.join(la, lb)
		chat(t, p, q, 2*linkAfter)
		eventually(t, func() bool { return linkOf(t, la).IsValid() })
		before := la.Stats().Received
		stuck, release := make(chan struct{}), make(chan struct{})
		b.workers[0].post(command{run: func(*worker) error {
			close(stuck)
			<-release
			return nil
		}})
		<-stuck
		packets := uint64(2500) // far more than the buffer holds
		for range packets {
			p.talk()
		}
		close(release)
		// The kernel tells with the first packet that finds room again.
		eventually(t, func() bool {
			p.talk()
			packets++
			return la.Stats().Overflow > 0
		})
		eventually(t, func() bool {
			s := la.Stats()
			return s.Received-before+s.Overflow == packets
		})
	})
}

func TestAPeerWhosePortIsClosedDoesNotStopALink(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 1, network: n})
		la, p := b.connect("A")
		lb, q := b.connect("B")
		b.join(la, lb)
		chat(t, p, q, 2*linkAfter)
		eventually(t, func() bool { return linkOf(t, lb).IsValid() })
		// q hears no more, so that the system tells of every datagram that nobody took it.
		at := addrOf(q.rtp)
		if err := q.rtp.Close(); err != nil {
			t.Fatal(err)
		}
		before := la.Stats().Received
		for range 200 {
			p.talk()
		}
		eventually(t, func() bool { return la.Stats().Received == before+200 })
		// It comes back at the same address.
		q.rtp = listenAt(t, at)
		// The last of those before may still be under way.
		said := p.talk()
		for string(q.hearVoice().payload) != string(said.payload) {
		}
		chat(t, p, q, 5)
	})
}

// A stall leaves more datagrams than the ring has buffers for. All of them come,
// and the worker goes on.
func TestMoreDatagramsThanBuffersAfterAStall(t *testing.T) {
	eachLink(t, func(t *testing.T, n network) {
		b := start(t, Options{Workers: 1, network: n})
		const pairs, each = 10, 200 // 4000 datagrams
		var legs []*Leg
		var parties []*party
		for range pairs {
			la, p := b.connect("A")
			lb, q := b.connect("B")
			b.join(la, lb)
			chat(t, p, q, 2*linkAfter)
			legs, parties = append(legs, la, lb), append(parties, p, q)
		}
		var before []uint64
		for _, l := range legs {
			eventually(t, func() bool { return linkOf(t, l).IsValid() })
			before = append(before, l.Stats().Received)
		}
		stuck, release := make(chan struct{}), make(chan struct{})
		b.workers[0].post(command{run: func(*worker) error {
			close(stuck)
			<-release
			return nil
		}})
		<-stuck
		for range each {
			for _, p := range parties {
				p.talk()
			}
		}
		close(release)
		for i, l := range legs {
			eventually(t, func() bool { return l.Stats().Received == before[i]+each })
		}
		said := parties[0].talk()
		for string(parties[1].hearVoice().payload) != string(said.payload) {
		}
	})
}
