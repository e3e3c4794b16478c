package siptest

import (
	"fmt"
	"net/netip"
	"strings"
)

// SDP is a description that any audio peer takes.
const SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

// Caller keeps what the requests of one call have in common, so that a test writes
// only what it is about.
type Caller struct {
	*Peer
	Target  netip.AddrPort // of the agent under test
	CallID  string
	From    string // From value, tag included
	To      string // To value; the tag is added by Learn
	Contact string
	URI     string // request-URI; replaced by the peer's Contact in Learn
	Via     string // transport of the Via: UDP or TCP
	Seq     int
	branch  int
}

// NewCaller makes a caller of "1000" at the target.
func NewCaller(p *Peer, target netip.AddrPort, id string) *Caller {
	c := &Caller{Peer: p, Target: target, CallID: id, Via: "UDP", Seq: 0}
	if p.tcp != nil {
		c.Via = "TCP"
	}
	c.URI = "sip:1000@" + target.String()
	c.To = "<" + c.URI + ">"
	c.From = `"A. Caller" <sip:alice@` + p.Addr().String() + ">;tag=from-" + id
	c.Contact = "<sip:alice@" + p.Addr().String() + ">"
	return c
}

// Request writes a request with a new branch and, but for ACK and CANCEL, a new CSeq.
func (c *Caller) Request(method, body string, extra ...string) string {
	if method != "ACK" && method != "CANCEL" {
		c.Seq++
	}
	if method != "CANCEL" {
		c.branch++
	}
	return c.Again(method, body, extra...)
}

// Again writes a request with the last branch and CSeq.
func (c *Caller) Again(method, body string, extra ...string) string {
	headers := []string{
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bK-%s-%d;rport", c.Via, c.Addr(), c.CallID, c.branch),
		"Max-Forwards: 70",
		"From: " + c.From,
		"To: " + c.To,
		"Call-ID: " + c.CallID,
		fmt.Sprintf("CSeq: %d %s", c.Seq, method),
		"Contact: " + c.Contact,
	}
	return Request(method+" "+c.URI+" SIP/2.0", body, append(headers, extra...)...)
}

// Learn takes To tag and Contact out of a response, for what follows in the dialog.
func (c *Caller) Learn(m Message) {
	if tag := m.Param("To", "tag"); tag != "" && !strings.Contains(c.To, ";tag=") {
		c.To += ";tag=" + tag
	}
	if uri := m.URI("Contact"); uri != "" {
		c.URI = uri
	}
}

// Call sends an INVITE with SDP, waits for the 200 and acknowledges it.
func (c *Caller) Call(extra ...string) Message {
	c.t.Helper()
	c.Send(c.Request("INVITE", SDP, extra...))
	ok := c.Expect("200 INVITE")
	c.Learn(ok)
	c.Send(c.Request("ACK", ""))
	return ok
}
