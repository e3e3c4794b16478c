package media

import (
	"bytes"
	"net"
	"testing"
	"time"

	"tapedeck/internal/sdp"
)

// stranger is somebody who found out a port of ours.
func stranger(t testing.TB, p *party) *party {
	s := *p
	s.rtp, s.rtcp = listen(t), listen(t)
	s.ssrc = 0x666
	return &s
}

func TestAStrangerIsNeitherHeardNorTalkedTo(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		var tap ear
		la.SetTaps(&tap)
		a.talk()
		c.hearVoice()
		thief := stranger(t, a)
		for range 50 {
			thief.talk()
		}
		eventually(t, func() bool { return la.Stats().Foreign == 50 })
		want := a.talk()
		if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
			t.Error("the stranger was relayed")
		}
		c.talk()
		a.hearVoice() // the stream still goes to its owner
		if len(tap.heard()) != 2 {
			t.Error("the stranger was recorded")
		}
		// RTCP from elsewhere counts as little.
		if _, err := listenElsewhere(t).WriteToUDPAddrPort([]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, a.toRTCP); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return la.Stats().Foreign == 51 })
	})
}

// listenElsewhere is a socket of another machine, as far as loopback has one.
func listenElsewhere(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAPeerBehindNATIsFoundWithoutLoss(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		inside := a.rtp // what SDP names; nothing ever comes from there
		a.rtp = listen(t)
		x, y := a.talk(), a.talk()
		for _, want := range []packet{x, y} {
			if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
				t.Fatal("another packet came")
			}
		}
		want := c.talk()
		if got := a.hearVoice(); !bytes.Equal(got.payload, want.payload) {
			t.Error("the peer behind NAT got another packet")
		}
		if s := la.Stats(); s.Remote != addrOf(a.rtp) || s.Received != 2 {
			t.Errorf("%+v", s)
		}
		_ = inside
	})
}

func TestRenegotiationMovesThePeer(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		a.talk()
		c.hearVoice()
		moved := *a
		moved.rtp, moved.rtcp = listen(t), listen(t)
		configure(t, la, moved.negotiated())
		c.talk()
		moved.hearVoice() // the new address is sent to at once
		want := a.talk()  // the old one is heard until the new one comes
		if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
			t.Fatal("the old address fell silent too early")
		}
		moved.seq, moved.time = a.seq, a.time
		want = moved.talk()
		if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
			t.Fatal("the new address is not heard")
		}
		a.talk()
		eventually(t, func() bool { return la.Stats().Foreign == 1 })
	})
}

// A peer may speak before a worker that is busy has come to the command.
func TestPacketsRightAfterTheAnswerCount(t *testing.T) {
	b := start(t, Options{})
	l, events := b.open(LegOptions{Name: "A"})
	p := newParty(t, l)
	busy, on := make(chan struct{}), make(chan struct{})
	l.later(func(*worker) { close(busy); <-on })
	<-busy
	if err := l.ConfigureLater(p.negotiated()); err != nil {
		t.Fatal(err)
	}
	p.talk()
	close(on)
	if e := <-events; e.Kind != Started || l.Stats().Unknown != 0 {
		t.Errorf("%+v, %+v", e, l.Stats())
	}
}

func TestNothingCountsBeforeConfigure(t *testing.T) {
	b := start(t, Options{})
	l, events := b.open(LegOptions{Name: "A"})
	p := newParty(t, l)
	p.talk()
	eventually(t, func() bool { return l.Stats().Unknown == 1 })
	if got := l.String(); got != "RTP(-) "+l.Addr().String() {
		t.Errorf("%s", got)
	}
	configure(t, l, p.negotiated())
	p.talk()
	if e := <-events; e.Kind != Started {
		t.Errorf("%+v", e)
	}
}

func TestConfigureRefuses(t *testing.T) {
	b := start(t, Options{})
	l, p := b.connect("A")
	for name, change := range map[string]func(*sdp.Negotiated){
		"another family":      func(n *sdp.Negotiated) { n.Remote = addrPort("[2001:db8::1]:5004") },
		"another RTCP family": func(n *sdp.Negotiated) { n.RemoteRTCP = addrPort("[2001:db8::1]:5005") },
		"no codec":            func(n *sdp.Negotiated) { n.Send = sdp.Codec{} },
	} {
		if err := l.Configure(p.negotiated(change)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	mapped := p.negotiated(func(n *sdp.Negotiated) { n.Remote = addrPort("[::ffff:127.0.0.1]:5004") })
	configure(t, l, mapped)
	configure(t, l, p.negotiated(func(n *sdp.Negotiated) { n.Ptime = time.Hour }))
}

func TestBadDatagramsAreCounted(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		l, p := b.connect("A")
		var tap ear
		l.SetTaps(&tap)
		p.write([]byte("hello"))
		p.write(nil)
		p.write(make([]byte, 3000)) // longer than any RTP audio
		unknown := p.next()
		unknown.pt = 77
		p.write(unknown.bytes())
		if _, err := p.rtcp.WriteToUDPAddrPort([]byte("hello"), p.toRTCP); err != nil {
			t.Fatal(err)
		}
		p.talk()
		eventually(t, func() bool {
			s := l.Stats()
			return s.Malformed == 4 && s.Unknown == 1 && s.Received == 1
		})
		if got := tap.heard(); len(got) != 1 {
			t.Errorf("%d packets reached the tap", len(got))
		}
	})
}
