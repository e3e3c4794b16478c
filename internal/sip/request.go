package sip

import (
	"fmt"
	"strconv"

	gosip "github.com/emiago/sipgo/sip"
)

// write makes the request's bytes for a way.
func (d *Dialog) write(c *call, f flow) []byte {
	o := c.o
	own := hostPort(d.a.own(f.at.Addr()))
	uri, routes := o.peer.address()
	c.uri = uri
	c.via = "Via: SIP/2.0/" + upper(f.network) + " " + own + ";branch=" + c.branch + ";rport"
	c.routes = c.routes[:0]
	for _, r := range routes {
		c.routes = append(c.routes, "Route: <"+r+">")
	}
	var t text
	t.Grow(768 + len(o.sdp))
	d.head(&t, o.method, c, o.hops, tagged(d.remote, o.peer.tag))
	if o.method == methodInvite || o.method == methodUpdate {
		t.line("Contact: ", d.contact(f))
		t.line(allowLine)
		t.line(supportedLine)
	}
	for _, l := range o.lines {
		if l != "" {
			t.line(l)
		}
	}
	for _, l := range o.auth {
		t.line(l)
	}
	t.line("User-Agent: ", d.a.o.UserAgent)
	if o.kind != "" {
		return t.body(o.kind, o.body)
	}
	return t.body(sdpType, o.sdp)
}

// head writes the start line and the headers that every request of ours has.
func (d *Dialog) head(t *text, method string, c *call, hops int, to string) {
	if hops == 0 {
		hops = 70
	}
	t.line(method, " ", c.uri, " SIP/2.0")
	t.line(c.via)
	for _, r := range c.routes {
		t.line(r)
	}
	t.line("Max-Forwards: ", strconv.Itoa(hops))
	t.line("From: ", tagged(d.local, d.tag))
	t.line("To: ", to)
	t.line("Call-ID: ", d.callID)
	t.line("CSeq: ", strconv.FormatUint(uint64(c.seq), 10), " ", method)
}

func tagged(nameAddr, tag string) string {
	if tag == "" {
		return nameAddr
	}
	return nameAddr + ";tag=" + tag
}

// contact is our URI for the peer at the other end of a flow.
func (d *Dialog) contact(f flow) string {
	c := "<sip:" + hostPort(d.a.own(f.at.Addr()))
	if f.network == tcp {
		c += ";transport=tcp"
	}
	return c + ">"
}

// address gives request-URI and Route values (RFC 3261 §12.2.1.1, strict routers too).
func (p *peer) address() (string, []string) {
	bare := func(u gosip.Uri) string {
		u.Headers = nil
		return oneLine(u.String())
	}
	if len(p.routes) == 0 {
		return bare(p.target), nil
	}
	routes := make([]string, 0, len(p.routes)+1)
	if _, loose := lookup(p.routes[0].UriParams, "lr"); loose {
		for _, r := range p.routes {
			routes = append(routes, bare(r))
		}
		return bare(p.target), routes
	}
	for _, r := range p.routes[1:] {
		routes = append(routes, bare(r))
	}
	return bare(p.routes[0]), append(routes, bare(p.target))
}

// nameAddr writes a name-addr: "display" <uri>.
func nameAddr(display, uri string) string {
	if display == "" {
		return fmt.Sprintf("<%s>", uri)
	}
	return quote(display) + " <" + uri + ">"
}
