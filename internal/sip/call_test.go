package sip

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// TestCall is a whole call between two agents, hung up by either.
func TestCall(t *testing.T) {
	for _, by := range []string{"caller", "callee"} {
		t.Run(by, func(t *testing.T) {
			both(t, func(t *testing.T, transport string) {
				a, b := run(t, Options{}), run(t, Options{UserAgent: "Callee/1"})
				out := a.dial(t, uri(b, transport), func(o *InviteOptions) {
					o.Headers = map[string]string{"X-Test": "yes"}
					o.MaxForwards = 17
				})
				in := b.incoming(t)
				r := in.Request()
				if r.FromUser != "+351210000000" || r.FromName != `A "quoted" name` || r.URIUser != "1000" || r.ToUser != "1000" ||
					r.Transport != transport || string(r.SDP) != offer || r.CallID != out.Request().CallID || r.UserAgent != "Tapedeck" || r.MaxForwards != 17 {
					t.Errorf("request %+v", r)
				}
				if r.Source.Addr().String() != "127.0.0.1" {
					t.Errorf("source %v", r.Source)
				}
				must(t, in.Progress(180, nil))
				if e := want[Ringing](t, out); e.Code != 180 || e.SDP != nil {
					t.Errorf("%+v", e)
				}
				must(t, in.Progress(183, []byte(reply2)))
				if e := want[Ringing](t, out); e.Code != 183 || string(e.SDP) != reply2 {
					t.Errorf("%+v", e)
				}
				must(t, in.Answer([]byte(reply2)))
				if e := want[Answered](t, out); string(e.SDP) != reply2 || e.UserAgent != "Callee/1" {
					t.Errorf("%+v", e)
				}
				want[Confirmed](t, in)
				first, second := out, in
				if by == "callee" {
					first, second = in, out
				}
				must(t, first.Hangup(17))
				ended(t, first, Local, 200, 17)
				ended(t, second, Remote, 200, 17)
				must(t, first.Hangup(17)) // idempotent
				for _, err := range []error{first.Answer([]byte(offer)), second.Reoffer([]byte(offer)), second.Progress(180, nil), second.Reject(486, "")} {
					if !errors.Is(err, ErrEnded) {
						t.Errorf("after the end: %v", err)
					}
				}
				must(t, second.Hangup(0))
			})
		})
	}
}

func TestReject(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		for _, tt := range []struct{ code, q850 int }{{486, 17}, {603, 21}, {404, 1}, {302, 127}, {480, 18}, {600, 17}} {
			out := a.dial(t, uri(b, transport))
			in := b.incoming(t)
			must(t, in.Reject(tt.code, ""))
			ended(t, in, Local, tt.code, tt.q850)
			e := ended(t, out, Remote, tt.code, tt.q850)
			if e.Reason != phraseOf(tt.code) {
				t.Errorf("reason %q", e.Reason)
			}
			if err := in.Answer([]byte(offer)); !errors.Is(err, ErrEnded) {
				t.Errorf("answer after reject: %v", err)
			}
		}
	})
}

// TestHangupUnanswered: giving up an inbound call gives the caller the right status.
func TestHangupUnanswered(t *testing.T) {
	guard(t)
	a, b := run(t, Options{}), run(t, Options{})
	for _, tt := range []struct{ q850, code int }{{0, 480}, {16, 480}, {17, 486}, {21, 603}, {34, 503}} {
		out := a.dial(t, uri(b, udp))
		in := b.incoming(t)
		must(t, in.Hangup(tt.q850))
		cause := tt.q850
		if cause == 0 {
			cause = 16
		}
		ended(t, in, Local, tt.code, cause)
		if tt.q850 == 0 {
			cause = StatusQ850(tt.code)
		}
		ended(t, out, Remote, tt.code, cause)
	}
}

// TestCancel: the caller gives up while it rings.
func TestCancel(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		out := a.dial(t, uri(b, transport))
		in := b.incoming(t)
		must(t, in.Progress(180, nil))
		want[Ringing](t, out)
		must(t, out.Hangup(19))
		ended(t, out, Local, 487, 19)
		ended(t, in, Remote, 487, 19)
		if err := in.Answer([]byte(reply2)); !errors.Is(err, ErrEnded) {
			t.Errorf("answer after cancel: %v", err)
		}
	})
}

// TestCancelCrossesAnswer: whoever is first, both ends agree that the call is over.
func TestCancelCrossesAnswer(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		for range 30 {
			out := a.dial(t, uri(b, transport))
			in := b.incoming(t)
			start := make(chan struct{})
			done := make(chan struct{}, 2)
			code := 200
			go func() {
				<-start
				if err := in.Answer([]byte(reply2)); err != nil {
					code = 487
				}
				done <- struct{}{}
			}()
			go func() { <-start; _ = out.Hangup(0); done <- struct{}{} }()
			close(start)
			<-done
			<-done
			e := last(t, out)
			if e.By != Local {
				t.Fatalf("caller: %+v", e)
			}
			e = last(t, in)
			if e.By != Remote || e.Code != code {
				t.Fatalf("callee: %+v, want %d", e, code)
			}
		}
	})
}

// last waits for Ended and makes sure that nothing follows.
func last(t testing.TB, l *leg) Ended {
	t.Helper()
	for {
		if e, ok := testkit.Receive(t, siptest.Patience, l.events).(Ended); ok {
			return e
		}
	}
}

// TestHangupBeforeAnyAnswer: the CANCEL waits for the first provisional response.
func TestHangupBeforeAnyAnswer(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	invite := p.Expect("INVITE")
	must(t, out.Hangup(0))
	ended(t, out, Local, 487, 16)
	p.Send(invite.Reply("180 Ringing", "bob", ""))
	cancel := p.Expect("CANCEL")
	if cancel.Get("Via") != invite.Get("Via") || cancel.Get("CSeq") != "1 CANCEL" || cancel.Param("To", "tag") != "" {
		t.Errorf("CANCEL does not match its INVITE:\n%v\n%v", cancel, invite)
	}
	p.Send(cancel.Reply("200 OK", "bob", ""))
	p.Send(invite.Reply("487 Request Terminated", "bob", ""))
	p.Expect("ACK")
}

// TestAnswerAfterHangup: a 2xx that crosses our CANCEL is acknowledged and ended.
func TestAnswerAfterHangup(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	invite := p.Expect("INVITE")
	p.Send(invite.Reply("180 Ringing", "bob", ""))
	want[Ringing](t, out)
	must(t, out.Hangup(0))
	p.Expect("CANCEL")
	p.Send(invite.Reply("200 OK", "bob", siptest.SDP, "Contact: <sip:bob@"+p.Addr().String()+">"))
	p.Expect("ACK")
	bye := p.Expect("BYE")
	if bye.Param("To", "tag") != "bob" {
		t.Errorf("To %s", bye.Get("To"))
	}
	p.Send(bye.Reply("200 OK", "", ""))
	ended(t, out, Local, 487, 16)
}

// TestUnreachable: nobody answers, nobody listens, no such name.
func TestUnreachable(t *testing.T) {
	guard(t)
	a := run(t, Options{T1: quick})
	p := siptest.New(t, a.Addr()) // takes everything, says nothing
	ended(t, a.dial(t, "sip:x@"+p.Addr().String()), Timeout, 408, 102)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	at := l.Addr().String()
	must(t, l.Close())
	ended(t, a.dial(t, "sip:x@"+at+";transport=tcp"), Transport, 503, 41)
}

// TestConnectionBreaks: the TCP peer goes away while the INVITE waits.
func TestConnectionBreaks(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer l.Close()
	out := a.dial(t, "sip:x@"+l.Addr().String()+";transport=tcp")
	c, err := l.Accept()
	must(t, err)
	p := siptest.Conn(t, c)
	p.Expect("INVITE")
	p.Close()
	ended(t, out, Transport, 503, 41)
}

func TestInviteOptions(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	good := InviteOptions{To: "sip:1000@127.0.0.1:9", SDP: []byte(offer)}
	for name, change := range map[string]func(*InviteOptions){
		"no To":           func(o *InviteOptions) { o.To = "" },
		"not a URI":       func(o *InviteOptions) { o.To = "1000" },
		"no host":         func(o *InviteOptions) { o.To = "sip:" },
		"tel":             func(o *InviteOptions) { o.To = "tel:+1" },
		"sips":            func(o *InviteOptions) { o.To = "sips:a@127.0.0.1" },
		"tls":             func(o *InviteOptions) { o.To += ";transport=tls" },
		"star":            func(o *InviteOptions) { o.To = "*" },
		"line break":      func(o *InviteOptions) { o.To += "\r\nX: y" },
		"no SDP":          func(o *InviteOptions) { o.SDP = nil },
		"hops":            func(o *InviteOptions) { o.MaxForwards = 256 },
		"bad From":        func(o *InviteOptions) { o.From = "a\r\nb" },
		"bad header":      func(o *InviteOptions) { o.Headers = map[string]string{"X": "a\r\nVia: b"} },
		"bad header name": func(o *InviteOptions) { o.Headers = map[string]string{"X:": "a"} },
		"our header":      func(o *InviteOptions) { o.Headers = map[string]string{"cseq": "1"} },
	} {
		o := good
		change(&o)
		if d, err := a.Invite(o, func(Event) {}); !errors.Is(err, ErrInvite) || d != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Invite(good, nil); !errors.Is(err, ErrInvite) {
		t.Errorf("nobody to notify: %v", err)
	}
	a.stop()
	if _, err := a.Invite(good, func(Event) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestListen(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	at := a.Addr().String()
	_, err := New(Options{Listen: at})
	if err == nil || !strings.Contains(err.Error(), at) || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a taken port gives %v", err)
	}
	for _, bad := range []Options{{Listen: "nonsense"}, {UserAgent: "a\nb"}, {SessionExpires: time.Second}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	// the TCP port alone is taken
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer l.Close()
	if _, err := New(Options{Listen: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "TCP") {
		t.Errorf("a port that is taken on TCP gives %v", err)
	}
	// an agent that never ran gives its sockets back
	b, err := New(Options{})
	must(t, err)
	must(t, b.Close())
	must(t, b.Close())
	if err := b.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Run after Close: %v", err)
	}
	c, err := New(Options{Listen: b.Addr().String()})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background()) }()
	testkit.Eventually(t, siptest.Patience, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.running })
	must(t, c.Close())
	must(t, <-done)
}

// TestShutdown: Run ends every call, on the wire too, and says so to both.
func TestShutdown(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), run(t, Options{})
		out, in := connect(t, a, b, transport)
		ringing := a.dial(t, uri(b, transport))
		rings := b.incoming(t)
		must(t, rings.Progress(180, nil))
		want[Ringing](t, ringing)
		a.stop()
		ended(t, out, Local, 200, 16)
		ended(t, ringing, Local, 487, 16)
		ended(t, in, Remote, 200, 16)
		ended(t, rings, Remote, 487, 16)
		if got := a.counter(t, "tapedeck_sip_dialogs"); got != 0 {
			t.Errorf("%v dialogs are left", got)
		}
	})
}

func TestDrain(t *testing.T) {
	guard(t)
	a, b := run(t, Options{}), run(t, Options{})
	out, in := connect(t, a, b, udp)
	b.Drain(1500 * time.Millisecond)
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	if m := c.Expect("503 INVITE"); m.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", m.Get("Retry-After"))
	}
	c.Send(c.Request("OPTIONS", ""))
	c.Expect("503 OPTIONS")
	must(t, out.Hangup(0)) // calls that are up go on
	ended(t, in, Remote, 200, 16)
	if b.rejected(t, rejectDraining) == 0 {
		t.Error("not counted")
	}
}

// TestNobodyAtHome: without OnInvite calls are refused.
func TestNobodyAtHome(t *testing.T) {
	guard(t)
	b, err := New(Options{})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- b.Run(context.Background()) }()
	a := run(t, Options{})
	ended(t, a.dial(t, "sip:x@"+b.Addr().String()), Remote, 480, 18)
	must(t, b.Close())
	must(t, <-done)
}

// TestCallToItself: both ends of a call on one agent, as when a channel dials a number
// of its own node.
func TestCallToItself(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a := run(t, Options{})
		out, in := connect(t, a, a, transport)
		must(t, in.Reoffer([]byte(offer)))
		want[Offered](t, out)
		must(t, out.AcceptOffer([]byte(reply2)))
		want[Reanswered](t, in)
		must(t, out.Hangup(0))
		ended(t, out, Local, 200, 16)
		ended(t, in, Remote, 200, 16)
	})
}

// TestBindLater: events since the INVITE are kept, in order.
func TestBindLater(t *testing.T) {
	guard(t)
	got := make(chan *Dialog, 1)
	a, b := run(t, Options{}), run(t, Options{OnInvite: func(d *Dialog) { got <- d }})
	out := a.dial(t, uri(b, udp))
	d := testkit.Receive(t, siptest.Patience, got)
	must(t, d.Answer([]byte(reply2)))
	want[Answered](t, out)
	must(t, out.Hangup(0))
	ended(t, out, Local, 200, 16)
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_dialogs") == 0 })
	l := newLeg(d)
	d.Bind(func(e Event) { l.events <- e })
	d.Bind(func(Event) { t.Error("the second Bind counts") })
	want[Confirmed](t, l)
	ended(t, l, Remote, 200, 16)
}

// TestFaultTakesDownItsOwnCallOnly: a panic in one call's notify ends that call.
func TestFaultTakesDownItsOwnCallOnly(t *testing.T) {
	guard(t)
	a, b := run(t, Options{}), run(t, Options{})
	out, in := connect(t, a, b, udp)
	ends := make(chan Event, 1)
	_, err := a.Invite(InviteOptions{To: uri(b, udp), SDP: []byte(offer)}, func(e Event) {
		if _, ok := e.(Ended); ok {
			ends <- e
			return
		}
		panic("a fault")
	})
	must(t, err)
	must(t, b.incoming(t).Progress(180, nil))
	if e := testkit.Receive(t, siptest.Patience, ends).(Ended); e.By != Transport || e.Code != 500 {
		t.Errorf("%+v", e)
	}
	if got := a.counter(t, "tapedeck_sip_panics_total"); got != 1 {
		t.Errorf("%v panics counted", got)
	}
	must(t, in.Hangup(0))
	ended(t, out, Remote, 200, 16)
}
