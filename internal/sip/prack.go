package sip

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// reliable is the state of reliable provisional responses to an inbound INVITE
// (RFC 3262 §3).
type reliable struct {
	demanded bool // Require: 100rel
	possible bool
	rseq     uint32
	sent     *reply // waits for its PRACK
	queue    []reply
	wire     []byte
	wait     time.Duration
	again    *alarm
	limit    *alarm
	answer   []byte // Answer waits for a PRACK
}

// blocksAnswer: no 2xx while a reliable response with a description is not
// acknowledged (RFC 3262 §3).
func (r *reliable) blocksAnswer() bool { return r.sent != nil && len(r.sent.sdp) > 0 }

func (r *reliable) stop() {
	r.again.cancel()
	r.limit.cancel()
	r.sent, r.queue = nil, nil
}

// reliably sends a provisional response so that it is acknowledged, when the caller
// demands it, or can and the response carries a description. It reports whether the
// response was taken care of.
func (d *Dialog) reliably(v *invited, p reply) bool {
	r := &d.reliable
	if !r.possible || !r.demanded && len(p.sdp) == 0 {
		return false
	}
	if !v.hasOffer {
		// RFC 3262 §5: the first reliable response would have to carry our offer, which
		// is for Answer to make. A caller that takes nothing else hears nothing until then.
		return r.demanded
	}
	if r.sent != nil {
		r.queue = append(r.queue, p) // one at a time
		return true
	}
	if r.rseq == 0 {
		r.rseq = 1 + rand.Uint32N(1<<30)
	} else {
		r.rseq++
	}
	p.lines = append(p.lines, "Require: 100rel", "RSeq: "+strconv.FormatUint(uint64(r.rseq), 10))
	r.sent = &p
	r.wait = d.a.o.T1
	d.respond(v, p)
	r.wire = v.wire
	r.again = d.after(r.wait, func() { d.repeatReliable(v) })
	r.limit = d.after(64*d.a.o.T1, func() { d.noPrack(v) })
	return true
}

func (d *Dialog) repeatReliable(v *invited) {
	r := &d.reliable
	if r.sent == nil || v.code != 0 {
		return
	}
	d.a.m.again.Inc()
	d.sendOr(v.to, r.wire, "reliable response")
	r.wait *= 2
	r.again = d.after(r.wait, func() { d.repeatReliable(v) })
}

// noPrack gives the call up (RFC 3262 §3: a 5xx).
func (d *Dialog) noPrack(v *invited) {
	if v.code != 0 || d.reliable.sent == nil {
		return
	}
	d.finalRefusal(v, 504, phraseOf(504), nil)
	d.end(Ended{By: Timeout, Code: 504, Q850: causeTimeout, Reason: "no PRACK to a provisional response"})
}

// onPrack takes the acknowledgement of a reliable response.
func (d *Dialog) onPrack(in input) {
	r := &d.reliable
	f := strings.Fields(value(in.req, "rack"))
	v := d.initial
	if v == nil || r.rseq == 0 || len(f) != 3 ||
		f[0] != strconv.FormatUint(uint64(r.rseq), 10) || f[1] != strconv.FormatUint(uint64(v.e.seq), 10) || !strings.EqualFold(f[2], methodInvite) {
		d.a.m.reject(rejectUnknown)
		d.serve(in, reply{code: 481, reason: phraseOf(481)})
		return
	}
	if body, _ := bodyOf(in.req); len(body) > 0 {
		// A second offer in PRACK (RFC 3262 §5): refused, the first exchange stands.
		d.serve(in, reply{code: 488, reason: phraseOf(488)})
	} else {
		d.serve(in, reply{code: 200, reason: "OK"})
	}
	if r.sent == nil {
		return // it was waiting no more: the final response overtook it (RFC 3262 §3)
	}
	r.sent = nil
	r.again.cancel()
	r.limit.cancel()
	if r.answer != nil {
		sdp := r.answer
		r.answer = nil
		d.answer(sdp)
		return
	}
	if len(r.queue) > 0 {
		next := r.queue[0]
		r.queue = r.queue[1:]
		d.reliably(v, next)
	}
}

// acknowledge sends PRACK for a reliable response to our INVITE (RFC 3262 §4). It
// reports whether the response is a new one in its order.
func (d *Dialog) acknowledge(c *call, p *peer, res *gosip.Response) bool {
	n, err := strconv.ParseUint(strings.TrimSpace(value(res, "rseq")), 10, 32)
	if err != nil || n == 0 {
		d.a.m.reject(rejectMalformed)
		return false
	}
	rseq := uint32(n)
	if p.rseq != 0 && rseq != p.rseq+1 {
		return false // again, or one before it is missing: the peer sends both again
	}
	p.rseq = rseq
	d.start(&outgoing{
		method: methodPrack, peer: p,
		lines: []string{"RAck: " + strconv.FormatUint(n, 10) + " " + strconv.FormatUint(uint64(c.seq), 10) + " " + methodInvite},
		done: func(_ *call, code int, _ *gosip.Response, _ essentials) {
			if code >= 300 {
				d.a.log.Debug("sip: PRACK was not accepted", "call", d.callID, "code", code)
			}
		},
	})
	return true
}
