package media

import (
	"net/netip"
	"testing"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// reportNow makes the leg's next RTCP report due.
func reportNow(t testing.TB, l *Leg) {
	t.Helper()
	if err := l.do(func(w *worker) error { l.report(w.now(), false); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestReportsAreSentAndRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A", func(n *sdp.Negotiated) { n.Direction = sdp.RecvOnly })
		var tap ear
		la.SetTaps(&tap)

		reportNow(t, la)
		datagram, from := receive(t, a.rtcp)
		c := controlOf(t, datagram)
		if len(c.Senders) != 0 || len(c.Receptions) != 0 || len(datagram) != 8+28 { // a CNAME of 16 characters
			t.Fatalf("a report before any media: %+v, %d bytes", c, len(datagram))
		}
		if from != a.toRTCP {
			t.Errorf("the report comes from %s, want %s", from, a.toRTCP)
		}

		// The peer sends ten packets, loses two, and reports.
		for i := range 10 {
			if k := a.next(); i != 4 && i != 5 {
				a.write(k.bytes())
			}
		}
		eventually(t, func() bool { return len(tap.heard()) == 8 })
		sent := rtp.SenderReport{SSRC: a.ssrc, NTP: 0x0011223344556677, RTPTime: a.time, Packets: 10, Octets: 1600}
		peerReports(t, a, rtp.Report{SSRC: a.ssrc, CNAME: "peer", Sender: &sent})
		eventually(t, func() bool { return len(tap.told()) == 1 })
		told := tap.told()[0]
		if told.Arrival == 0 {
			t.Error("the report was not stamped")
		}
		if told.Arrival = 0; told != sent {
			t.Errorf("the tap got %+v", told)
		}

		reportNow(t, la)
		datagram, _ = receive(t, a.rtcp)
		c = controlOf(t, datagram)
		if len(c.Receptions) != 1 {
			t.Fatalf("%+v", c)
		}
		if r := c.Receptions[0]; r.SSRC != a.ssrc || r.Lost != 2 || r.Fraction != 51 || r.LastSR != 0x22334455 || uint16(r.Highest) != 109 {
			t.Errorf("%+v", r)
		}
		if s := la.Stats(); s.Lost != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// controlOf reads a report.
func controlOf(t testing.TB, datagram []byte) rtp.Control {
	t.Helper()
	var c rtp.Control
	if err := c.Read(datagram, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

func peerReports(t testing.TB, p *party, r rtp.Report) {
	t.Helper()
	b, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.rtcp.WriteToUDPAddrPort(b, p.toRTCP); err != nil {
		t.Fatal(err)
	}
}

func TestSenderReportsSayWhatWeSent(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	first := a.hear()
	reportNow(t, la)
	datagram, _ := receive(t, a.rtcp)
	c := controlOf(t, datagram)
	if len(c.Senders) != 1 {
		t.Fatalf("%+v", c)
	}
	s := c.Senders[0]
	if s.SSRC != first.ssrc || s.Packets < 1 || s.Octets != 160*s.Packets {
		t.Errorf("%+v", s)
	}
	wall := time.Now()
	if diff := int64(rtp.NTP(wall)>>32) - int64(s.NTP>>32); diff < 0 || diff > int64(patience/time.Second) {
		t.Errorf("NTP time is %d s off", diff)
	}
	// The peer answers; that proves a round trip.
	block := rtp.Reception{SSRC: first.ssrc, Lost: 3, Jitter: 80, LastSR: uint32(s.NTP >> 16)}
	peerReports(t, a, rtp.Report{SSRC: a.ssrc, CNAME: "peer", Reception: &block})
	eventually(t, func() bool { return la.Stats().RemoteLost == 3 })
	if got := la.Stats(); got.RemoteJitter != 10*time.Millisecond || got.RoundTrip > patience {
		t.Errorf("%+v", got)
	}
	peerReports(t, a, rtp.Report{SSRC: a.ssrc, CNAME: "peer", Reception: &rtp.Reception{SSRC: 1, Lost: 9}})
	peerReports(t, a, rtp.Report{SSRC: a.ssrc, CNAME: "peer", Reception: &rtp.Reception{SSRC: first.ssrc, Lost: 4}})
	eventually(t, func() bool { return la.Stats().RemoteLost == 4 })
}

func TestReportsComeByThemselves(t *testing.T) {
	for range 100 {
		first, later := reportInterval(true), reportInterval(false)
		if first < time.Second || first > 3100*time.Millisecond || later < 2*time.Second || later > 6200*time.Millisecond {
			t.Fatalf("intervals %s and %s", first, later)
		}
	}
	b := start(t, Options{})
	la, a := b.connect("A")
	if err := la.do(func(w *worker) error { w.wheel.arm(&la.timers[controlTimer], w.now()); return nil }); err != nil {
		t.Fatal(err)
	}
	receive(t, a.rtcp)
	armed := false
	if err := la.do(func(*worker) error { armed = la.timers[controlTimer].armed(); return nil }); err != nil || !armed {
		t.Errorf("no next report is due, %v", err)
	}
}

func TestOnePortForBoth(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		mux := func(n *sdp.Negotiated) { n.RTCPMux, n.Direction, n.RemoteRTCP = true, sdp.RecvOnly, n.Remote }
		la, a := b.connect("A", mux)
		var tap ear
		la.SetTaps(&tap)
		a.talk()
		r, err := (&rtp.Report{SSRC: a.ssrc, CNAME: "peer", Sender: &rtp.SenderReport{NTP: 1, Packets: 1}}).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		a.write(r)
		eventually(t, func() bool { return len(tap.told()) == 1 && len(tap.heard()) == 1 })
		reportNow(t, la)
		datagram, from := receive(t, a.rtp)
		if !rtp.IsControl(datagram) || from != a.to {
			t.Errorf("%x from %s", datagram, from)
		}
	})
}

func TestControlFollowsAPeerBehindNAT(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A", func(n *sdp.Negotiated) { n.Direction = sdp.RecvOnly })
	a.rtp = listen(t)
	a.talk()
	a.talk()
	eventually(t, func() bool { return la.Stats().Received == 2 })
	target := func() (at netip.AddrPort) {
		if err := la.do(func(*worker) error { at = la.controlTarget(); return nil }); err != nil {
			t.Fatal(err)
		}
		return at
	}
	source := addrOf(a.rtp)
	if want := netip.AddrPortFrom(source.Addr(), source.Port()+1); target() != want {
		t.Errorf("RTCP goes to %s, want %s", target(), want)
	}
	a.rtcp = listen(t)
	peerReports(t, a, rtp.Report{SSRC: a.ssrc, CNAME: "peer"})
	eventually(t, func() bool { return target() == addrOf(a.rtcp) })
}

func TestCloseSaysGoodbye(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	a.hear()
	if err := la.Close(); err != nil {
		t.Fatal(err)
	}
	datagram, _ := receive(t, a.rtcp)
	if c := controlOf(t, datagram); len(c.Byes) != 1 {
		t.Errorf("%+v", c)
	}
	silent, _ := b.connect("B", func(n *sdp.Negotiated) { n.Direction = sdp.Inactive })
	if err := silent.Close(); err != nil { // it sent nothing: it leaves without a word
		t.Fatal(err)
	}
	if silent.reported {
		t.Error("a goodbye of somebody who never spoke")
	}
}

func TestGoodbyeOfThePeerEndsNothing(t *testing.T) {
	b := start(t, Options{})
	l, events := b.open(LegOptions{Name: "A"})
	p := newParty(t, l)
	configure(t, l, p.negotiated())
	peerReports(t, p, rtp.Report{SSRC: p.ssrc, CNAME: "peer", Bye: true})
	p.talk()
	if e := <-events; e.Kind != Started {
		t.Errorf("%+v", e)
	}
}
