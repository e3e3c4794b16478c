package sip

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
)

// short asks for the shortest session timers that whole seconds allow.
func short() Options {
	return Options{SessionExpires: 2 * time.Second, MinSE: time.Second, second: 300 * time.Millisecond, T1: 30 * time.Millisecond}
}

// up brings up an inbound call of a literal caller and gives the 200.
func up(t *testing.T, b *node, c *siptest.Caller, extra ...string) (*leg, siptest.Message) {
	t.Helper()
	c.Send(c.Request("INVITE", offer, extra...))
	in := b.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	ok := c.Expect("200 INVITE")
	c.Learn(ok)
	c.Send(c.Request("ACK", ""))
	want[Confirmed](t, in)
	return in, ok
}

// TestSessionGrant is table 2 of RFC 4028: who refreshes, by what both can and want.
func TestSessionGrant(t *testing.T) {
	guard(t)
	on, off := run(t, Options{SessionExpires: 1800 * time.Second}), run(t, Options{SessionExpires: -1})
	for _, tt := range []struct {
		name    string
		node    *node
		extra   []string
		expires string
		require bool
	}{
		{"the caller knows nothing", on, nil, "", false},
		{"the caller can", on, []string{"Supported: timer"}, "1800;refresher=uas", false},
		{"the caller asks", on, []string{"Supported: timer", "Session-Expires: 600"}, "600;refresher=uas", false},
		{"the caller will refresh", on, []string{"k: timer", "x: 600;refresher=uac"}, "600;refresher=uac", true},
		{"we shall", on, []string{"Supported: timer", "Session-Expires: 600;refresher=uas"}, "600;refresher=uas", false},
		{"a proxy asks for a caller that cannot", on, []string{"Session-Expires: 600;refresher=uac"}, "600;refresher=uas", false},
		{"a proxy asks for too little", on, []string{"Session-Expires: 30"}, "90;refresher=uas", false},
		{"a longer minimum", on, []string{"Session-Expires: 100", "Min-SE: 120"}, "120;refresher=uas", false},
		{"not wanted here", off, []string{"Supported: timer", "Session-Expires: 600"}, "", false},
		{"not wanted here, even short", off, []string{"Supported: timer", "Session-Expires: 10"}, "", false},
	} {
		c := caller(t, tt.node, udp)
		_, ok := up(t, tt.node, c, tt.extra...)
		if ok.Get("Session-Expires") != tt.expires || (ok.Get("Require") == "timer") != tt.require {
			t.Errorf("%s: Session-Expires %q Require %q, want %q %v", tt.name, ok.Get("Session-Expires"), ok.Get("Require"), tt.expires, tt.require)
		}
		c.Send(c.Request("BYE", ""))
		c.Expect("200 BYE")
	}
}

// TestWeRefreshByUpdate and keep the session alive.
func TestWeRefreshByUpdate(t *testing.T) {
	guard(t)
	b := run(t, short())
	c := caller(t, b, udp)
	in, _ := up(t, b, c, "Supported: timer", "Session-Expires: 2;refresher=uas", "Allow: UPDATE, INVITE")
	for range 2 {
		m := c.Expect("UPDATE")
		if m.Get("Session-Expires") != "2;refresher=uac" || m.Body != "" || m.Get("Contact") == "" {
			t.Errorf("%v", m)
		}
		c.Send(m.Reply("200 OK", "", "", "Session-Expires: 2;refresher=uac"))
	}
	// a peer that does not know UPDATE after all gets a re-INVITE with what we said last
	c.Send(c.Expect("UPDATE").Reply("405 Method Not Allowed", "", ""))
	m := c.Expect("INVITE")
	if m.Body != reply2 {
		t.Errorf("refreshed with %q", m.Body)
	}
	c.Send(m.Reply("200 OK", "", offer, "Session-Expires: 2;refresher=uac"))
	c.Expect("ACK")
	m = c.Expect("INVITE")
	c.Send(m.Reply("200 OK", "", reply2, "Session-Expires: 2;refresher=uac")) // its address changed
	c.Expect("ACK")
	if e := want[Reanswered](t, in); string(e.SDP) != reply2 {
		t.Errorf("%q", e.SDP)
	}
	c.Send(c.Request("BYE", ""))
	ended(t, in, Remote, 200, 16)
}

// TestRefreshFails: 481 ends the call at once, other refusals when the time is up.
func TestRefreshFails(t *testing.T) {
	guard(t)
	b := run(t, short())
	c := caller(t, b, udp)
	in, _ := up(t, b, c, "Supported: timer", "Session-Expires: 2;refresher=uas", "Allow: UPDATE")
	c.Send(c.Expect("UPDATE").Reply("481 Gone", "", ""))
	ended(t, in, Remote, 481, 41)
	c = caller(t, b, udp)
	in, _ = up(t, b, c, "Supported: timer", "Session-Expires: 2;refresher=uas", "Allow: UPDATE")
	for {
		m, ok := c.Receive(siptest.Patience)
		if !ok {
			t.Fatal("no BYE")
		}
		if m.Is("BYE") {
			c.Send(m.Reply("200 OK", "", ""))
			break
		}
		c.Send(m.Reply("500 No", "", ""))
	}
	ended(t, in, Timeout, 408, 102)
}

// TestPeerRefreshes: its UPDATE and re-INVITE keep the session, its silence ends it.
func TestPeerRefreshes(t *testing.T) {
	guard(t)
	b := run(t, short())
	c := caller(t, b, udp)
	in, ok := up(t, b, c, "Supported: timer", "Session-Expires: 2;refresher=uac")
	if ok.Get("Require") != "timer" {
		t.Error("no duty for the refresher")
	}
	c.Send(c.Request("UPDATE", "", "Supported: timer", "Session-Expires: 2;refresher=uac"))
	if m := c.Expect("200 UPDATE"); m.Get("Session-Expires") != "2;refresher=uac" {
		t.Errorf("%v", m)
	}
	c.Send(c.Request("UPDATE", "", "Supported: timer", "Session-Expires: 0"))
	if m := c.Expect("422 UPDATE"); m.Get("Min-SE") != "1" {
		t.Errorf("%v", m)
	}
	bye := c.Expect("BYE")
	c.Send(bye.Reply("200 OK", "", ""))
	ended(t, in, Timeout, 408, 102)
}

// TestCallerSession: what our INVITE asks for, and what it does with the answer.
func TestCallerSession(t *testing.T) {
	guard(t)
	a := run(t, short())
	p := siptest.New(t, a.Addr())
	contact := "Contact: <sip:bob@" + p.Addr().String() + ">"
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	first := p.Expect("INVITE")
	if first.Get("Session-Expires") != "2" || first.Get("Min-SE") != "1" || !strings.Contains(first.Get("Supported"), "timer") {
		t.Errorf("%v", first)
	}
	p.Send(first.Reply("422 Session Interval Too Small", "x", "", "Min-SE: 3"))
	p.Expect("ACK")
	second := p.Expect("INVITE")
	if second.Get("Session-Expires") != "3" || second.Get("Min-SE") != "3" || second.Get("CSeq") != "2 INVITE" {
		t.Errorf("%v", second)
	}
	p.Send(second.Reply("200 OK", "x", siptest.SDP, contact, "Session-Expires: 3;refresher=uac", "Require: timer", "Allow: INVITE,UPDATE"))
	want[Answered](t, out)
	m := p.Expect("UPDATE")
	if m.Get("Session-Expires") != "3;refresher=uac" {
		t.Errorf("%v", m)
	}
	p.Send(m.Reply("422 Session Interval Too Small", "", "", "Min-SE: 4"))
	m = p.Expect("UPDATE")
	if m.Get("Session-Expires") != "4;refresher=uac" {
		t.Errorf("%v", m)
	}
	p.Send(m.Reply("200 OK", "", "", "Session-Expires: 2;refresher=uas"))
	// now the peer has the duty, and does nothing
	bye := p.Expect("BYE")
	p.Send(bye.Reply("200 OK", "", ""))
	ended(t, out, Timeout, 408, 102)
	// a 422 that makes no sense is a refusal
	out = a.dial(t, "sip:bob@"+p.Addr().String())
	p.Send(p.Expect("INVITE").Reply("422 Session Interval Too Small", "x", "", "Min-SE: 1"))
	ended(t, out, Remote, 422, 127)
}

// TestSessionBetweenUs: two agents keep a call for longer than its interval.
func TestSessionBetweenUs(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, short()), run(t, short())
		caller, callee := connect(t, a, b, transport)
		end := time.After(time.Second)
		select {
		case e := <-caller.events:
			t.Fatalf("caller: %T %+v", e, e)
		case e := <-callee.events:
			t.Fatalf("callee: %T %+v", e, e)
		case <-end:
		}
		must(t, caller.Hangup(0))
		ended(t, callee, Remote, 200, 16)
	})
}
