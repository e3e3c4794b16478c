package sip

import (
	"fmt"
	"slices"
)

// Request tells about the INVITE that made the dialog.
func (d *Dialog) Request() Request { return d.request }

// Bind sets who is told of an inbound dialog's events. Those since the INVITE are
// delivered first. Only the first call counts; an outbound dialog is bound by Invite.
func (d *Dialog) Bind(notify func(Event)) {
	d.post(input{bind: true, run: func() {
		if d.notify != nil || notify == nil {
			return
		}
		d.notify = notify
		queued := d.queued
		d.queued = nil
		for _, e := range queued {
			notify(e)
		}
	}})
}

// CheckDigest reports whether the INVITE carries good credentials for the user: computed
// for a nonce of ours that has not expired and was not used by another INVITE, with MD5
// or SHA-256 (RFC 8760).
func (d *Dialog) CheckDigest(username, password string) bool {
	if d.outbound {
		return false
	}
	owner := d.callID + "|" + d.tag
	v := d.a.nonces.judge(d.authLine, methodInvite, owner, username, password)
	if v == credentialsStale {
		d.mu.Lock()
		d.stale = true
		d.mu.Unlock()
	}
	return v == credentialsGood
}

// Challenge asks an inbound caller for credentials (401) and ends this dialog: Ended By
// Local with Code 401. The caller comes again as a new dialog. After a CheckDigest that
// found right credentials for an expired nonce the challenge says so.
func (d *Dialog) Challenge() error {
	d.mu.Lock()
	stale := d.stale
	d.mu.Unlock()
	if err := d.leaveNew("challenge"); err != nil {
		return err
	}
	d.post(input{run: func() { d.refuse(401, 0, "Unauthorized", d.a.nonces.challengeLines(stale)) }})
	return nil
}

// leaveNew takes an inbound dialog from unanswered to closing.
func (d *Dialog) leaveNew(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.phase >= phaseClosing:
		return ErrEnded
	case d.outbound || d.phase != phaseNew:
		return fmt.Errorf("%w: %s needs an inbound call that is not answered", ErrState, what)
	}
	d.phase = phaseClosing
	return nil
}

// Progress sends a provisional response, 101 to 199: 180 for ringing, 183 with sdp for
// early media. It goes reliably (RFC 3262) when the caller demands it, or when it
// carries sdp and the caller can.
func (d *Dialog) Progress(code int, sdp []byte) error {
	if code <= 100 || code >= 200 {
		return fmt.Errorf("%w: %d is no provisional response", ErrState, code)
	}
	d.mu.Lock()
	switch {
	case d.phase >= phaseClosing:
		d.mu.Unlock()
		return ErrEnded
	case d.outbound || d.phase != phaseNew:
		d.mu.Unlock()
		return fmt.Errorf("%w: progress needs an inbound call that is not answered", ErrState)
	}
	d.mu.Unlock()
	sdp = slices.Clone(sdp)
	d.post(input{run: func() { d.progress(code, sdp) }})
	return nil
}

// Answer accepts an inbound call: 200 with our description (the answer to the INVITE's
// offer, or our offer when it had none), sent again until the ACK comes. Then follows
// Confirmed, or Ended when the caller gave up meanwhile or no ACK came within 64·T1.
func (d *Dialog) Answer(sdp []byte) error {
	if len(sdp) == 0 {
		return fmt.Errorf("%w: an answer needs a description", ErrState)
	}
	d.mu.Lock()
	switch {
	case d.phase >= phaseClosing:
		d.mu.Unlock()
		return ErrEnded
	case d.outbound || d.phase != phaseNew:
		d.mu.Unlock()
		return fmt.Errorf("%w: answer needs an inbound call that is not answered", ErrState)
	}
	d.phase, d.granted = phaseUp, slices.Clone(sdp)
	d.mu.Unlock()
	d.post(input{run: func() { d.grant(false) }})
	return nil
}

// Reject refuses an inbound call with a final response, 300 to 699; reason "" takes the
// usual words. Ended By Local follows.
func (d *Dialog) Reject(code int, reason string) error {
	if code < 300 || code > 699 {
		return fmt.Errorf("%w: %d is no refusal", ErrState, code)
	}
	if err := d.leaveNew("reject"); err != nil {
		return err
	}
	if reason == "" {
		reason = phraseOf(code)
	}
	reason = oneLine(reason)
	d.post(input{run: func() { d.refuse(code, 0, reason, nil) }})
	return nil
}

// Hangup ends the dialog in the way that its state asks for: BYE, CANCEL, or a final
// response. q850 goes out in a Reason header when it is 1 to 127. Ended By Local comes
// at once, what is left to do on the wire is done behind it. Idempotent: a dialog that
// has ended, or is ending, gives nil.
func (d *Dialog) Hangup(q850 int) error {
	d.mu.Lock()
	if d.phase >= phaseClosing {
		d.mu.Unlock()
		return nil
	}
	d.phase = phaseClosing
	abandon := d.abandon
	d.mu.Unlock()
	if abandon != nil {
		abandon() // nothing has been sent yet
	}
	d.post(input{run: func() { d.hangUp(q850) }})
	return nil
}

// Reoffer sends a new offer by re-INVITE. Reanswered or ReofferFailed follows (or Ended).
// One at a time: while one is on its way, or an Offered of the peer waits for its reply,
// it fails with ErrState. A glare (491) is tried again by the rules of RFC 3261 §14.1.
func (d *Dialog) Reoffer(sdp []byte) error {
	if len(sdp) == 0 {
		return fmt.Errorf("%w: an offer needs a description", ErrState)
	}
	d.mu.Lock()
	switch {
	case d.phase >= phaseClosing:
		d.mu.Unlock()
		return ErrEnded
	case d.phase != phaseUp:
		d.mu.Unlock()
		return fmt.Errorf("%w: a new offer needs an answered call", ErrState)
	case d.reoffered:
		d.mu.Unlock()
		return fmt.Errorf("%w: another offer of ours is on its way", ErrState)
	case d.offered:
		d.mu.Unlock()
		return fmt.Errorf("%w: the peer's offer waits for its reply", ErrState)
	}
	d.reoffered = true
	d.mu.Unlock()
	sdp = slices.Clone(sdp)
	d.post(input{run: func() { d.reoffer(sdp) }})
	return nil
}

// AcceptOffer replies to Offered with our description.
func (d *Dialog) AcceptOffer(sdp []byte) error {
	if len(sdp) == 0 {
		return fmt.Errorf("%w: the reply to an offer needs a description", ErrState)
	}
	if err := d.takeOffered(); err != nil {
		return err
	}
	sdp = slices.Clone(sdp)
	d.post(input{run: func() { d.replyOffer(200, sdp) }})
	return nil
}

// RefuseOffer replies to Offered with a refusal, usually 488. What was agreed before
// still stands.
func (d *Dialog) RefuseOffer(code int) error {
	if code < 300 || code > 699 {
		return fmt.Errorf("%w: %d is no refusal", ErrState, code)
	}
	if err := d.takeOffered(); err != nil {
		return err
	}
	d.post(input{run: func() { d.replyOffer(code, nil) }})
	return nil
}

func (d *Dialog) takeOffered() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.phase >= phaseClosing:
		return ErrEnded
	case !d.offered:
		return fmt.Errorf("%w: no offer of the peer waits", ErrState)
	}
	d.offered = false
	return nil
}

func (d *Dialog) setOffered(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offered = on
}

func (d *Dialog) setReoffered(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reoffered = on
}

// phraseOf gives the usual words of a final response (RFC 3261 §21).
func phraseOf(code int) string {
	switch code {
	case 302:
		return "Moved Temporarily"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 408:
		return "Request Timeout"
	case 410:
		return "Gone"
	case 415:
		return "Unsupported Media Type"
	case 480:
		return "Temporarily Unavailable"
	case 481:
		return "Call/Transaction Does Not Exist"
	case 486:
		return "Busy Here"
	case 487:
		return "Request Terminated"
	case 488:
		return "Not Acceptable Here"
	case 491:
		return "Request Pending"
	case 500:
		return "Server Internal Error"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Server Time-out"
	case 600:
		return "Busy Everywhere"
	case 603:
		return "Decline"
	case 606:
		return "Not Acceptable"
	}
	return "Refused"
}
