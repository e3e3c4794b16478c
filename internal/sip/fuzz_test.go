package sip

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	gosip "github.com/emiago/sipgo/sip"

	"tapedeck/internal/sip/siptest"
)

// sink is an agent whose messages are given to it by hand, and an address that takes
// its answers.
func sink(f *testing.F) (*Agent, flow) {
	f.Helper()
	n := 0
	a, err := New(Options{T1: time.Millisecond, OnInvite: func(d *Dialog) {
		d.Bind(func(e Event) {
			if _, ok := e.(Offered); ok {
				_ = d.AcceptOffer([]byte(reply2))
			}
		})
		switch n++; n % 4 {
		case 0:
			_ = d.Progress(183, []byte(reply2))
		case 1:
			_ = d.Answer([]byte(reply2))
		case 2:
			_ = d.Reject(486, "")
		case 3:
			if !d.CheckDigest("u", "p") {
				_ = d.Challenge()
			}
		}
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = a.Close() })
	return a, flow{network: udp, at: netip.MustParseAddrPort("127.0.0.1:9")}
}

// settled waits until no dialog of the agent is at work, and looks for faults.
func settled(t *testing.T, a *Agent) {
	t.Helper()
	for {
		a.gate.mu.Lock()
		n := a.gate.n
		a.gate.mu.Unlock()
		if n == 0 {
			break
		}
		runtime.Gosched()
	}
	if testutil.ToFloat64(a.m.panics) != 0 {
		t.Fatal("a fault in the handling of a message")
	}
}

// FuzzDatagram gives any datagram to the agent, and then the same as a stream: sipgo's
// parser, our reading of headers, and the dialogs behind.
func FuzzDatagram(f *testing.F) {
	a, from := sink(f)
	p := siptest.NewCaller(siptest.New(f, a.Addr()), a.Addr(), "seed")
	f.Add([]byte(p.Request("INVITE", offer, "Supported: timer, 100rel", "Session-Expires: 90;refresher=uac", "Record-Route: <sip:a;lr>, <sip:b>")))
	f.Add([]byte(p.Request("CANCEL", "", `Reason: Q.850;cause=16;text="x"`)))
	f.Add([]byte(p.Request("OPTIONS", "")))
	f.Add([]byte(p.Request("INVITE", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", "Content-Type: multipart/mixed;boundary=b", "Expires: 1")))
	f.Add([]byte(p.Request("BYE", "") + p.Request("ACK", "")))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"))
	f.Add([]byte("\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a.receive(b, from)
		stream := a.parser.NewSIPStream()
		defer stream.Close()
		for len(b) > 0 {
			n := min(len(b), 100)
			_, _ = stream.Write(b[:n])
			b = b[n:]
			msg, err := a.next(stream)
			if err == nil {
				a.take(msg, from)
			}
		}
		settled(t, a)
	})
}

// FuzzResponse gives any response to a call that we are making.
func FuzzResponse(f *testing.F) {
	a, from := sink(f)
	for _, s := range []string{
		"180 Ringing\r\nContact: <sip:x@127.0.0.1:9>\r\nRequire: 100rel\r\nRSeq: 1",
		"200 OK\r\nContact: <sip:x@127.0.0.1:9>\r\nRecord-Route: <sip:127.0.0.1;lr>\r\nSession-Expires: 90;refresher=uac",
		"401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256",
		"407 No\r\nProxy-Authenticate: Digest realm=r,nonce=\"\\\"\",opaque=",
		"422 No\r\nMin-SE: 4000",
		"486 Busy\r\nReason: Q.850;cause=17;text=\"busy\", SIP;cause=486",
		"302 Moved\r\nContact: *",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := a.Invite(InviteOptions{To: "sip:x@127.0.0.1:9", SDP: []byte(offer), Username: "u", Password: "p"}, func(Event) {})
		if err != nil {
			t.Fatal(err)
		}
		branch := make(chan string, 1)
		d.post(input{run: func() { branch <- d.invite.branch }})
		raw := "SIP/2.0 " + s + "\r\nVia: SIP/2.0/UDP " + a.Addr().String() + ";branch=" + <-branch +
			"\r\nFrom: <sip:a@b>;tag=" + d.tag + "\r\nTo: <sip:x@y>;tag=t\r\nCall-ID: " + d.callID + "\r\nCSeq: 1 INVITE\r\n\r\n"
		a.receive([]byte(raw), from)
		_ = d.Hangup(16)
		settled(t, a)
	})
}

// FuzzHeaders reads any text as every header that we read ourselves.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		`Digest username="a\"b", realm=x, nc=1,,qop="auth"`, `Q.850;cause=16;text="a;b,c", SIP ;cause=200`, "1800;refresher=uac",
		`"a, b" <sip:x?y=z,w>, <sip:y>;q=1`, "multipart/mixed; boundary=\"a b\"", "", ";;,,==\"\"<<>>", "4294967296",
	} {
		f.Add(s)
	}
	n, err := newNonces(time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := gosip.NewRequest(gosip.INVITE, gosip.Uri{Host: "x"})
		for _, name := range []string{"Reason", "Session-Expires", "Require", "Contact", "Content-Type", "Authorization"} {
			m.AppendHeader(gosip.NewHeader(name, s))
		}
		m.SetBody([]byte("--b\r\n" + s))
		q, words := readReason(m)
		if q < 0 || q > 127 {
			t.Fatalf("cause %d", q)
		}
		if strings.ContainsAny(oneLine(words), "\r\n") {
			t.Fatalf("text %q", words)
		}
		if d, _, ok := seconds(m, "session-expires"); ok && d < 0 {
			t.Fatalf("interval %v", d)
		}
		if got := strings.Join(splitQuoted(s, ','), ","); got != s {
			t.Fatalf("split %q into %q", s, got)
		}
		if got := unquote(quote(s)); got != s {
			t.Fatalf("quoted %q came back as %q", s, got)
		}
		_, _ = bodyOf(m)
		_ = has(m, "timer", "require")
		if n.judge([]string{s}, "INVITE", "", "u", "p") == credentialsGood {
			t.Fatal("credentials out of nothing")
		}
		lines, _, err := authorize(401, []string{s}, "u", "p", "INVITE", "sip:x")
		for _, l := range lines {
			if err == nil && strings.ContainsAny(l, "\r\n") {
				t.Fatalf("a header of two lines: %q", l)
			}
		}
	})
}
