package sip

import (
	"bytes"
	"math/rand/v2"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// reoffer is Reoffer on the dialog's goroutine.
func (d *Dialog) reoffer(sdp []byte) {
	switch {
	case d.ended:
	case d.peerOffers():
		d.reofferFailed(491) // its offer was first; ours may not fit any more
	case d.unacked():
		d.wantOffer = sdp // RFC 3261 §14.1: no new INVITE before the first is done
	case d.invite != nil && !d.invite.final || d.glare != nil:
		d.wantOffer = sdp // a session refresh is on its way
	default:
		d.reinvite(sdp, false)
	}
}

// peerOffers: an offer of the peer waits for our reply.
func (d *Dialog) peerOffers() bool {
	if d.updates != nil {
		return true
	}
	for _, v := range d.invites {
		if v.code == 0 {
			return true
		}
	}
	return false
}

// unacked: a 2xx of ours waits for its ACK.
func (d *Dialog) unacked() bool {
	for _, v := range d.invites {
		if v.code >= 200 && v.code < 300 && !v.acked && !v.gaveUp {
			return true
		}
	}
	return false
}

func (d *Dialog) reofferFailed(code int) {
	d.setReoffered(false)
	d.emit(ReofferFailed{Code: code})
}

// reinvite sends a re-INVITE: a new offer, or the last one as a session refresh.
func (d *Dialog) reinvite(sdp []byte, refresh bool) {
	if d.ended {
		return
	}
	d.refreshing = refresh
	o := &outgoing{method: methodInvite, peer: d.peer, sdp: sdp, lines: d.sessionLines()}
	o.done = func(c *call, code int, res *gosip.Response, e essentials) { d.reinvited(c, sdp, code, res) }
	d.invite = d.start(o)
}

// reinvited handles the final response to a re-INVITE.
func (d *Dialog) reinvited(c *call, sdp []byte, code int, res *gosip.Response) {
	if res != nil && code < 300 {
		d.retarget(res)
		d.ackAnswer(c, d.peer)
	}
	if d.ended {
		return
	}
	refresh := d.refreshing
	switch {
	case res != nil && code < 300:
		d.refreshing = false
		d.sdp = sdp
		d.startSession(res, true)
		body, _ := bodyOf(res)
		if !refresh {
			d.setReoffered(false)
		}
		// The answer to a refresh says something only when it differs from the last.
		if !refresh || len(body) > 0 && !bytes.Equal(body, d.heard) {
			d.emit(Reanswered{SDP: body})
		}
		d.heard = body
		d.nextOffer()
	case code == 491:
		// RFC 3261 §14.1: who made the call waits 2.1 to 4 s, the other 0 to 2 s, in
		// steps of 10 ms. Here in units of T1, which is half a second.
		wait := time.Duration(rand.IntN(201)) * d.a.o.T1 / 50
		if d.outbound {
			wait = d.a.o.T1*42/10 + time.Duration(rand.IntN(191))*d.a.o.T1/50
		}
		d.glare = d.after(wait, func() {
			d.glare = nil
			d.reinvite(sdp, refresh)
		})
	case code == 422 && res != nil && d.raiseInterval(res):
		d.reinvite(sdp, refresh)
	case code == 408 || code == 481 || res == nil:
		// RFC 3261 §12.2.1.2: the peer does not know this dialog any more.
		d.lost(code, res)
	default:
		d.refreshing = false
		if !refresh {
			d.reofferFailed(code)
		}
		d.nextOffer()
	}
}

// nextOffer sends a Reoffer that waited for a refresh to end.
func (d *Dialog) nextOffer() {
	if d.wantOffer != nil && !d.ended {
		sdp := d.wantOffer
		d.wantOffer = nil
		d.reoffer(sdp)
	}
}

// lost ends a confirmed dialog that the peer does not answer for.
func (d *Dialog) lost(code int, res *gosip.Response) {
	e := Ended{By: Timeout, Code: 408, Q850: causeTimeout, Reason: "the peer does not answer"}
	if res != nil {
		e = refusedBy(res)
	} else if code == 503 {
		e = Ended{By: Transport, Code: 503, Q850: StatusQ850(503), Reason: "the peer cannot be reached"}
	}
	if code != 481 {
		d.bye(d.peer, causeTimeout)
	}
	d.end(e)
}
