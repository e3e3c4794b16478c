package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
)

// TestAnswerIsRepeatedUntilAck: a lost ACK costs nothing (RFC 3261 §13.3.1.4).
func TestAnswerIsRepeatedUntilAck(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{T1: 20 * time.Millisecond})
		c := caller(t, b, transport)
		c.Send(c.Request("INVITE", offer))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		first := c.Expect("200 INVITE")
		for range 3 {
			if again := c.Expect("200 INVITE"); again.Body != first.Body || again.Get("To") != first.Get("To") {
				t.Fatal("another answer")
			}
		}
		c.Learn(first)
		ack := c.Request("ACK", "")
		c.Send(ack)
		want[Confirmed](t, in)
		c.Send(ack) // the ACK twice is one event
		c.Send(c.Request("BYE", ""))
		c.Expect("200 BYE")
		ended(t, in, Remote, 200, 16)
	})
}

// TestNoAck: after 64·T1 the callee gives up, with a BYE.
func TestNoAck(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{T1: quick})
		c := caller(t, b, transport)
		c.Send(c.Request("INVITE", offer))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		bye := c.Expect("BYE")
		if bye.Get("Reason") != "Q.850;cause=102" {
			t.Errorf("Reason %q", bye.Get("Reason"))
		}
		c.Send(bye.Reply("200 OK", "", ""))
		ended(t, in, Timeout, 408, 102)
	})
}

// TestHangupWaitsForAck: no BYE before the ACK (RFC 3261 §15), none needed after the peer's.
func TestHangupWaitsForAck(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	must(t, in.Hangup(17))
	ended(t, in, Local, 200, 17)
	c.Expect("200 INVITE") // sent again, and still no BYE
	c.Send(c.Request("ACK", ""))
	bye := c.Expect("BYE")
	if bye.Get("Reason") != "Q.850;cause=17" {
		t.Errorf("Reason %q", bye.Get("Reason"))
	}
	// the peer's BYE crosses ours
	c.Send(c.Request("BYE", ""))
	c.Expect("200 BYE")
	c.Send(bye.Reply("200 OK", "", ""))
}

// TestRetransmittedRequests get the same answer and raise nothing twice.
func TestRetransmittedRequests(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	invite := c.Request("INVITE", offer)
	c.Send(invite)
	in := b.incoming(t)
	c.Expect("100 INVITE")
	c.Send(invite)
	c.Expect("100 INVITE")
	must(t, in.Progress(180, nil))
	ringing := c.Expect("180 INVITE")
	c.Send(invite)
	if again := c.Expect("180 INVITE"); again.Get("To") != ringing.Get("To") {
		t.Error("another To tag")
	}
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	bye := c.Request("BYE", "")
	c.Send(bye)
	c.Expect("200 BYE")
	c.Send(bye)
	c.Expect("200 BYE")
	ended(t, in, Remote, 200, 16)
	if b.counter(t, "tapedeck_sip_retransmissions_total", "in") < 3 {
		t.Error("repetitions are not counted")
	}
	select {
	case <-b.calls:
		t.Error("a repeated INVITE made a second call")
	default:
	}
}

// TestRefusalIsRepeatedUntilAck is timer G; the ACK stops it.
func TestRefusalIsRepeatedUntilAck(t *testing.T) {
	guard(t)
	b := run(t, Options{T1: 20 * time.Millisecond})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Reject(486, "Busy\r\nX: y"))
	m := c.Expect("486 INVITE")
	if m.Start != "SIP/2.0 486 Busy  X: y" {
		t.Errorf("start line %q", m.Start)
	}
	c.Expect("486 INVITE")
	c.Learn(m)
	c.Send(c.Again("ACK", ""))
	ended(t, in, Local, 486, 17)
}

// TestMergedRequest: the same INVITE by two paths (RFC 3261 §8.2.2.2).
func TestMergedRequest(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	b.incoming(t)
	c.Expect("100 INVITE")
	c.Seq--
	c.Send(c.Request("INVITE", offer)) // same CSeq, another branch
	c.Expect("482 INVITE")
	if b.rejected(t, rejectMerged) != 1 {
		t.Error("not counted")
	}
}

// TestReinviteBeforeAck: the ACK comes behind the re-INVITE, or not at all (RFC 5407 §3.1.4).
func TestReinviteBeforeAck(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("INVITE", reply2))
	want[Confirmed](t, in)
	if e := want[Offered](t, in); string(e.SDP) != reply2 {
		t.Errorf("offered %q", e.SDP)
	}
	must(t, in.AcceptOffer([]byte(offer)))
	c.Expect("200 INVITE")
	c.Send(c.Request("ACK", ""))
	c.Send(c.Request("BYE", ""))
	ended(t, in, Remote, 200, 16)
}

// TestOfferlessInvite: our offer goes in the 200, the answer comes in the ACK; a
// re-INVITE before that ACK is refused.
func TestOfferlessInvite(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", ""))
	in := b.incoming(t)
	if in.Request().SDP != nil {
		t.Error("SDP out of nowhere")
	}
	must(t, in.Answer([]byte(offer)))
	ok := c.Expect("200 INVITE")
	c.Learn(ok)
	c.Send(c.Request("INVITE", reply2))
	c.Expect("491 INVITE")
	c.Send(c.Again("ACK", ""))
	c.Seq-- // the ACK of the first INVITE
	c.Send(c.Request("ACK", reply2))
	if e := want[Confirmed](t, in); string(e.SDP) != reply2 {
		t.Errorf("confirmed with %q", e.SDP)
	}
	c.Seq++
	c.Send(c.Request("BYE", ""))
	ended(t, in, Remote, 200, 16)
}

// TestInDialog: order, tags and methods inside a dialog (RFC 3261 §12.2.2).
func TestInDialog(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{})
		c := caller(t, b, transport)
		c.Send(c.Request("INVITE", offer))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		c.Learn(c.Expect("200 INVITE"))
		c.Send(c.Request("ACK", ""))
		want[Confirmed](t, in)
		c.Send(c.Request("OPTIONS", ""))
		c.Expect("200 OPTIONS")
		c.Send(c.Request("INFO", ""))
		c.Expect("200 INFO")
		c.Send(c.Request("REFER", ""))
		if m := c.Expect("405 REFER"); m.Get("Allow") == "" {
			t.Error("no Allow")
		}
		c.Seq -= 2
		c.Send(c.Request("OPTIONS", "")) // a CSeq that was there
		c.Expect("500 OPTIONS")
		c.Seq += 2
		from := c.From
		c.From = strings.Replace(from, ";tag=", ";tag=other-", 1)
		c.Send(c.Request("BYE", ""))
		c.Expect("481 BYE")
		c.From = from
		c.Send(c.Request("PRACK", "", "RAck: 1 1 INVITE"))
		c.Expect("481 PRACK")
		c.Send(c.Request("BYE", "", `Reason: SIP;cause=200;text="elsewhere"`, `Reason: Q.850 ;cause=31;text="x, y"`))
		c.Expect("200 BYE")
		if e := ended(t, in, Remote, 200, 31); e.Reason != "x, y" {
			t.Errorf("reason %q", e.Reason)
		}
		c.Send(c.Request("INVITE", offer))
		c.Expect("481 INVITE")
		c.Send(c.Request("BYE", ""))
		c.Expect("481 BYE")
	})
}

// TestByeWhileRinging: a caller that sends BYE instead of CANCEL.
func TestByeWhileRinging(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Progress(180, nil))
	c.Learn(c.Expect("180 INVITE"))
	c.Send(c.Request("BYE", ""))
	c.Expect("200 BYE")
	c.Expect("487 INVITE")
	ended(t, in, Remote, 487, 16)
}

// TestExpires: the caller's own limit (RFC 3261 §13.3.1).
func TestExpires(t *testing.T) {
	guard(t)
	b := run(t, Options{second: 100 * time.Millisecond})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer, "Expires: 1"))
	in := b.incoming(t)
	c.Expect("487 INVITE")
	ended(t, in, Timeout, 487, 19)
}

// TestRoutes: Record-Route makes the route set, in the right order on each side, and the
// answers carry it (RFC 3261 §12.1, §12.2.1.1).
func TestRoutes(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	t.Run("callee", func(t *testing.T) {
		c := caller(t, b, udp)
		me := c.Addr().String()
		rr := []string{"Record-Route: <sip:" + me + ";lr>, <sip:10.0.0.2;lr>", "Record-Route: <sip:10.0.0.3;lr;x=y>"}
		c.Send(c.Request("INVITE", offer, rr...))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		ok := c.Expect("200 INVITE")
		if got := len(ok.All("Record-Route")); got != 3 {
			t.Errorf("%d Record-Route lines", got)
		}
		c.Learn(ok)
		c.Send(c.Request("ACK", ""))
		want[Confirmed](t, in)
		must(t, in.Hangup(0))
		bye := c.Expect("BYE")
		if got := strings.Join(bye.All("Route"), " "); got != "<sip:"+me+";lr> <sip:10.0.0.2;lr> <sip:10.0.0.3;lr;x=y>" {
			t.Errorf("Route %s", got)
		}
		if bye.Start != "BYE sip:alice@"+me+" SIP/2.0" {
			t.Errorf("start %s", bye.Start)
		}
		c.Send(bye.Reply("200 OK", "", ""))
	})
	t.Run("caller, strict router", func(t *testing.T) {
		p := siptest.New(t, b.Addr())
		me := p.Addr().String()
		out := b.dial(t, "sip:bob@"+me)
		invite := p.Expect("INVITE")
		p.Send(invite.Reply("200 OK", "bob", siptest.SDP, "Contact: <sip:bob@10.9.9.9:7000>", "Record-Route: <sip:10.0.0.2;lr>", "Record-Route: <sip:strict@"+me+">"))
		ack := p.Expect("ACK")
		if ack.Start != "ACK sip:strict@"+me+" SIP/2.0" {
			t.Errorf("start %s", ack.Start)
		}
		if got := strings.Join(ack.All("Route"), " "); got != "<sip:10.0.0.2;lr> <sip:bob@10.9.9.9:7000>" {
			t.Errorf("Route %s", got)
		}
		if ack.Get("Via") == invite.Get("Via") || ack.Get("CSeq") != "1 ACK" {
			t.Errorf("Via %s CSeq %s", ack.Get("Via"), ack.Get("CSeq"))
		}
		want[Answered](t, out)
		must(t, out.Hangup(0))
		bye := p.Expect("BYE")
		p.Send(bye.Reply("200 OK", "", ""))
	})
}

// TestForking: one INVITE, three places. The first answer wins, the second is ended, a
// repeated one gets its ACK again (RFC 3261 §13.2.2.4).
func TestForking(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	contact := "Contact: <sip:bob@" + p.Addr().String() + ">"
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	invite := p.Expect("INVITE")
	p.Send(invite.Reply("180 Ringing", "one", "", contact))
	p.Send(invite.Reply("183 Session Progress", "two", siptest.SDP, contact))
	p.Send(invite.Reply("183 Session Progress", "two", siptest.SDP, contact)) // said before
	if e := want[Ringing](t, out); e.Code != 180 {
		t.Errorf("%+v", e)
	}
	if e := want[Ringing](t, out); e.Code != 183 || string(e.SDP) != siptest.SDP {
		t.Errorf("%+v", e)
	}
	first := invite.Reply("200 OK", "two", siptest.SDP, contact)
	p.Send(first)
	want[Answered](t, out)
	ack := p.Expect("ACK")
	p.Send(first)
	if again := p.Expect("ACK"); again.Get("Via") != ack.Get("Via") {
		t.Error("another ACK for the same answer")
	}
	p.Send(invite.Reply("200 OK", "three", siptest.SDP, contact))
	if m := p.Expect("ACK"); m.Param("To", "tag") != "three" {
		t.Errorf("ACK to %s", m.Get("To"))
	}
	bye := p.Expect("BYE")
	if bye.Param("To", "tag") != "three" {
		t.Errorf("BYE to %s", bye.Get("To"))
	}
	p.Send(bye.Reply("200 OK", "", ""))
	// a fork that lost may say goodbye itself
	p.Send(siptest.Request("BYE "+invite.URI("Contact")+" SIP/2.0", "",
		"Via: SIP/2.0/UDP "+p.Addr().String()+";branch=z9hG4bKx1;rport", "From: <sip:bob@x>;tag=one", "To: "+invite.Get("From"),
		"Call-ID: "+invite.Get("Call-ID"), "CSeq: 1 BYE", "Max-Forwards: 70"))
	p.Expect("200 BYE")
	must(t, out.Hangup(0))
	if m := p.Expect("BYE"); m.Param("To", "tag") != "two" {
		t.Errorf("BYE to %s", m.Get("To"))
	}
	ended(t, out, Local, 200, 16)
}

// TestReplyAddress: answers find the way back (RFC 3261 §18.2.2, RFC 3581).
func TestReplyAddress(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	m := strings.Replace(c.Request("OPTIONS", ""), "UDP "+c.Addr().String(), "UDP host.example.com:1", 1)
	c.Send(m) // with rport: back to the source
	r := c.Expect("200 OPTIONS")
	if want := fmt.Sprintf(";rport=%d", c.Addr().Port()); !strings.Contains(r.Get("Via"), want) || !strings.Contains(r.Get("Via"), ";received=127.0.0.1") {
		t.Errorf("Via %s", r.Get("Via"))
	}
	// without rport: to the port of the Via
	other := siptest.New(t, b.Addr())
	m = strings.Replace(c.Request("OPTIONS", ""), "UDP "+c.Addr().String(), "UDP host.example.com:"+fmt.Sprint(other.Addr().Port()), 1)
	c.Send(strings.Replace(m, ";rport", "", 1))
	r = other.Expect("200 OPTIONS")
	if !strings.Contains(r.Get("Via"), ";received=127.0.0.1") || strings.Contains(r.Get("Via"), "rport") {
		t.Errorf("Via %s", r.Get("Via"))
	}
}

// TestTargetRefresh: the peer's new Contact is where we go from then on.
func TestTargetRefresh(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	moved := siptest.New(t, b.Addr())
	c.Contact = "<sip:alice@" + moved.Addr().String() + ">"
	c.Send(c.Request("UPDATE", ""))
	c.Expect("200 UPDATE")
	must(t, in.Hangup(0))
	bye := moved.Expect("BYE")
	if bye.Start != "BYE sip:alice@"+moved.Addr().String()+" SIP/2.0" {
		t.Errorf("start %s", bye.Start)
	}
	moved.Send(bye.Reply("200 OK", "", ""))
}
