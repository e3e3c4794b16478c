package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// TestRefusedRequests: what is answered, and with what.
func TestRefusedRequests(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		b := run(t, Options{MinSE: 90 * time.Second})
		for _, tt := range []struct {
			name, method, body, want, header, value string
			change                                  func(*siptest.Caller, string) string
			extra                                   []string
		}{
			{name: "OPTIONS", method: "OPTIONS", want: "200 OPTIONS", header: "Allow", value: strings.TrimPrefix(allowLine, "Allow: ")},
			{name: "unknown method", method: "DANCE", want: "501 DANCE"},
			{name: "method not for us", method: "REGISTER", want: "405 REGISTER"},
			{name: "BYE of no dialog", method: "BYE", want: "481 BYE"},
			{name: "UPDATE of no dialog", method: "UPDATE", want: "481 UPDATE"},
			{name: "CANCEL of no INVITE", method: "CANCEL", want: "481 CANCEL"},
			{name: "BYE of an unknown dialog", method: "BYE", want: "481 BYE", change: func(c *siptest.Caller, m string) string {
				return strings.Replace(m, c.To, c.To+";tag=nobody", 1)
			}},
			{name: "OPTIONS of an unknown dialog", method: "OPTIONS", want: "481 OPTIONS", change: func(c *siptest.Caller, m string) string {
				return strings.Replace(m, c.To, c.To+";tag=nobody", 1)
			}},
			{name: "another version", method: "OPTIONS", want: "505 OPTIONS", change: replace(" SIP/2.0\r\nVia", " SIP/7.0\r\nVia")},
			{name: "another scheme", method: "INVITE", body: offer, want: "416 INVITE", change: replace("INVITE sip:", "INVITE http:")},
			{name: "secure scheme", method: "INVITE", body: offer, want: "416 INVITE", change: replace("INVITE sip:", "INVITE sips:")},
			{name: "CSeq of another method", method: "OPTIONS", want: "400 INVITE", change: func(c *siptest.Caller, m string) string {
				return strings.Replace(m, fmt.Sprintf("CSeq: %d OPTIONS", c.Seq), fmt.Sprintf("CSeq: %d INVITE", c.Seq), 1)
			}},
			{name: "demands", method: "INVITE", body: offer, want: "420 INVITE", header: "Unsupported", value: "replaces, gruu", extra: []string{"Require: timer, replaces", "Require: gruu"}},
			{name: "no contact", method: "INVITE", body: offer, want: "400 INVITE", change: replace("\r\nContact:", "\r\nX-Contact:")},
			{name: "no From tag", method: "INVITE", body: offer, want: "400 INVITE", change: replace(";tag=from-", ";x=")},
			{name: "unknown body", method: "INVITE", body: "<x/>", want: "415 INVITE", header: "Accept", value: "application/sdp", change: replace("application/sdp", "text/xml")},
			{name: "body of no type", method: "INVITE", body: offer, want: "415 INVITE", change: replace("Content-Type:", "X-Type:")},
			{name: "packed body", method: "INVITE", body: offer, want: "415 INVITE", extra: []string{"Content-Encoding: gzip"}},
			{name: "session too short", method: "INVITE", body: offer, want: "422 INVITE", header: "Min-SE", value: "90", extra: []string{"Supported: timer", "Session-Expires: 60"}},
			{name: "broken From", method: "OPTIONS", want: "400 OPTIONS", change: replace("Contact: <", "Contact: <<>")},
		} {
			c := caller(t, b, transport)
			m := c.Request(tt.method, tt.body, tt.extra...)
			if tt.change != nil {
				m = tt.change(c, m)
			}
			c.Send(m)
			r, ok := c.Receive(siptest.Patience)
			if !ok || !r.Is(tt.want) {
				t.Errorf("%s: got %q, want %s", tt.name, r.Start+" / "+r.Get("CSeq"), tt.want)
				continue
			}
			if tt.header != "" && r.Get(tt.header) != tt.value {
				t.Errorf("%s: %s is %q, want %q", tt.name, tt.header, r.Get(tt.header), tt.value)
			}
			if r.Param("To", "tag") == "" || !strings.Contains(r.Get("Via"), ";rport=") {
				t.Errorf("%s: To %q Via %q", tt.name, r.Get("To"), r.Get("Via"))
			}
		}
		select {
		case <-b.calls:
			t.Error("something became a call")
		default:
		}
	})
}

func replace(old, by string) func(*siptest.Caller, string) string {
	return func(_ *siptest.Caller, m string) string { return strings.Replace(m, old, by, 1) }
}

// TestTolerated: what looks odd and is taken all the same.
func TestTolerated(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	for _, tt := range []struct {
		name   string
		body   string
		extra  []string
		change func(*siptest.Caller, string) string
		sdp    string
	}{
		{name: "compact headers", body: offer, sdp: offer, change: func(_ *siptest.Caller, m string) string {
			return strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Type:", "c:", "Content-Length:", "l:").Replace(m)
		}},
		{name: "lower-case names", body: offer, sdp: offer, change: func(_ *siptest.Caller, m string) string {
			return strings.NewReplacer("Via:", "via :", "From:", "FROM:", "CSeq:", "cseq:", ";tag=", ";TAG=", ";branch=", ";Branch=").Replace(m)
		}},
		{name: "folded header", body: offer, sdp: offer, change: replace("Max-Forwards: 70", "Max-Forwards:\r\n  70\r\nSubject: one\r\n two")},
		{name: "tel URI", body: offer, sdp: offer, change: replace("INVITE sip:1000@", "INVITE tel:+1000;x=")},
		{name: "body that may be ignored", body: "<x/>", extra: []string{"Content-Disposition: render; handling=optional"}, change: replace("application/sdp", "text/xml")},
		{name: "multipart", body: "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + offer + "\r\n--b--\r\n", sdp: offer, change: replace("application/sdp", `multipart/mixed;boundary=b`)},
		{name: "unknown headers", body: offer, sdp: offer, extra: []string{"X-A: b", "Reason: nonsense;;;cause=x", "Warning: 399 x \"y\"", "Session-Expires: junk", "P-Asserted-Identity: <sip:x@y>"}},
		{name: "empty lines first", body: offer, sdp: offer, change: func(_ *siptest.Caller, m string) string { return "\r\n\r\n" + m }},
		{name: "last hop", body: offer, sdp: offer, change: replace("Max-Forwards: 70", "Max-Forwards: 0")},
	} {
		c := caller(t, b, udp)
		m := c.Request("INVITE", tt.body, tt.extra...)
		if tt.change != nil {
			m = tt.change(c, m)
		}
		c.Send(m)
		select {
		case in := <-b.calls:
			if got := string(in.Request().SDP); got != tt.sdp {
				t.Errorf("%s: SDP %q", tt.name, got)
			}
			must(t, in.Reject(486, ""))
			c.Expect("486 INVITE")
		case <-time.After(siptest.Patience):
			r, _ := c.Receive(time.Millisecond)
			t.Errorf("%s: no call, but %q", tt.name, r.Start)
		}
	}
}

// TestTCPStream: messages cut anywhere, several in one piece, pings between them; junk
// ends the connection and nothing else.
func TestTCPStream(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	c := caller(t, b, tcp)
	m := c.Request("OPTIONS", "")
	for i := 0; i < len(m); i += 7 {
		c.Send(m[i:min(i+7, len(m))])
	}
	c.Expect("200 OPTIONS")
	c.Send(c.Request("OPTIONS", "") + "\r\n\r\n" + c.Request("OPTIONS", "") + "\r\n")
	c.Expect("200 OPTIONS")
	c.Expect("200 OPTIONS")
	// no Content-Length: where the next message begins, nobody knows
	c.Send(strings.Replace(c.Request("OPTIONS", ""), "Content-Length", "X-Length", 1))
	c.Expect("400 OPTIONS")
	if _, ok := c.Receive(siptest.Patience); ok {
		t.Error("the connection goes on")
	}
	d := caller(t, b, tcp)
	d.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, ok := d.Receive(siptest.Patience); ok {
		t.Error("junk was answered")
	}
	e := caller(t, b, tcp)
	e.Send(e.Request("OPTIONS", ""))
	e.Expect("200 OPTIONS")
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_tcp_connections") == 1 })
	if b.rejected(t, rejectMalformed) != 2 {
		t.Errorf("%v malformed", b.rejected(t, rejectMalformed))
	}
}

// TestTooMuch: oversize messages, too many connections.
func TestTooMuch(t *testing.T) {
	guard(t)
	b := run(t, Options{MaxMessage: 4000, MaxConnections: 2})
	big := "X-Big: " + strings.Repeat("x", 5000)
	for _, transport := range []string{udp, tcp} {
		c := caller(t, b, transport)
		c.Send(c.Request("OPTIONS", "", big))
		c.Expect("513 OPTIONS")
	}
	if b.rejected(t, rejectOversize) != 2 {
		t.Errorf("%v oversize", b.rejected(t, rejectOversize))
	}
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_tcp_connections") == 0 })
	var open []*siptest.Caller
	for range 2 {
		c := caller(t, b, tcp)
		c.Send(c.Request("OPTIONS", ""))
		c.Expect("200 OPTIONS")
		open = append(open, c)
	}
	third := siptest.Dial(t, b.Addr())
	if _, ok := third.Receive(siptest.Patience); ok {
		t.Error("the third connection is served")
	}
	open[0].Send(open[0].Request("OPTIONS", ""))
	open[0].Expect("200 OPTIONS")
}

// TestBigInvite leaves UDP for TCP where that works, and stays where it does not
// (RFC 3261 §18.1.1).
func TestBigInvite(t *testing.T) {
	guard(t)
	big := func(o *InviteOptions) { o.Headers = map[string]string{"X-Big": strings.Repeat("x", 1200)} }
	a, b := run(t, Options{}), run(t, Options{})
	out := a.dial(t, "sip:1000@"+b.Addr().String(), big)
	in := b.incoming(t)
	if in.Request().Transport != tcp {
		t.Errorf("a big INVITE came over %s", in.Request().Transport)
	}
	must(t, in.Answer([]byte(reply2)))
	want[Answered](t, out)
	want[Confirmed](t, in)
	must(t, in.Hangup(0))
	ended(t, out, Remote, 200, 16)
	p := siptest.New(t, a.Addr()) // no TCP there
	a.dial(t, "sip:bob@"+p.Addr().String(), big)
	if m := p.Expect("INVITE"); !strings.HasPrefix(m.Get("Via"), "SIP/2.0/UDP ") {
		t.Errorf("Via %s", m.Get("Via"))
	}
	a.dial(t, "sip:bob@"+b.Addr().String()+";transport=udp", big) // demanded
	if in := b.incoming(t); in.Request().Transport != udp {
		t.Errorf("transport=udp came over %s", in.Request().Transport)
	}
}

// TestStrayResponses disturb nothing.
func TestStrayResponses(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	out := a.dial(t, "sip:bob@"+p.Addr().String())
	invite := p.Expect("INVITE")
	good := invite.Reply("180 Ringing", "bob", "")
	p.Send(strings.Replace(good, "branch=z9hG4bK", "branch=z9hG4bKother", 1))
	p.Send(strings.Replace(good, "Call-ID: ", "Call-ID: other-", 1))
	p.Send(strings.Replace(good, "\r\nFrom", "\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKy\r\nFrom", 1))
	p.Send(strings.Replace(good, "1 INVITE", "2 INVITE", 1))
	p.Send(strings.Replace(good, "SIP/2.0 180", "SIP/2.0 99", 1))
	p.Send(strings.Replace(good, "SIP/2.0 180", "SIP/2.0 700", 1))
	p.Send(good)
	if e := want[Ringing](t, out); e.Code != 180 {
		t.Errorf("%+v", e)
	}
	testkit.Eventually(t, siptest.Patience, func() bool { return a.rejected(t, rejectStray) == 4 })
}
