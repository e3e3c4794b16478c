package sip

import (
	"slices"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// served is the answer to an in-dialog request, kept for its retransmissions.
type served struct {
	branch, method string
	seq            uint32
	wire           []byte
	to             flow
}

// maxServed bounds how many are kept: a peer has one or two on their way.
const maxServed = 8

// onRequest handles a request that belongs to this dialog.
func (d *Dialog) onRequest(in input) {
	method := string(in.req.Method)
	switch method {
	case methodAck:
		d.onAck(in)
		return
	case methodCancel:
		d.onCancel(in)
		return
	case methodInvite:
		if d.initial == nil && !d.outbound {
			d.begin(in)
			return
		}
		if d.seenInvite(in) {
			return
		}
	}
	if d.seen(in) || d.foreign(in) {
		return
	}
	if refused := d.outOfOrder(in); refused {
		return
	}
	switch method {
	case methodInvite:
		d.onReinvite(in)
	case methodBye:
		d.onBye(in)
	case methodUpdate:
		d.onUpdate(in)
	case methodPrack:
		d.onPrack(in)
	case methodInfo:
		d.onInfo(in)
	case methodOptions:
		d.serve(in, d.a.capabilities())
	default:
		d.a.m.reject(rejectMethod)
		d.serve(in, reply{code: 405, reason: "Method Not Allowed", lines: []string{allowLine}})
	}
}

// seenInvite answers a retransmitted INVITE, and refuses one that came by two paths.
func (d *Dialog) seenInvite(in input) bool {
	for _, v := range d.invites {
		if v.update || v.e.seq != in.e.seq {
			continue
		}
		if v.e.branch != in.e.branch {
			if in.e.toTag == "" {
				d.a.m.reject(rejectMerged)
				d.a.stateless(in.req, in.from, reply{code: 482, reason: "Loop Detected"}) // RFC 3261 §8.2.2.2
				return true
			}
			return false
		}
		d.a.m.repeated.Inc()
		// RFC 6026 §7.1: once a 2xx was sent it has its own timer; before that, and for
		// a refusal, the last response goes again.
		if v.wire != nil && (v.code < 200 || v.code >= 300) {
			d.a.m.again.Inc()
			d.sendReply(v)
		}
		return true
	}
	return false
}

// seen answers a retransmission with what was answered before.
func (d *Dialog) seen(in input) bool {
	for _, s := range d.served {
		if s.branch == in.e.branch && s.method == in.e.method && s.seq == in.e.seq {
			d.a.m.repeated.Inc()
			d.sendOr(s.to, s.wire, "response")
			return true
		}
	}
	if u := d.updates; u != nil && u.e.branch == in.e.branch && u.e.seq == in.e.seq && in.e.method == methodUpdate {
		d.a.m.repeated.Inc()
		return true // its reply is still to come
	}
	return false
}

// foreign refuses a request whose From tag is not that of the dialog's other end.
func (d *Dialog) foreign(in input) bool {
	if d.peer != nil && d.peer.tag == in.e.fromTag {
		return false
	}
	if f := d.forks[in.e.fromTag]; f != nil && d.peer == nil && in.e.method != methodBye && in.e.method != methodInvite {
		return false // an early dialog of ours
	}
	if d.forks[in.e.fromTag] != nil && in.e.method == methodBye {
		// A fork that lost and hangs up by itself, or gives up while it rings.
		d.serve(in, reply{code: 200, reason: "OK"})
		return true
	}
	d.a.refuseUnknown(in)
	return true
}

// outOfOrder keeps the CSeq of the peer rising (RFC 3261 §12.2.2).
func (d *Dialog) outOfOrder(in input) bool {
	p := d.peer
	if p == nil || p.tag != in.e.fromTag {
		p = d.forks[in.e.fromTag]
	}
	if p.hasSeq && in.e.seq <= p.seq {
		d.a.m.reject(rejectOrder)
		d.a.sendStateful(in, d.tag, reply{code: 500, reason: "CSeq Out Of Order"})
		return true
	}
	p.seq, p.hasSeq = in.e.seq, true
	return false
}

// serve answers an in-dialog request that is not an INVITE, and keeps the answer.
func (d *Dialog) serve(in input, r reply) {
	r.tag = d.tag
	s := &served{branch: in.e.branch, method: in.e.method, seq: in.e.seq, to: replyTo(in.e.via, in.from)}
	s.wire = d.a.response(in.req, in.from, r)
	d.served = append(d.served, s)
	if len(d.served) > maxServed {
		d.served = slices.Delete(d.served, 0, 1)
	}
	d.sendOr(s.to, s.wire, "response")
}

// onBye ends the dialog (RFC 3261 §15.1.2).
func (d *Dialog) onBye(in input) {
	if d.byed {
		d.a.refuseUnknown(in) // RFC 3261 §15.1.2: the dialog ended with the first one
		return
	}
	d.byed = true
	d.serve(in, reply{code: 200, reason: "OK"})
	if d.initial != nil {
		d.grant(true)
	}
	for _, v := range d.invites {
		switch {
		case v.code == 0 && !v.update: // every pending request gets 487
			d.finalRefusal(v, 487, phraseOf(487), nil)
		case v.code >= 200 && v.code < 300 && !v.acked:
			// It knows of our answer, so the answer need not be sent again.
			v.acked = true
			v.again.cancel()
			v.limit.cancel()
		}
	}
	if d.ended {
		d.hungUp = false // our own BYE crossed it, or need not be sent any more
		return
	}
	code := 200
	if d.state == stateInvited {
		code = 487
	}
	q, text := readReason(in.req)
	if q == 0 {
		q = causeNormal
	}
	d.end(Ended{By: Remote, Code: code, Q850: q, Reason: text})
}

// onReinvite handles a new offer by INVITE (RFC 3261 §14.2).
func (d *Dialog) onReinvite(in input) {
	if d.ended || d.state == stateEnded {
		d.a.refuseUnknown(in)
		return
	}
	if refused := d.screenOffer(in); refused.code != 0 {
		d.a.m.reject(refused.why)
		if len(d.invites) > 2*maxInvites {
			d.a.sendStateful(in, d.tag, refused.reply)
			return
		}
		d.finalRefusal(d.newInvited(in), refused.code, refused.reason, refused.lines)
		return
	}
	d.withdrawOffer()
	v := d.newInvited(in)
	d.stick(in.from)
	d.respond(v, reply{code: 100, reason: "Trying"})
	body, _ := bodyOf(in.req)
	d.heard = body
	d.setOffered(true)
	d.emit(Offered{SDP: body})
}

// screenOffer refuses an offer that cannot be looked at now.
func (d *Dialog) screenOffer(in input) badRequest {
	for _, v := range d.invites {
		if v.code == 0 {
			return badRequest{reply{code: 500, reason: "Server Internal Error", lines: []string{soon()}}, rejectOrder}
		}
	}
	switch {
	case d.updates != nil:
		return badRequest{reply{code: 500, reason: "Server Internal Error", lines: []string{soon()}}, rejectOrder}
	case d.invite != nil && !d.invite.final:
		return badRequest{reply{code: 491, reason: "Request Pending"}, rejectOrder}
	}
	for _, v := range d.invites {
		if v.code < 200 || v.code >= 300 || v.acked || v.gaveUp {
			continue
		}
		if !v.hasOffer { // its answer, in the ACK, is still to come
			return badRequest{reply{code: 491, reason: "Request Pending"}, rejectOrder}
		}
		// The peer has our answer, or it would not go on: the ACK was lost, or comes
		// behind (RFC 5407 §3.1.4).
		v.acked = true
		v.again.cancel()
		v.limit.cancel()
		d.confirmed(v, input{})
	}
	if bad := badExtensions(in.req); bad.code != 0 {
		return bad
	}
	return d.screenSession(in.req)
}

// withdrawOffer: the peer's offer came before ours could be tried again.
func (d *Dialog) withdrawOffer() {
	if d.glare == nil && d.wantOffer == nil {
		return
	}
	d.glare.cancel()
	d.glare, d.wantOffer = nil, nil
	if d.refreshing {
		d.refreshing = false
		return
	}
	d.setReoffered(false)
	d.emit(ReofferFailed{Code: 491})
}

// onUpdate handles UPDATE: a session refresh, a new target, or an offer (RFC 3311 §5.2).
func (d *Dialog) onUpdate(in input) {
	if d.ended {
		d.a.refuseUnknown(in)
		return
	}
	body, _ := bodyOf(in.req)
	if len(body) == 0 {
		if bad := badExtensions(in.req); bad.code != 0 {
			d.serve(in, bad.reply)
			return
		}
		if bad := d.screenSession(in.req); bad.code != 0 {
			d.serve(in, bad.reply)
			return
		}
		d.retarget(in.req)
		d.serve(in, reply{code: 200, reason: "OK", lines: d.dialogLines(in.from, d.refreshed(in.req)...)})
		return
	}
	if d.state != stateConfirmed {
		// The offer of the INVITE has no answer yet (RFC 3311 §5.2).
		d.a.m.reject(rejectOrder)
		d.serve(in, reply{code: 500, reason: "Server Internal Error", lines: []string{soon()}})
		return
	}
	if refused := d.screenOffer(in); refused.code != 0 {
		d.a.m.reject(refused.why)
		d.serve(in, refused.reply)
		return
	}
	d.withdrawOffer()
	d.updates = &invited{req: in.req, e: in.e, from: in.from, to: replyTo(in.e.via, in.from), hasOffer: true, update: true}
	d.heard = body
	d.setOffered(true)
	d.emit(Offered{SDP: body})
}

// retarget takes the peer's new Contact (RFC 3261 §12.2.2).
func (d *Dialog) retarget(m message) {
	if u := contactOf(m); u != nil && d.peer != nil {
		d.peer.target = *u
	}
	if len(values(m, "allow")) > 0 && d.peer != nil {
		d.peer.update = has(m, methodUpdate, "allow")
	}
}

// replyOffer is AcceptOffer and RefuseOffer on the dialog's goroutine.
func (d *Dialog) replyOffer(code int, sdp []byte) {
	if u := d.updates; u != nil {
		d.updates = nil
		in := input{req: u.req, e: u.e, from: u.from}
		if code >= 300 {
			d.serve(in, reply{code: code, reason: phraseOf(code)})
			return
		}
		d.retarget(u.req)
		d.sdp = sdp
		d.serve(in, reply{code: 200, reason: "OK", sdp: sdp, lines: d.dialogLines(u.from, d.refreshed(u.req)...)})
		return
	}
	at := slices.IndexFunc(d.invites, func(v *invited) bool { return v.code == 0 && v != d.initial })
	if at < 0 || d.ended {
		return // cancelled, or over
	}
	v := d.invites[at]
	if code >= 300 {
		d.finalRefusal(v, code, phraseOf(code), nil)
		return
	}
	d.retarget(v.req)
	d.sdp = sdp
	d.accept(v, reply{code: 200, reason: "OK", sdp: sdp, lines: d.dialogLines(v.from, d.refreshed(v.req)...)})
}

// demandsTimer: the peer knows session timers.
func demandsTimer(req *gosip.Request) bool {
	return has(req, "timer", "supported", "k") || has(req, "timer", "require")
}

// refresherOf reads the refresher parameter of a Session-Expires.
func refresherOf(params string) string {
	for _, p := range splitQuoted(params, ';') {
		k, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(k), "refresher") {
			return strings.ToLower(strings.TrimSpace(v))
		}
	}
	return ""
}
