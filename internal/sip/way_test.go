package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

func TestStatusQ850(t *testing.T) {
	for code, want := range map[int]int{
		200: 16, 487: 16, 400: 41, 401: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 415: 79, 480: 18,
		481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 488: 88, 491: 127, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127,
		600: 17, 603: 21, 604: 1, 606: 79, 302: 127,
	} {
		if got := StatusQ850(code); got != want {
			t.Errorf("%d is cause %d, want %d", code, got, want)
		}
	}
	for q850, want := range map[int]int{1: 404, 16: 480, 17: 486, 18: 480, 21: 603, 22: 410, 28: 484, 34: 503, 88: 488, 102: 504, 127: 480, 0: 480} {
		if got, words := refusalFor(q850); got != want || words == "" {
			t.Errorf("cause %d is %d %q, want %d", q850, got, words, want)
		}
	}
}

func TestReadReason(t *testing.T) {
	for _, tt := range []struct {
		values []string
		q850   int
		text   string
	}{
		{nil, 0, ""},
		{[]string{"Q.850;cause=17"}, 17, ""},
		{[]string{`q.850 ; cause = 31 ; text = "a, \"b\""`}, 31, `a, "b"`},
		{[]string{`SIP;cause=200;text="elsewhere", Q.850;cause=16`}, 16, "elsewhere"},
		{[]string{`SIP;cause=200;text="elsewhere"`, `Q.850;cause=16;text="normal"`}, 16, "normal"},
		{[]string{"Q.850;cause=0", "Q.850;cause=128", "Q.850;cause=x", "Q.850"}, 0, ""},
		{[]string{";;;", "\"", ",,"}, 0, ""},
	} {
		m := gosip.NewRequest(gosip.BYE, gosip.Uri{Host: "x"})
		for _, v := range tt.values {
			m.AppendHeader(gosip.NewHeader("Reason", v))
		}
		if q, text := readReason(m); q != tt.q850 || text != tt.text {
			t.Errorf("%q gives %d %q", tt.values, q, text)
		}
	}
}

func TestHop(t *testing.T) {
	for uri, want := range map[string]hop{
		"sip:a@h":                             {udp, "h", 0, false},
		"sip:h:5070;transport=TCP":            {tcp, "h", 5070, false},
		"sip:a@h;maddr=192.0.2.1;x=y":         {udp, "192.0.2.1", 0, false},
		"sips:a@h":                            {udp, "h", 0, true},
		"sip:a@[2001:db8::1]:5070":            {udp, "2001:db8::1", 5070, false},
		"sip:a;transport=tcp@h;transport=udp": {udp, "h", 0, false},
	} {
		var u gosip.Uri
		must(t, gosip.ParseUri(uri, &u))
		if got := hopOf(&u, udp); got != want {
			t.Errorf("%s: %+v, want %+v", uri, got, want)
		}
	}
}

// TestSameWay: when the way that the peer was heard on is the one to take.
func TestSameWay(t *testing.T) {
	public, private := netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("10.0.0.1:5060")
	open, broken := &conn{done: make(chan struct{})}, &conn{done: make(chan struct{})}
	close(broken.done)
	for _, tt := range []struct {
		name string
		f    flow
		h    hop
		want bool
	}{
		{"UDP, the same port", flow{udp, private, nil}, hop{udp, "10.0.0.1", 5060, false}, true},
		{"UDP, another port", flow{udp, private, nil}, hop{udp, "10.0.0.1", 5070, false}, false},
		{"UDP, another host", flow{udp, private, nil}, hop{udp, "10.0.0.2", 5060, false}, false},
		{"a private contact behind a translator", flow{udp, public, nil}, hop{udp, "192.168.1.5", 5060, false}, true},
		{"a name", flow{udp, public, nil}, hop{udp, "pbx.example.com", 0, false}, false},
		{"TCP, the connection from another port", flow{tcp, public, open}, hop{tcp, "198.51.100.7", 5060, false}, true},
		{"TCP, broken", flow{tcp, public, broken}, hop{tcp, "198.51.100.7", 5060, false}, false},
	} {
		d := &Dialog{flow: tt.f}
		if got := d.sameWay(tt.h); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestEveryAddress: an agent on all addresses names the one that the peer can reach.
func TestEveryAddress(t *testing.T) {
	guard(t)
	a, b := run(t, Options{Listen: "0.0.0.0:0"}), run(t, Options{})
	c := caller(t, a, udp)
	c.Target = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Addr().Port())
	p := siptest.New(t, c.Target)
	c = siptest.NewCaller(p, c.Target, "every")
	c.Send(c.Request("INVITE", offer))
	in := a.incoming(t)
	must(t, in.Answer([]byte(reply2)))
	if got := c.Expect("200 INVITE").URI("Contact"); got != "sip:"+c.Target.String() {
		t.Errorf("Contact %s", got)
	}
	out := a.dial(t, uri(b, tcp))
	callee := b.incoming(t)
	must(t, callee.Answer([]byte(reply2)))
	want[Answered](t, out)
	want[Confirmed](t, callee)
	must(t, callee.Hangup(0))
	ended(t, out, Remote, 200, 16)
}

// TestNames: hosts by name, those that cannot be found, and a hangup meanwhile.
func TestNames(t *testing.T) {
	guard(t)
	a, b := run(t, Options{}), run(t, Options{})
	out := a.dial(t, "sip:x@localhost:"+portOf(b)+";transport=udp")
	b.incoming(t)
	must(t, out.Hangup(0))
	ended(t, out, Local, 487, 16)

	asked := make(chan struct{}, 16)
	slow := run(t, Options{})
	slow.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	out = slow.dial(t, "sip:x@host.test")
	testkit.Receive(t, siptest.Patience, asked)
	must(t, out.Hangup(0))
	ended(t, out, Local, 487, 16)

	none := run(t, Options{})
	none.resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name service")
	}}
	ended(t, none.dial(t, "sip:x@host.test"), Transport, 503, 41)
}

func portOf(n *node) string {
	_, port, _ := net.SplitHostPort(n.Addr().String())
	return port
}

// TestMailboxIsBounded: a peer that floods one dialog loses messages, nobody else does.
func TestMailboxIsBounded(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	hold, held := make(chan struct{}), make(chan struct{})
	in.post(input{run: func() { close(held); <-hold }})
	<-held
	req := gosip.NewRequest(gosip.OPTIONS, gosip.Uri{Host: "x"})
	for range maxMailbox + 10 {
		in.post(input{req: req})
	}
	if got := b.rejected(t, rejectFlood); got != 10 {
		t.Errorf("%v were dropped", got)
	}
	other := caller(t, b, udp)
	other.Send(other.Request("OPTIONS", ""))
	other.Expect("200 OPTIONS")
	in.mu.Lock()
	in.inbox = nil
	in.mu.Unlock()
	close(hold)
}

func TestGate(t *testing.T) {
	guard(t)
	var g gate
	if !g.enter() {
		t.Fatal("the gate is shut")
	}
	closed := make(chan struct{})
	go func() { g.close(); close(closed) }()
	testkit.Eventually(t, siptest.Patience, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.shut })
	if g.enter() {
		t.Error("a shut gate lets in")
	}
	select {
	case <-closed:
		t.Error("close did not wait")
	case <-time.After(time.Millisecond):
	}
	g.leave()
	<-closed
	g.close()
}

// BenchmarkCall is one whole call over UDP between two agents on the same machine.
func BenchmarkCall(b *testing.B) {
	callee := run(b, Options{T1: defaultT1, OnInvite: func(d *Dialog) {
		d.Bind(func(Event) {})
		_ = d.Answer([]byte(reply2))
	}})
	caller := run(b, Options{T1: defaultT1})
	over := make(chan struct{})
	b.ReportAllocs()
	for b.Loop() {
		l := make(chan *Dialog, 1)
		d, err := caller.Invite(InviteOptions{To: uri(callee, udp), SDP: []byte(offer)}, func(e Event) {
			switch e.(type) {
			case Answered:
				d := <-l
				_ = d.Hangup(0)
			case Ended:
				over <- struct{}{}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		l <- d
		<-over
	}
}

// TestDeafConnection: a TCP peer that never reads costs a bounded amount of memory, and
// then its connection.
func TestDeafConnection(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, tcp)
	c.Send(c.Request("INVITE", offer))
	in := b.incoming(t)
	got := make(chan *conn, 1)
	in.post(input{run: func() { got <- in.Dialog.via }})
	k := <-got
	big := make([]byte, 1<<20)
	var err error
	for n := 0; err == nil; n++ {
		if n > 1000 {
			t.Fatal("everything is taken")
		}
		err = k.send(big)
	}
	if !errors.Is(err, ErrTransport) || k.alive() {
		t.Errorf("%v, alive %v", err, k.alive())
	}
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_tcp_connections") == 0 })
}
