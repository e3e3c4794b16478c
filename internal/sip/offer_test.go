package sip

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReoffer: new offers from both ends, accepted and refused.
func TestReoffer(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		caller, callee := connect(t, a, b, transport)
		for _, l := range []struct{ from, to *leg }{{caller, callee}, {callee, caller}, {caller, callee}} {
			must(t, l.from.Reoffer([]byte(offer)))
			if e := want[Offered](t, l.to); string(e.SDP) != offer {
				t.Errorf("offered %q", e.SDP)
			}
			if err := l.to.Reoffer([]byte(offer)); !errors.Is(err, ErrState) {
				t.Errorf("an offer against an offer: %v", err)
			}
			if err := l.from.Reoffer([]byte(offer)); !errors.Is(err, ErrState) {
				t.Errorf("two offers at once: %v", err)
			}
			must(t, l.to.AcceptOffer([]byte(reply2)))
			if e := want[Reanswered](t, l.from); string(e.SDP) != reply2 {
				t.Errorf("reanswered %q", e.SDP)
			}
			if err := l.to.AcceptOffer([]byte(reply2)); !errors.Is(err, ErrState) {
				t.Errorf("accepted twice: %v", err)
			}
			must(t, l.from.Reoffer([]byte(offer)))
			want[Offered](t, l.to)
			must(t, l.to.RefuseOffer(488))
			if e := want[ReofferFailed](t, l.from); e.Code != 488 {
				t.Errorf("%+v", e)
			}
		}
		must(t, callee.Hangup(0))
		ended(t, caller, Remote, 200, 16)
		ended(t, callee, Local, 200, 16)
	})
}

// TestStateErrors: every step that a state does not allow says so.
func TestStateErrors(t *testing.T) {
	guard(t)
	a, b := run(t, Options{}), run(t, Options{})
	out := a.dial(t, uri(b, udp))
	in := b.incoming(t)
	for name, err := range map[string]error{
		"answer an outbound call":    out.Answer([]byte(offer)),
		"progress an outbound call":  out.Progress(180, nil),
		"reject an outbound call":    out.Reject(486, ""),
		"challenge an outbound call": out.Challenge(),
		"reoffer before the answer":  out.Reoffer([]byte(offer)),
		"accept without offer":       in.AcceptOffer([]byte(offer)),
		"refuse without offer":       in.RefuseOffer(488),
		"answer without SDP":         in.Answer(nil),
		"reoffer without SDP":        out.Reoffer(nil),
		"accept without SDP":         in.AcceptOffer(nil),
		"reject with 200":            in.Reject(200, ""),
		"refuse with 100":            in.RefuseOffer(100),
		"progress with 100":          in.Progress(100, nil),
		"progress with 200":          in.Progress(200, nil),
	} {
		if !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, in.Answer([]byte(reply2)))
	for name, err := range map[string]error{
		"answer twice":          in.Answer([]byte(reply2)),
		"progress after answer": in.Progress(180, nil),
		"reject after answer":   in.Reject(486, ""),
		"challenge later":       in.Challenge(),
	} {
		if !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGlare: both ends offer at once. Both get 491, wait by the rules, and both offers
// come through in the end, or the one that lost says so (RFC 3261 §14.1).
func TestGlare(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{T1: 50 * time.Millisecond}), run(t, Options{T1: 50 * time.Millisecond})
		caller, callee := connect(t, a, b, transport)
		must(t, caller.Reoffer([]byte(offer)))
		done := map[*leg]bool{}
		// On a busy machine the caller's offer may be there already; then there is
		// no glare, and TestGlareOnTheWire alone has it for sure.
		if err := callee.Reoffer([]byte(offer)); errors.Is(err, ErrState) {
			done[callee] = true
		} else {
			must(t, err)
		}
		for len(done) < 2 {
			var l *leg
			var e Event
			select {
			case e = <-caller.events:
				l = caller
			case e = <-callee.events:
				l = callee
			}
			switch e := e.(type) {
			case Offered:
				must(t, l.AcceptOffer([]byte(reply2)))
			case Reanswered:
				done[l] = true
			case ReofferFailed:
				if e.Code != 491 {
					t.Fatalf("%+v", e)
				}
				done[l] = true
			default:
				t.Fatalf("%T %+v", e, e)
			}
		}
		must(t, caller.Hangup(0))
		if e := last(t, callee); e.By != Remote || e.Code != 200 {
			t.Errorf("%+v", e)
		}
	})
}

// TestGlareOnTheWire: 491 to our offer, and a new one after the wait; a peer's offer in
// between ends ours.
func TestGlareOnTheWire(t *testing.T) {
	guard(t)
	b := run(t, Options{T1: 20 * time.Millisecond})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)

	must(t, in.Reoffer([]byte(offer)))
	first := c.Expect("INVITE")
	c.Send(c.Request("INVITE", offer)) // ours against theirs
	c.Expect("491 INVITE")
	c.Send(c.Again("ACK", ""))
	c.Send(c.Request("UPDATE", offer))
	c.Expect("491 UPDATE")
	c.Send(first.Reply("491 Request Pending", "", ""))
	c.Expect("ACK")
	second := c.Expect("INVITE")
	if second.Get("CSeq") == first.Get("CSeq") || second.Get("Via") == first.Get("Via") || second.Body != offer {
		t.Errorf("tried again with %s %s", second.Get("CSeq"), second.Get("Via"))
	}
	c.Send(second.Reply("200 OK", "", reply2, "Contact: "+c.Contact))
	c.Expect("ACK")
	want[Reanswered](t, in)

	must(t, in.Reoffer([]byte(reply2)))
	theirs := c.Expect("INVITE")
	cross := func() {
		c.Send(theirs.Reply("491 Request Pending", "", ""))
		c.Send(c.Request("INVITE", offer))
	}
	cross()
	for n := 0; n < 2; {
		select {
		case e := <-in.events:
			n++
			switch e := e.(type) {
			case ReofferFailed:
				if e.Code != 491 {
					t.Errorf("%+v", e)
				}
			case Offered:
				must(t, in.AcceptOffer([]byte(reply2)))
			default:
				t.Errorf("%T %+v", e, e)
			}
		default:
			// The wait is random, down to nothing: then the second try of theirs comes
			// before our offer, which gets a 491 of its own.
			switch m, ok := c.Receive(5 * time.Millisecond); {
			case !ok:
			case m.Is("INVITE"):
				theirs = m
			case m.Is("491 INVITE"):
				c.Send(c.Again("ACK", ""))
				cross()
			}
		}
	}
	c.Expect("200 INVITE")
	c.Send(c.Request("ACK", ""))
}

// TestUpdateOffer: an offer by UPDATE, accepted and refused (RFC 3311).
func TestUpdateOffer(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Progress(180, nil))
	c.Learn(c.Expect("180 INVITE"))
	seq := c.Seq
	c.Send(c.Request("UPDATE", offer)) // the first offer has no answer yet
	if m := c.Expect("500 UPDATE"); m.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	must(t, in.Answer([]byte(reply2)))
	c.Expect("200 INVITE")
	c.Seq, seq = seq, c.Seq
	c.Send(c.Request("ACK", ""))
	c.Seq = seq
	want[Confirmed](t, in)

	update := c.Request("UPDATE", offer)
	c.Send(update)
	if e := want[Offered](t, in); string(e.SDP) != offer {
		t.Errorf("%q", e.SDP)
	}
	c.Send(update) // again while it is thought over: nothing new
	second := c.Request("UPDATE", offer)
	c.Send(second)
	c.Expect("500 UPDATE")
	must(t, in.AcceptOffer([]byte(reply2)))
	if m := c.Expect("200 UPDATE"); m.Body != reply2 || m.Get("Contact") == "" {
		t.Errorf("%v", m)
	}
	c.Send(update)
	c.Expect("200 UPDATE")
	c.Send(c.Request("UPDATE", offer))
	want[Offered](t, in)
	must(t, in.RefuseOffer(488))
	c.Expect("488 UPDATE")
	c.Send(c.Request("BYE", ""))
	ended(t, in, Remote, 200, 16)
}

// TestOfferlessReinvite: we offer, the answer comes in the ACK.
func TestOfferlessReinvite(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	c.Send(c.Request("INVITE", ""))
	if e := want[Offered](t, in); e.SDP != nil {
		t.Errorf("%q", e.SDP)
	}
	must(t, in.AcceptOffer([]byte(reply2)))
	if m := c.Expect("200 INVITE"); m.Body != reply2 {
		t.Errorf("%q", m.Body)
	}
	must(t, in.Reoffer([]byte(offer))) // waits for the ACK
	c.Send(c.Request("ACK", offer))
	if e := want[Confirmed](t, in); string(e.SDP) != offer {
		t.Errorf("%q", e.SDP)
	}
	c.Send(c.Expect("INVITE").Reply("200 OK", "", reply2))
	want[Reanswered](t, in)
}

// TestCancelledReinvite: a re-INVITE that the peer takes back.
func TestCancelledReinvite(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	c.Send(c.Request("INVITE", offer))
	want[Offered](t, in)
	c.Send(c.Request("CANCEL", ""))
	c.Expect("200 CANCEL")
	c.Expect("487 INVITE")
	c.Send(c.Again("ACK", ""))
	if err := in.AcceptOffer([]byte(reply2)); !errors.Is(err, ErrState) {
		t.Errorf("accepting what was taken back: %v", err)
	}
	c.Send(c.Request("INVITE", offer)) // and the next one works
	want[Offered](t, in)
	must(t, in.AcceptOffer([]byte(reply2)))
	c.Expect("200 INVITE")
}

// TestReofferToNobody: 481 and silence end the dialog (RFC 3261 §12.2.1.2).
func TestReofferToNobody(t *testing.T) {
	guard(t)
	b := run(t, Options{T1: quick})
	for _, silent := range []bool{true, false} {
		c := caller(t, b, udp)
		c.Send(c.Request("INVITE", offer))
		in := b.incoming(t)
		must(t, in.Answer([]byte(reply2)))
		c.Learn(c.Expect("200 INVITE"))
		c.Send(c.Request("ACK", ""))
		want[Confirmed](t, in)
		must(t, in.Reoffer([]byte(offer)))
		m := c.Expect("INVITE")
		if silent {
			ended(t, in, Timeout, 408, 102)
			continue
		}
		c.Send(m.Reply("481 Call Does Not Exist", "", ""))
		ended(t, in, Remote, 481, 41)
	}
}

// TestReinviteFlood: a peer that sends re-INVITEs without end gets answers, and makes
// nothing grow.
func TestReinviteFlood(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	c.Learn(c.Expect("200 INVITE"))
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	c.Send(c.Request("INVITE", offer))
	want[Offered](t, in)
	for range 30 {
		c.Send(c.Request("INVITE", offer))
		if m := c.Expect("500 INVITE"); m.Get("Retry-After") == "" {
			t.Fatal("no Retry-After")
		}
		c.Send(c.Again("ACK", ""))
	}
	kept := make(chan int, 1)
	in.post(input{run: func() { kept <- len(in.Dialog.invites) }})
	if n := <-kept; n > 2*maxInvites+1 {
		t.Errorf("%d INVITEs are kept", n)
	}
	must(t, in.AcceptOffer([]byte(reply2)))
	if m := c.Expect("200 INVITE"); !strings.Contains(m.Get("CSeq"), "2 INVITE") {
		t.Errorf("CSeq %s", m.Get("CSeq"))
	}
}
