package sip

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
)

// TestDigestVectors: the examples of the RFCs.
func TestDigestVectors(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    credentials
		want string
	}{
		{"RFC 2617 §3.5", credentials{"Mufasa", "Circle Of Life", "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "GET", "/dir/index.html", "MD5", "auth", "0a4f113b", "00000001"}, "6629fae49393a05397450978507c4ef1"},
		{"RFC 2069 form", credentials{"Mufasa", "CircleOfLife", "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "GET", "/dir/index.html", "", "", "", ""}, "1949323746fe6a43ef61f9606e7febea"},
		{"RFC 7616 §3.9.1 MD5", credentials{"Mufasa", "Circle of Life", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "GET", "/dir/index.html", "MD5", "auth", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "00000001"}, "8ca523f5e9506fed4657c9700eebdbec"},
		{"RFC 7616 §3.9.1 SHA-256", credentials{"Mufasa", "Circle of Life", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "GET", "/dir/index.html", "SHA-256", "auth", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "00000001"}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
	} {
		if got, ok := tt.c.response(); !ok || got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if _, ok := (credentials{algorithm: "MD5-sess"}).response(); ok {
		t.Error("an unknown algorithm was computed")
	}
}

// asking is a node that wants credentials of every caller.
func asking(t *testing.T, user, password string) *node {
	t.Helper()
	n := &node{calls: make(chan *leg, 16)}
	r := run(t, Options{OnInvite: func(d *Dialog) {
		if !d.CheckDigest(user, password) {
			must(t, d.Challenge())
			return
		}
		l := newLeg(d)
		d.Bind(func(e Event) { l.events <- e })
		n.calls <- l
	}})
	r.calls = n.calls
	return r
}

// TestDigestBothWays: our caller answers our challenge; a wrong password ends the call.
func TestDigestBothWays(t *testing.T) {
	both(t, func(t *testing.T, transport string) {
		a, b := run(t, Options{}), asking(t, "alice", `se"cret\`)
		login := func(user, password string) func(*InviteOptions) {
			return func(o *InviteOptions) { o.Username, o.Password = user, password }
		}
		caller, callee := connect(t, a, b, transport, login("alice", `se"cret\`))
		must(t, caller.Reoffer([]byte(offer))) // the dialog works as any other
		want[Offered](t, callee)
		must(t, callee.AcceptOffer([]byte(reply2)))
		want[Reanswered](t, caller)
		must(t, callee.Hangup(0))
		ended(t, caller, Remote, 200, 16)
		ended(t, a.dial(t, uri(b, transport), login("alice", "wrong")), Remote, 401, 21)
		ended(t, a.dial(t, uri(b, transport), login("bob", `se"cret\`)), Remote, 401, 21)
		ended(t, a.dial(t, uri(b, transport)), Remote, 401, 21)
	})
}

// TestChallengesOfPeers: what trunks send (RFC 3261 §22, RFC 8760).
func TestChallengesOfPeers(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	for _, tt := range []struct {
		name, status string
		challenge    []string
		header       string
		want         []string
	}{
		{"MD5 without qop", "401 Unauthorized", []string{`WWW-Authenticate: Digest realm="r", nonce="n"`}, "Authorization", []string{`username="u"`, `realm="r"`, `nonce="n"`, `uri="sip:`}},
		{"qop list and opaque", "401 Unauthorized", []string{`WWW-Authenticate: Digest realm="a, b", nonce="n=", opaque="o", qop="auth, auth-int", algorithm=MD5`}, "Authorization", []string{`realm="a, b"`, `nonce="n="`, "qop=auth,", "nc=00000001", `opaque="o"`, "algorithm=MD5"}},
		{"proxy", "407 Proxy Authentication Required", []string{`Proxy-Authenticate: Digest realm="r",nonce="n",qop="auth"`}, "Proxy-Authorization", []string{`realm="r"`}},
		{"the better of two", "401 Unauthorized", []string{`WWW-Authenticate: Digest realm="r", nonce="n1", algorithm=MD5`, `WWW-Authenticate: Digest realm="r", nonce="n2", algorithm=SHA-256`, `WWW-Authenticate: Digest realm="r", nonce="n3", algorithm=SHA-512-256`}, "Authorization", []string{`nonce="n2"`, "algorithm=SHA-256"}},
	} {
		p := siptest.New(t, a.Addr())
		a.dial(t, "sip:bob@"+p.Addr().String(), func(o *InviteOptions) { o.Username, o.Password = "u", "p" })
		first := p.Expect("INVITE")
		p.Send(first.Reply(tt.status, "x", "", tt.challenge...))
		p.Expect("ACK")
		second := p.Expect("INVITE")
		if second.Get("CSeq") != "2 INVITE" || second.Get("Via") == first.Get("Via") || second.Get("Call-ID") != first.Get("Call-ID") ||
			second.Param("From", "tag") != first.Param("From", "tag") || second.Param("To", "tag") != "" {
			t.Errorf("%s: second attempt %v", tt.name, second)
		}
		got := second.All(tt.header)
		if len(got) != 1 {
			t.Errorf("%s: %d credentials", tt.name, len(got))
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(got[0], w) {
				t.Errorf("%s: no %s in %s", tt.name, w, got[0])
			}
		}
		// the second no is final, unless only the nonce was too old
		p.Send(second.Reply(tt.status, "x", "", strings.Replace(tt.challenge[0], "Digest ", "Digest stale=true, ", 1)))
		third := p.Expect("INVITE")
		if third.Get("CSeq") != "3 INVITE" || len(third.All(tt.header)) != 1 {
			t.Errorf("%s: third attempt %v", tt.name, third)
		}
		p.Send(third.Reply("200 OK", "x", siptest.SDP, "Contact: <sip:bob@"+p.Addr().String()+">"))
		if ack := p.Expect("ACK"); ack.Get(tt.header) != third.Get(tt.header) {
			t.Errorf("%s: the ACK carries %q", tt.name, ack.Get(tt.header))
		}
	}
}

// TestChallengedBye: requests inside the dialog are tried again too.
func TestChallengedBye(t *testing.T) {
	guard(t)
	a := run(t, Options{})
	p := siptest.New(t, a.Addr())
	out := a.dial(t, "sip:bob@"+p.Addr().String(), func(o *InviteOptions) { o.Username, o.Password = "u", "p" })
	p.Send(p.Expect("INVITE").Reply("200 OK", "x", siptest.SDP, "Contact: <sip:bob@"+p.Addr().String()+">"))
	want[Answered](t, out)
	must(t, out.Hangup(0))
	p.Send(p.Expect("BYE").Reply("407 Proxy Authentication Required", "", "", `Proxy-Authenticate: Digest realm="r", nonce="n"`))
	again := p.Expect("BYE")
	if again.Get("Proxy-Authorization") == "" || again.Get("CSeq") != "3 BYE" {
		t.Errorf("%v", again)
	}
	p.Send(again.Reply("200 OK", "", ""))
	ended(t, out, Local, 200, 16)
}

// TestNonces: whose they are, how old, how often.
func TestNonces(t *testing.T) {
	n, err := newNonces(time.Minute)
	must(t, err)
	now := time.Now()
	n.now = func() time.Time { return now }
	line := func(nonce, nc, password, algorithm string) []string {
		c := credentials{"u", password, realm, nonce, "INVITE", "sip:x", algorithm, "auth", "c", nc}
		r, _ := c.response()
		return []string{`Digest username="u", realm="` + realm + `", nonce="` + nonce + `", uri="sip:x", response="` + strings.ToUpper(r) + `", algorithm=` + algorithm + `, qop=auth, cnonce="c", nc=` + nc}
	}
	judge := func(lines []string, owner string) verdict { return n.judge(lines, "INVITE", owner, "u", "p") }
	nonce := n.make()
	for _, tt := range []struct {
		name  string
		lines []string
		owner string
		want  verdict
	}{
		{"good", line(nonce, "00000001", "p", "MD5"), "1", credentialsGood},
		{"the same INVITE asked about again", line(nonce, "00000001", "p", "MD5"), "1", credentialsGood},
		{"overheard and used again", line(nonce, "00000001", "p", "MD5"), "2", credentialsStale},
		{"the next count", line(nonce, "00000002", "p", "SHA-256"), "2", credentialsGood},
		{"wrong password", line(nonce, "00000003", "q", "MD5"), "3", credentialsBad},
		{"a nonce of somebody else", line(strings.Repeat("ab", 32), "00000001", "p", "MD5"), "3", credentialsBad},
		{"a nonce that is none", line("hello", "00000001", "p", "MD5"), "3", credentialsBad},
		{"no count", line(nonce, "x", "p", "MD5"), "3", credentialsStale},
		{"no credentials", nil, "3", credentialsBad},
		{"Basic", []string{"Basic dTpw"}, "3", credentialsBad},
		{"junk", []string{"Digest", "Digest ,,,=,\"", ""}, "3", credentialsBad},
	} {
		if got := judge(tt.lines, tt.owner); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	now = now.Add(2 * time.Minute)
	if got := judge(line(nonce, "00000009", "p", "MD5"), "4"); got != credentialsStale {
		t.Errorf("an old nonce: %v", got)
	}
	if lines := n.challengeLines(true); len(lines) != 2 || !strings.Contains(lines[0], "SHA-256") || !strings.HasSuffix(lines[1], "stale=true") {
		t.Errorf("%q", lines)
	}
	if judge(line(n.make(), "00000001", "p", "MD5"), "5") != credentialsGood || len(n.used) != 1 {
		t.Errorf("%d used nonces are kept", len(n.used))
	}
}

// TestStaleNonce: the challenge after an old nonce says so, and the call goes on.
func TestStaleNonce(t *testing.T) {
	guard(t)
	b := asking(t, "u", "p")
	clock := make(chan time.Duration, 1)
	clock <- 0
	b.nonces.now = func() time.Time { d := <-clock; clock <- d; return time.Now().Add(d) }
	c := caller(t, b, udp)
	c.Send(c.Request("INVITE", offer))
	first := c.Expect("401 INVITE")
	c.To += ";tag=" + first.Param("To", "tag")
	c.Send(c.Again("ACK", ""))
	c.To, _, _ = strings.Cut(c.To, ";tag=")
	<-clock
	clock <- time.Hour
	lines, _, err := authorize(401, first.All("WWW-Authenticate"), "u", "p", "INVITE", c.URI)
	must(t, err)
	c.Send(c.Request("INVITE", offer, lines...))
	second := c.Expect("401 INVITE")
	if !strings.Contains(second.Get("WWW-Authenticate"), "stale=true") {
		t.Errorf("%s", second.Get("WWW-Authenticate"))
	}
	lines, stale, err := authorize(401, second.All("WWW-Authenticate"), "u", "p", "INVITE", c.URI)
	if err != nil || !stale {
		t.Fatal(stale, err)
	}
	c.Send(c.Request("INVITE", offer, lines...))
	must(t, b.incoming(t).Reject(486, ""))
	c.Expect("486 INVITE")
}
