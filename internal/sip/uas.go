package sip

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// invited is an INVITE that we got, first or re-: a server transaction, and the 2xx
// that the core sends again (RFC 3261 §17.2.1, §13.3.1.4). An UPDATE with an offer is
// kept as one too, until its reply.
type invited struct {
	req      *gosip.Request
	e        essentials
	from     flow
	to       flow // where responses go
	hasOffer bool
	update   bool
	code     int    // of the final response; 0 while there is none
	wire     []byte // last response
	acked    bool
	gaveUp   bool // no ACK came in time
	again    *alarm
	limit    *alarm
	wait     time.Duration
}

// newInbound makes the dialog of an inbound INVITE.
func newInbound(a *Agent, in input) *Dialog {
	req := in.req
	body, _ := bodyOf(req)
	d := &Dialog{a: a, callID: in.e.callID, tag: newTag(), authLine: values(req, "authorization"), cause: causeNormal}
	from, to := req.From(), req.To()
	d.remote = nameAddr(unescape(from.DisplayName), oneLine(from.Address.String()))
	d.local = nameAddr(unescape(to.DisplayName), oneLine(to.Address.String()))
	d.request = Request{
		CallID: in.e.callID, FromUser: userOf(&from.Address), FromName: unescape(from.DisplayName), FromURI: from.Address.String(),
		ToUser: userOf(&to.Address), URIUser: userOf(&req.Recipient), Source: in.from.at, Transport: in.from.network,
		UserAgent: value(req, "user-agent"), SDP: body, MaxForwards: 70,
	}
	if m := req.MaxForwards(); m != nil {
		d.request.MaxForwards = int(min(m.Val(), 255))
	}
	p := &peer{tag: in.e.fromTag, target: *contactOf(req), routes: recordRoute(req), seq: in.e.seq, hasSeq: true}
	p.update = has(req, methodUpdate, "allow")
	d.peer = p
	return d
}

// unescape takes the backslashes off a display name, which the parser leaves in.
func unescape(s string) string { return unquote(`"` + s + `"`) }

// begin handles the INVITE that made the dialog.
func (d *Dialog) begin(in input) {
	v := d.newInvited(in)
	d.initial = v
	d.heard = d.request.SDP
	d.stick(in.from)
	d.reliable.demanded = has(in.req, "100rel", "require")
	d.reliable.possible = d.reliable.demanded || has(in.req, "100rel", "supported", "k")
	d.offerSession(in.req)
	// At once: it quiets the caller, and needs no timer (RFC 3261 §17.2.1).
	d.respond(v, reply{code: 100, reason: "Trying"})
	if expires, _, ok := seconds(in.req, "expires"); ok && expires > 0 {
		d.after(d.real(expires), func() { d.expire(v) })
	}
	if d.a.o.OnInvite == nil {
		d.refuse(480, 0, phraseOf(480), nil)
		return
	}
	d.a.o.OnInvite(d)
}

// maxInvites bounds the INVITEs that a dialog remembers, unless more are in progress.
const maxInvites = 4

// over: nothing more is to be done for it.
func (v *invited) over() bool { return v.code >= 200 && (v.acked || v.gaveUp) }

func (d *Dialog) newInvited(in input) *invited {
	body, _ := bodyOf(in.req)
	v := &invited{req: in.req, e: in.e, from: in.from, to: replyTo(in.e.via, in.from), hasOffer: len(body) > 0, wait: d.a.o.T1}
	if len(d.invites) >= maxInvites {
		if old := slices.IndexFunc(d.invites, (*invited).over); old >= 0 {
			d.invites = slices.Delete(d.invites, old, old+1)
		}
	}
	d.invites = append(d.invites, v)
	return v
}

// expire: the caller wants no answer after its Expires (RFC 3261 §13.3.1).
func (d *Dialog) expire(v *invited) {
	d.grant(true)
	if v.code != 0 {
		return
	}
	d.finalRefusal(v, 487, phraseOf(487), nil)
	d.end(Ended{By: Timeout, Code: 487, Q850: causeNoAnswer, Reason: "the INVITE expired"})
}

// respond sends a response to an INVITE and keeps it for retransmissions.
func (d *Dialog) respond(v *invited, r reply) {
	r.tag = d.tag
	v.wire = d.a.response(v.req, v.from, r)
	d.sendReply(v)
}

// sendReply sends the last response. When the TCP connection of the request is gone,
// another is made to where the peer says that it listens (RFC 3261 §18.2.2).
func (d *Dialog) sendReply(v *invited) {
	err := d.a.send(v.to, v.wire)
	if err == nil {
		return
	}
	if v.to.network == tcp && v.code >= 200 {
		ctx, cancel := d.a.bounded(dialTimeout)
		defer cancel()
		port := v.e.via.Port
		if port <= 0 || port > 65535 {
			port = 5060
		}
		c, derr := d.a.conns.dial(ctx, netip.AddrPortFrom(v.from.at.Addr(), uint16(port)))
		if derr == nil {
			v.to.conn, v.to.at = c, c.at
			err = d.a.send(v.to, v.wire)
		}
	}
	if err != nil {
		d.a.log.Debug("sip: response not sent", "call", d.callID, "error", err)
	}
}

// dialogLines are the headers of a response that makes or refreshes a dialog.
func (d *Dialog) dialogLines(f flow, more ...string) []string {
	return append([]string{"Contact: " + d.contact(f), allowLine, supportedLine}, more...)
}

// progress is Progress on the dialog's goroutine.
func (d *Dialog) progress(code int, sdp []byte) {
	v := d.initial
	if v == nil || v.code != 0 {
		return
	}
	r := reply{code: code, reason: "Ringing", sdp: sdp, lines: d.dialogLines(v.from)}
	if code != 180 {
		r.reason = "Session Progress"
	}
	if d.reliably(v, r) {
		return
	}
	d.respond(v, r)
}

// grant gives out the 2xx that Answer promised, if it did. A request of the caller that
// gives up (last) may have come first, but whoever called Answer takes the call for
// answered: the 2xx goes out, and stands (RFC 3261 §9.2). If nobody promised anything,
// Answer fails from here on.
func (d *Dialog) grant(last bool) {
	d.mu.Lock()
	sdp := d.granted
	d.granted = nil
	if last && d.phase == phaseNew {
		d.phase = phaseClosing
	}
	d.mu.Unlock()
	if sdp != nil {
		d.answer(sdp)
	}
}

// answer is Answer on the dialog's goroutine.
func (d *Dialog) answer(sdp []byte) {
	v := d.initial
	if v == nil || v.code != 0 {
		return // cancelled meanwhile: Ended was raised
	}
	if d.reliable.blocksAnswer() {
		d.reliable.answer = sdp
		return
	}
	d.reliable.stop()
	d.state = stateConfirmed
	d.sdp = sdp
	d.accept(v, reply{code: 200, reason: "OK", sdp: sdp, lines: d.dialogLines(v.from, d.grantSession()...)})
}

// accept sends a 2xx to an INVITE, again and again until the ACK comes, whatever the
// transport (RFC 3261 §13.3.1.4).
func (d *Dialog) accept(v *invited, r reply) {
	v.code = r.code
	d.respond(v, r)
	v.again = d.after(v.wait, func() { d.repeat(v) })
	v.limit = d.after(64*d.a.o.T1, func() { d.noAck(v) })
}

// repeat sends a final response again: T1 doubling up to T2.
func (d *Dialog) repeat(v *invited) {
	if v.acked || v.gaveUp {
		return
	}
	d.a.m.again.Inc()
	d.sendReply(v)
	v.wait = min(2*v.wait, 8*d.a.o.T1)
	v.again = d.after(v.wait, func() { d.repeat(v) })
}

// noAck: 64·T1 passed without an ACK to our 2xx. The dialog is there, so a BYE ends it.
func (d *Dialog) noAck(v *invited) {
	if v.acked {
		return
	}
	v.gaveUp = true
	v.again.cancel()
	if d.state == stateConfirmed || d.hungUp {
		d.hungUp = false
		d.bye(d.peer, causeTimeout)
	}
	d.end(Ended{By: Timeout, Code: 408, Q850: causeTimeout, Reason: "no ACK to the answer"})
}

// refuse sends the final refusal of the first INVITE and ends the dialog.
func (d *Dialog) refuse(code, q850 int, reason string, lines []string) {
	v := d.initial
	if v == nil || v.code != 0 {
		return
	}
	d.finalRefusal(v, code, reason, lines)
	if q850 == 0 {
		q850 = StatusQ850(code)
	}
	d.end(Ended{By: Local, Code: code, Q850: q850, Reason: reason})
}

// finalRefusal sends a refusal of an INVITE; over UDP again until the ACK comes
// (RFC 3261 §17.2.1, timers G and H).
func (d *Dialog) finalRefusal(v *invited, code int, reason string, lines []string) {
	v.code = code
	d.reliable.stop()
	d.respond(v, reply{code: code, reason: reason, lines: lines})
	if v.to.network == udp {
		v.again = d.after(v.wait, func() { d.repeat(v) })
	}
	v.limit = d.after(64*d.a.o.T1, func() { v.gaveUp = true; v.again.cancel() })
}

// onAck takes the ACK to a final response of ours.
func (d *Dialog) onAck(in input) {
	at := slices.IndexFunc(d.invites, func(v *invited) bool { return v.e.seq == in.e.seq && v.code >= 200 })
	if at < 0 {
		d.a.m.reject(rejectUnknown)
		return
	}
	v := d.invites[at]
	if v.acked {
		d.a.m.repeated.Inc()
		return
	}
	v.acked = true
	v.again.cancel()
	v.limit.cancel()
	if v.code >= 300 {
		return
	}
	v.req, v.wire, v.e.via = nil, nil, nil // a call may last for hours, and nothing of it is asked for again
	d.confirmed(v, in)
}

// confirmed: the exchange of a 2xx is complete.
func (d *Dialog) confirmed(v *invited, in input) {
	if d.hungUp {
		d.hungUp = false
		d.bye(d.peer, d.cause)
		return
	}
	if d.ended {
		return
	}
	var sdp []byte
	if !v.hasOffer && in.req != nil {
		sdp, _ = bodyOf(in.req)
	}
	if len(sdp) > 0 {
		d.heard = sdp
	}
	if v == d.initial || !v.hasOffer {
		d.emit(Confirmed{SDP: sdp})
	}
	if d.wantOffer != nil {
		offer := d.wantOffer
		d.wantOffer = nil
		d.reoffer(offer)
	}
}

// onCancel takes a CANCEL: it ends an INVITE that has no final response yet
// (RFC 3261 §9.2).
func (d *Dialog) onCancel(in input) {
	at := slices.IndexFunc(d.invites, func(v *invited) bool {
		return !v.update && v.e.seq == in.e.seq && v.e.branch == in.e.branch
	})
	if at < 0 {
		d.a.refuseUnknown(in)
		return
	}
	v := d.invites[at]
	d.a.sendStateful(in, d.tag, reply{code: 200, reason: "OK"})
	if v == d.initial {
		d.grant(true)
	}
	if v.code != 0 {
		return // too late; our final response stands
	}
	if v != d.initial {
		d.setOffered(false) // before the peer knows
	}
	d.finalRefusal(v, 487, phraseOf(487), nil)
	if v != d.initial {
		return
	}
	q, text := readReason(in.req)
	if q == 0 {
		q = causeNormal
	}
	d.end(Ended{By: Remote, Code: 487, Q850: q, Reason: text})
}

// sendStateful answers a request with the dialog's tag.
func (a *Agent) sendStateful(in input, tag string, r reply) {
	r.tag = tag
	if err := a.send(replyTo(in.e.via, in.from), a.response(in.req, in.from, r)); err != nil {
		a.log.Debug("sip: answer not sent", "code", r.code, "error", err)
	}
}

// soon is a Retry-After of 0 to 10 seconds (RFC 3261 §14.2).
func soon() string { return "Retry-After: " + strconv.Itoa(rand.IntN(11)) }
