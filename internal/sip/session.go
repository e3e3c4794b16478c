package sip

import (
	"strconv"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// maxRaises bounds how often a 422 is answered with a longer interval.
const maxRaises = 5

// sessionTimer is the session timer of a dialog (RFC 4028).
type sessionTimer struct {
	asked     time.Duration // what we ask for; not above 0 means no timer at all
	min       time.Duration // Min-SE: ours, or raised by the peer
	interval  time.Duration // in force; 0 = none
	refresh   bool          // we refresh
	raised    int
	peer      bool // the peer knows session timers
	byPeer    bool // the peer asked for the one that we grant
	refresher string
	alarm     *alarm
	expiry    *alarm
}

func secondsOf(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func minSELine(d time.Duration) string { return "Min-SE: " + secondsOf(d) }

// ask gives the headers of our first INVITE (RFC 4028 §7.1).
func (s *sessionTimer) ask() []string {
	if s.asked <= 0 {
		return nil
	}
	return []string{"Session-Expires: " + secondsOf(s.asked), minSELine(s.min)}
}

// raiseInterval takes the Min-SE of a 422; false when it makes no sense to try again.
func (d *Dialog) raiseInterval(res *gosip.Response) bool {
	s := &d.timerOf
	least, _, ok := seconds(res, "min-se")
	if !ok || least <= s.min && least <= s.asked || s.raised >= maxRaises || s.asked <= 0 {
		return false
	}
	s.raised++
	s.min = max(s.min, least)
	s.asked = max(s.asked, least)
	return true
}

// offerSession reads what the caller wants (RFC 4028 §9).
func (d *Dialog) offerSession(req *gosip.Request) {
	s := &d.timerOf
	s.asked, s.min = d.a.o.SessionExpires, d.a.o.MinSE
	s.peer = demandsTimer(req)
	if least, _, ok := seconds(req, "min-se"); ok {
		s.min = max(s.min, least)
	}
	want, params, ok := seconds(req, "session-expires", "x")
	if s.asked <= 0 {
		return
	}
	if ok {
		s.byPeer = true
		s.refresher = refresherOf(params)
		s.interval = max(want, s.min)
		return
	}
	if s.peer {
		s.interval = max(s.asked, s.min)
	}
}

// grantSession gives the headers of our 2xx to the first INVITE, and starts the timer.
func (d *Dialog) grantSession() []string {
	s := &d.timerOf
	if s.interval == 0 {
		return nil
	}
	// RFC 4028 §9, table 2: a caller that knows the extension chooses; one that does not
	// leaves the refreshing to us.
	uac := s.peer && s.refresher == "uac"
	s.refresh = !uac
	d.restartSession()
	return s.lines(uac)
}

// lines are the headers of a 2xx that grants a session timer.
func (s *sessionTimer) lines(uac bool) []string {
	who := "uas"
	if uac {
		who = "uac"
	}
	out := []string{"Session-Expires: " + secondsOf(s.interval) + ";refresher=" + who}
	if uac {
		out = append(out, "Require: timer") // the peer has a duty then
	}
	return out
}

// startSession takes what a 2xx to our INVITE or UPDATE grants (RFC 4028 §7.2).
func (d *Dialog) startSession(res *gosip.Response, refresh bool) {
	s := &d.timerOf
	s.peer = s.peer || has(res, "timer", "supported", "k") || has(res, "timer", "require")
	interval, params, ok := seconds(res, "session-expires", "x")
	if !ok || interval <= 0 || s.asked <= 0 {
		if !refresh {
			d.stopSession() // the peer does not want one
		} else {
			d.restartSession()
		}
		return
	}
	s.interval = interval
	s.refresh = refresherOf(params) != "uas"
	d.restartSession()
}

// screenSession refuses an interval in a refresh that is too short (RFC 4028 §9).
func (d *Dialog) screenSession(req *gosip.Request) badRequest {
	se, _, ok := seconds(req, "session-expires", "x")
	if ok && d.a.o.SessionExpires > 0 && se < d.a.o.MinSE && demandsTimer(req) {
		return badRequest{reply{code: 422, reason: "Session Interval Too Small", lines: []string{minSELine(d.a.o.MinSE)}}, rejectExtension}
	}
	return badRequest{}
}

// refreshed takes the session headers of the peer's re-INVITE or UPDATE and gives those
// of our 2xx.
func (d *Dialog) refreshed(req *gosip.Request) []string {
	s := &d.timerOf
	want, params, ok := seconds(req, "session-expires", "x")
	if d.a.o.SessionExpires <= 0 {
		return nil
	}
	s.peer = s.peer || demandsTimer(req)
	if !ok {
		// RFC 4028 §9: a refresh without the header is none; the timer in force goes on.
		if s.interval == 0 {
			return nil
		}
		uac := !s.refresh
		d.restartSession()
		return s.lines(uac && s.peer)
	}
	s.interval = max(want, d.a.o.MinSE)
	uac := refresherOf(params) == "uac" || refresherOf(params) == "" && !s.refresh && s.peer
	s.refresh = !uac
	d.restartSession()
	return s.lines(uac)
}

func (d *Dialog) stopSession() {
	s := &d.timerOf
	s.alarm.cancel()
	s.expiry.cancel()
	s.alarm, s.expiry = nil, nil
	s.interval = 0
}

// restartSession sets the timers from now: ours to refresh at half the interval, or to
// give the peer up (RFC 4028 §10).
func (d *Dialog) restartSession() {
	s := &d.timerOf
	s.alarm.cancel()
	s.expiry.cancel()
	s.alarm, s.expiry = nil, nil
	if s.interval <= 0 {
		return
	}
	if s.refresh {
		s.alarm = d.after(d.real(s.interval/2), d.refreshSession)
		s.expiry = d.after(d.real(s.interval), d.sessionExpired)
		return
	}
	s.expiry = d.after(d.real(s.interval-min(32*time.Second, s.interval/3)), d.sessionExpired)
}

// real is how long to wait for a time that stands in a header.
func (d *Dialog) real(t time.Duration) time.Duration {
	return time.Duration(float64(t) * (float64(d.a.o.second) / float64(time.Second)))
}

// sessionExpired: nobody refreshed the session in time.
func (d *Dialog) sessionExpired() {
	if d.ended || d.state != stateConfirmed {
		return
	}
	d.bye(d.peer, causeTimeout)
	d.end(Ended{By: Timeout, Code: 408, Q850: causeTimeout, Reason: "the session was not refreshed"})
}

// sessionLines are the session headers of our re-INVITE or UPDATE (RFC 4028 §7.4): the
// interval in force, and the same side as before refreshes.
func (d *Dialog) sessionLines() []string {
	s := &d.timerOf
	if s.interval == 0 || s.asked <= 0 {
		return nil
	}
	who := "uas"
	if s.refresh {
		who = "uac"
	}
	return []string{"Session-Expires: " + secondsOf(max(s.interval, s.min)) + ";refresher=" + who, minSELine(s.min)}
}

// refreshSession refreshes: by UPDATE, where the peer allows it, because that touches no
// offer; else by a re-INVITE with our last description (RFC 4028 §7.4).
func (d *Dialog) refreshSession() {
	s := &d.timerOf
	if d.ended || d.state != stateConfirmed || s.interval == 0 {
		return
	}
	if d.invite != nil && !d.invite.final || d.glare != nil || d.peerOffers() || d.unacked() {
		// What is going on is a refresh itself, or ends soon.
		s.alarm = d.after(max(d.real(s.interval/16), d.a.o.T1), d.refreshSession)
		return
	}
	if !d.peer.update {
		d.reinvite(d.sdp, true)
		return
	}
	o := &outgoing{method: methodUpdate, peer: d.peer, lines: d.sessionLines()}
	o.done = func(_ *call, code int, res *gosip.Response, _ essentials) { d.updated(code, res) }
	d.start(o)
}

// updated handles the response to our refresh by UPDATE.
func (d *Dialog) updated(code int, res *gosip.Response) {
	switch {
	case d.ended:
	case res != nil && code < 300:
		d.retarget(res)
		d.startSession(res, true)
	case code == 408 || code == 481 || res == nil:
		d.lost(code, res)
	case code == 422 && d.raiseInterval(res):
		d.refreshSession()
	case code == 405 || code == 501 || code == 488:
		d.peer.update = false
		d.refreshSession()
	default: // 491, 500 …: again a little later; expiry ends it when that never works
		d.timerOf.alarm = d.after(max(d.real(d.timerOf.interval/16), d.a.o.T1), d.refreshSession)
	}
}
