package sip

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// maxUDPRequest is the size above which a request leaves UDP where the URI leaves us the
// choice (RFC 3261 §18.1.1, path MTU unknown).
const maxUDPRequest = 1300

// tryTCP is how long such a request waits for a TCP connection before it goes by UDP.
const tryTCP = 2 * time.Second

// outgoing is a request that we want to make. It may take several attempts.
type outgoing struct {
	method string
	peer   *peer
	lines  []string // headers of its own
	sdp    []byte
	kind   string // of body, which is no description
	body   []byte
	auth   []string // Authorization and Proxy-Authorization
	hops   int      // Max-Forwards
	tried  int      // challenges answered
	// done gets the final response, once. res is nil when there was none: code is 408
	// after a timeout, 503 when it could not be sent.
	done func(c *call, code int, res *gosip.Response, e essentials)
	// progress gets provisional responses, may be nil.
	progress func(c *call, res *gosip.Response, e essentials)
}

// call is one attempt: a client transaction (RFC 3261 §17.1).
type call struct {
	o           *outgoing
	seq         uint32
	branch      string
	wire        []byte
	to          flow
	uri         string
	routes      []string
	via         string
	again       *alarm // timer A or E
	limit       *alarm // timer B or F
	wait        time.Duration
	provisional bool
	final       bool
	cancelled   bool
	counted     bool
	ack         []byte    // to a refusal of our INVITE
	acks        []sentAck // to its 2xx, one for each peer that sent one: rarely more than one
}

type sentAck struct {
	tag  string // of the peer
	wire []byte
	to   flow
}

func newBranch() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return cookie + hex.EncodeToString(b[:])
}

// start sends a request: a new CSeq, a new branch. What goes wrong comes through done,
// later.
func (d *Dialog) start(o *outgoing) *call {
	d.seq++
	c := &call{o: o, seq: d.seq, branch: newBranch(), wait: d.a.o.T1}
	d.calls = append(d.calls, c)
	d.a.waiting(1)
	c.counted = true
	if err := d.transmit(c); err != nil {
		d.a.log.Debug("sip: request not sent", "method", o.method, "call", d.callID, "error", err)
		d.post(input{run: func() { d.fail(c, 503) }})
		return c
	}
	if c.to.network == udp {
		c.again = d.after(c.wait, func() { d.resend(c) })
	}
	c.limit = d.after(64*d.a.o.T1, func() { d.fail(c, 408) })
	return c
}

// transmit finds the way and sends the request for the first time.
func (d *Dialog) transmit(c *call) error {
	f, free, err := d.wayTo(c.o.peer)
	if err != nil {
		return err
	}
	wire := d.write(c, f)
	if free && f.network == udp && len(wire) > maxUDPRequest {
		if f2, err := d.overTCP(c.o.peer); err == nil {
			f = f2
			wire = d.write(c, f)
		} // no TCP there: UDP with fragments is what is left
	}
	c.wire, c.to = wire, f
	d.stick(f)
	return d.a.send(f, wire)
}

// wayTo finds how to reach a peer: the first of its route set, or its contact. free
// tells that the URI does not demand a transport.
func (d *Dialog) wayTo(p *peer) (f flow, free bool, err error) {
	u := &p.target
	if len(p.routes) > 0 {
		u = &p.routes[0]
	}
	free = param(u.UriParams, "transport") == ""
	key := u.String()
	if p.hopKey == key && (p.hopFlow.conn == nil || p.hopFlow.conn.alive()) {
		return p.hopFlow, free, nil
	}
	network := udp
	if d.flow.network != "" {
		network = d.flow.network // contacts often leave ;transport=tcp out
	}
	h := hopOf(u, network)
	if f = d.flow; f.network != "" && f.network == h.network && d.sameWay(h) {
		p.hopKey, p.hopFlow = key, f
		return f, free, nil
	}
	ctx, cancel := d.a.bounded(min(64*d.a.o.T1, 2*dialTimeout))
	defer cancel()
	d.mu.Lock()
	if d.outbound && d.phase == phaseNew {
		d.abandon = cancel
	}
	d.mu.Unlock()
	f, err = d.a.reach(ctx, h)
	d.mu.Lock()
	d.abandon = nil
	d.mu.Unlock()
	if err == nil {
		p.hopKey, p.hopFlow = key, f
	}
	return f, free, err
}

// sameWay tells whether the flow that the peer was heard on is the way to this hop: an
// open connection to its host, or a peer that gives a private address from behind a
// translator, where nothing else leads.
func (d *Dialog) sameWay(h hop) bool {
	f := d.flow
	if f.conn != nil && !f.conn.alive() {
		return false
	}
	ip, err := parseIP(h.host)
	if err != nil {
		return false
	}
	if ip == f.at.Addr() {
		return f.network == tcp || h.port == int(f.at.Port())
	}
	return ip.IsPrivate() && !f.at.Addr().IsPrivate() && !f.at.Addr().IsLoopback()
}

func (d *Dialog) overTCP(p *peer) (flow, error) {
	u := &p.target
	if len(p.routes) > 0 {
		u = &p.routes[0]
	}
	ctx, cancel := d.a.bounded(tryTCP)
	defer cancel()
	return d.a.reach(ctx, hopOf(u, tcp))
}

// resend is timer A of an INVITE and timer E of any other request.
func (d *Dialog) resend(c *call) {
	if c.final {
		return
	}
	d.a.m.again.Inc()
	if err := d.a.send(c.to, c.wire); err != nil {
		d.fail(c, 503)
		return
	}
	c.wait *= 2
	if c.o.method != methodInvite {
		c.wait = min(c.wait, 8*d.a.o.T1) // T2
		if c.provisional {
			c.wait = 8 * d.a.o.T1 // RFC 3261 §17.1.2.2
		}
	}
	c.again = d.after(c.wait, func() { d.resend(c) })
}

// settle ends the waiting for a final response.
func (d *Dialog) settle(c *call) {
	c.final = true
	c.wire = nil // it is not sent again
	c.again.cancel()
	c.limit.cancel()
	if c.counted {
		c.counted = false
		d.a.waiting(-1)
	}
}

// fail ends a request that has no answer.
func (d *Dialog) fail(c *call, code int) {
	if c.final {
		return
	}
	d.settle(c)
	d.drop(c)
	c.o.done(c, code, nil, essentials{})
}

func (d *Dialog) drop(c *call) {
	c.ack, c.acks = nil, nil
	d.calls = slices.DeleteFunc(d.calls, func(o *call) bool { return o == c })
}

// onResponse gives a response to the request that it answers.
func (d *Dialog) onResponse(in input) {
	e := in.e
	at := slices.IndexFunc(d.calls, func(c *call) bool {
		return c.branch == e.branch && c.o.method == e.method && c.seq == e.seq
	})
	if at < 0 {
		if e.method == methodCancel && d.invite != nil && d.invite.branch == e.branch {
			return // the answer to a CANCEL that is over
		}
		d.a.m.reject(rejectStray)
		return
	}
	c := d.calls[at]
	code := in.res.StatusCode
	if code < 200 {
		d.provisional(c, in)
		return
	}
	if c.final {
		d.repeated(c, in)
		return
	}
	d.settle(c)
	if c.o.method == methodInvite {
		if code >= 300 {
			d.ackRefusal(c, in.res)
		}
		d.after(64*d.a.o.T1, func() { d.drop(c) }) // timers D and M
	} else {
		d.drop(c)
	}
	if (code == 401 || code == 407) && d.authenticate(c, in) {
		return
	}
	c.o.done(c, code, in.res, e)
}

func (d *Dialog) provisional(c *call, in input) {
	if c.final {
		return
	}
	c.provisional = true
	if c.o.method == methodInvite {
		// RFC 3261 §17.1.1.2: no more sending, and no limit: a phone may ring for long.
		c.again.cancel()
		c.limit.cancel()
		if c.cancelled {
			return
		}
	}
	if c.o.progress != nil {
		c.o.progress(c, in.res, in.e)
	}
}

// repeated handles a final response that comes again.
func (d *Dialog) repeated(c *call, in input) {
	d.a.m.repeated.Inc()
	switch {
	case c.o.method != methodInvite:
	case in.res.StatusCode < 300:
		if i := slices.IndexFunc(c.acks, func(s sentAck) bool { return s.tag == in.e.toTag }); i >= 0 {
			d.a.m.again.Inc()
			d.sendOr(c.acks[i].to, c.acks[i].wire, "ACK")
			return
		}
		c.o.done(c, in.res.StatusCode, in.res, in.e) // of another fork
	case c.ack != nil:
		d.a.m.again.Inc()
		d.sendOr(c.to, c.ack, "ACK")
	}
}

// ackRefusal acknowledges a refusal of our INVITE, in the same transaction
// (RFC 3261 §17.1.1.3).
func (d *Dialog) ackRefusal(c *call, res *gosip.Response) {
	var t text
	d.head(&t, methodAck, c, 0, oneLine(res.To().Value()))
	c.ack = t.body("", nil)
	d.sendOr(c.to, c.ack, "ACK")
}

// sendOr sends what nobody waits for: a fault is logged, the peer's timers mend it.
func (d *Dialog) sendOr(f flow, b []byte, what string) {
	if err := d.a.send(f, b); err != nil {
		d.a.log.Debug("sip: message not sent", "what", what, "call", d.callID, "error", err)
	}
}

// ackAnswer acknowledges a 2xx to our INVITE: a request of its own, with the INVITE's
// CSeq and credentials (RFC 3261 §13.2.2.4, §22.1).
func (d *Dialog) ackAnswer(c *call, p *peer) {
	f, _, err := d.wayTo(p)
	if err != nil {
		d.a.log.Debug("sip: ACK not sent", "call", d.callID, "error", err)
		return
	}
	ack := &call{o: &outgoing{method: methodAck, peer: p, auth: c.o.auth}, seq: c.seq, branch: newBranch()}
	wire := d.write(ack, f)
	c.acks = append(slices.DeleteFunc(c.acks, func(s sentAck) bool { return s.tag == p.tag }), sentAck{tag: p.tag, wire: wire, to: f})
	d.stick(f)
	d.sendOr(f, wire, "ACK")
}

// cancelCall sends CANCEL for an INVITE of ours that has had a provisional response; it
// waits for the first one (RFC 3261 §9.1).
func (d *Dialog) cancelCall(c *call, q850 int) {
	if c.final || c.cancelled || !c.provisional {
		return
	}
	c.cancelled = true
	var t text
	d.head(&t, methodCancel, c, 0, tagged(d.remote, c.o.peer.tag))
	if r := reasonHeader(q850); r != "" {
		t.line(r)
	}
	for _, l := range c.o.auth {
		t.line(l)
	}
	x := &call{seq: c.seq, branch: c.branch, wait: d.a.o.T1, wire: t.body("", nil), to: c.to, counted: true}
	x.o = &outgoing{method: methodCancel, peer: c.o.peer, done: func(*call, int, *gosip.Response, essentials) {}}
	d.calls = append(d.calls, x)
	d.a.waiting(1)
	d.sendOr(x.to, x.wire, "CANCEL")
	if x.to.network == udp {
		x.again = d.after(x.wait, func() { d.resend(x) })
	}
	x.limit = d.after(64*d.a.o.T1, func() { d.fail(x, 408) })
	c.limit = d.after(64*d.a.o.T1, func() { d.fail(c, 408) }) // the INVITE has no more to wait for
}

// authenticate tries a challenged request again with credentials: once, and once more
// when only the nonce was too old or a second element asks (RFC 3261 §22.2).
func (d *Dialog) authenticate(c *call, in input) bool {
	o := c.o
	if d.auth.username == "" || o.tried >= 3 || c.cancelled || o.method == methodCancel || o.method == methodInvite && d.hungUp {
		return false
	}
	name := "www-authenticate"
	if in.res.StatusCode == gosip.StatusProxyAuthRequired {
		name = "proxy-authenticate"
	}
	lines, stale, err := authorize(in.res.StatusCode, values(in.res, name), d.auth.username, d.auth.password, o.method, c.uri)
	if err != nil {
		d.a.log.Debug("sip: challenge not answered", "call", d.callID, "error", err)
		return false
	}
	header, _, _ := strings.Cut(lines[0], ":")
	sent := slices.ContainsFunc(o.auth, func(l string) bool { return strings.HasPrefix(l, header+":") })
	if sent && !stale {
		return false // the credentials are wrong
	}
	o.auth = slices.DeleteFunc(o.auth, func(l string) bool { return strings.HasPrefix(l, header+":") })
	o.auth = append(o.auth, lines...)
	o.tried++
	next := d.start(o)
	if d.invite == c {
		d.invite = next
	}
	return true
}

// bye ends a confirmed dialog on the wire (RFC 3261 §15.1.1).
func (d *Dialog) bye(p *peer, q850 int) {
	d.start(&outgoing{
		method: methodBye, peer: p, lines: []string{reasonHeader(q850)},
		done: func(_ *call, code int, _ *gosip.Response, _ essentials) {
			if code >= 300 {
				d.a.log.Debug("sip: BYE was not accepted", "call", d.callID, "code", code)
			}
		},
	})
}
