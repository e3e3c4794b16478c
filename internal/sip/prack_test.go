package sip

import (
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
)

// TestReliableProgress: RFC 3262 as callee: every provisional response is sent again
// until its PRACK when the caller demands it, one at a time. An answer need not wait for
// one without a description, and its PRACK may come late.
func TestReliableProgress(t *testing.T) {
	guard(t)
	b := run(t, Options{T1: 20 * time.Millisecond})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer, "Require: 100rel"))
	in := b.incoming(t)
	must(t, in.Progress(180, nil))
	must(t, in.Progress(182, nil))
	first := c.Expect("180 INVITE")
	if first.Get("Require") != "100rel" || first.Get("RSeq") == "" {
		t.Errorf("%v", first)
	}
	if again := c.Expect("180 INVITE"); again.Get("RSeq") != first.Get("RSeq") {
		t.Errorf("%v", again)
	}
	c.Learn(first)
	prack := func(rack string) string { return c.Request("PRACK", "", "RAck: "+rack) }
	for _, bad := range []string{"1 1 INVITE", first.Get("RSeq") + " 2 INVITE", first.Get("RSeq") + " 1 BYE", "junk"} {
		c.Send(prack(bad))
		c.Expect("481 PRACK")
	}
	c.Send(prack(first.Get("RSeq") + " 1 INVITE"))
	c.Expect("200 PRACK")
	second := c.Expect("182 INVITE")
	must(t, in.Answer([]byte(reply2)))
	c.Expect("200 INVITE")
	c.Send(prack(second.Get("RSeq") + " 1 INVITE"))
	c.Expect("200 PRACK")
	next := c.Seq
	c.Seq = 1
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	c.Seq = next
	c.Send(c.Request("BYE", ""))
	ended(t, in, Remote, 200, 16)
}

// TestAnswerWaitsForPrack when the reliable response carries the description.
func TestAnswerWaitsForPrack(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{})
		c := caller(t, b, transport)
		c.Send(c.Request("INVITE", offer, "Supported: 100rel"))
		in := b.incoming(t)
		must(t, in.Progress(180, nil)) // no description: need not be reliable
		if m := c.Expect("180 INVITE"); m.Get("RSeq") != "" {
			t.Errorf("%v", m)
		}
		must(t, in.Progress(183, []byte(reply2)))
		must(t, in.Progress(183, []byte(reply2)))
		first := c.Expect("183 INVITE")
		c.Expect("183 INVITE") // the same again, T1 later
		c.Learn(first)
		seq := c.Seq
		ack := func(m siptest.Message) {
			c.Send(c.Request("PRACK", "", "RAck: "+m.Get("RSeq")+" 1 INVITE"))
			c.Expect("200 PRACK")
		}
		ack(first)
		second := c.Expect("183 INVITE")
		for second.Get("RSeq") == first.Get("RSeq") {
			second = c.Expect("183 INVITE")
		}
		must(t, in.Answer([]byte(reply2)))
		ack(second)
		c.Expect("200 INVITE")
		next := c.Seq
		c.Seq = seq
		c.Send(c.Request("ACK", ""))
		want[Confirmed](t, in)
		c.Seq = next
		c.Send(c.Request("BYE", ""))
		ended(t, in, Remote, 200, 16)
	})
}

// TestNoPrack: 64·T1 without a PRACK refuses the call.
func TestNoPrack(t *testing.T) {
	guard(t)
	b := run(t, Options{T1: quick})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer, "Require: 100rel"))
	in := b.incoming(t)
	must(t, in.Progress(183, []byte(reply2)))
	c.Expect("504 INVITE")
	ended(t, in, Timeout, 504, 102)
}

// TestReliableOfferless: without an offer there is nothing that could go reliably
// before the answer.
func TestReliableOfferless(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", "", "Require: 100rel"))
	in := b.incoming(t)
	must(t, in.Progress(180, nil))
	must(t, in.Answer([]byte(offer)))
	c.Expect("100 INVITE")
	if m, _ := c.Receive(siptest.Patience); m.Code() != 200 {
		t.Errorf("%v", m)
	}
}

// TestCallerPracks: RFC 3262 as caller: in order, once each; the description of a
// reliable response is the answer when the 200 has none.
func TestCallerPracks(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	invite := p.Expect("INVITE")
	contact := "Contact: <sip:bob@" + p.Addr().String() + ">"
	reliable := func(rseq string) string {
		return invite.Reply("183 Session Progress", "bob", siptest.SDP, contact, "Require: 100rel", "RSeq: "+rseq)
	}
	p.Send(reliable("junk"))
	p.Send(reliable("100"))
	m := p.Expect("PRACK")
	if m.Get("RAck") != "100 1 INVITE" || m.Param("To", "tag") != "bob" || m.Get("CSeq") != "2 PRACK" {
		t.Errorf("%v", m)
	}
	p.Send(m.Reply("200 OK", "", ""))
	want[Ringing](t, out)
	p.Send(reliable("100")) // again: no PRACK of its own
	p.Send(reliable("102")) // one is missing
	p.Send(reliable("101"))
	m = p.Expect("PRACK")
	if m.Get("RAck") != "101 1 INVITE" {
		t.Errorf("%v", m)
	}
	p.Send(m.Reply("200 OK", "", ""))
	p.Send(invite.Reply("200 OK", "bob", "", contact))
	if e := want[Answered](t, out); string(e.SDP) != siptest.SDP {
		t.Errorf("%q", e.SDP)
	}
	must(t, out.Hangup(0))
	if m := p.Expect("BYE"); m.Get("CSeq") != "4 BYE" {
		t.Errorf("%v", m)
	}
}
