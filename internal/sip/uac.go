package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sort"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/google/uuid"
)

// ErrInvite is wrapped by what is wrong with InviteOptions.
var ErrInvite = errors.New("sip: the call cannot be made")

// maxForks bounds the early dialogs of one INVITE.
const maxForks = 32

// Invite makes a call. It returns at once; everything else comes as an Event: Ringing,
// Answered, Ended. An error means that nothing was sent and no event comes.
func (a *Agent) Invite(o InviteOptions, notify func(Event)) (*Dialog, error) {
	target, err := inviteTarget(o)
	if err != nil {
		return nil, err
	}
	lines, err := extraHeaders(o.Headers)
	if err != nil {
		return nil, err
	}
	if notify == nil {
		return nil, fmt.Errorf("%w: nobody to notify", ErrInvite)
	}
	d := &Dialog{
		a: a, outbound: true, callID: uuid.NewString(), tag: newTag(), notify: notify,
		offer: slices.Clone(o.SDP), auth: credentialsFor{o.Username, o.Password}, forks: make(map[string]*peer),
	}
	plain := gosip.Uri{Scheme: target.Scheme, User: target.User, Host: target.Host, Port: target.Port}
	d.remote = nameAddr("", plain.String())
	from, err := a.fromURI(o.From, target)
	if err != nil {
		return nil, err
	}
	d.local = nameAddr(oneLine(o.FromName), from.String())
	d.request = Request{
		CallID: d.callID, FromUser: userOf(&from), FromName: o.FromName, FromURI: from.String(), ToUser: userOf(&target), URIUser: userOf(&target),
		Transport: hopOf(&target, udp).network, UserAgent: a.o.UserAgent, SDP: d.offer, MaxForwards: max(o.MaxForwards, 0),
	}
	if d.request.MaxForwards == 0 {
		d.request.MaxForwards = 70
	}
	if err := a.add(d); err != nil {
		return nil, err
	}
	a.m.invites.WithLabelValues("out").Inc()
	d.post(input{run: func() { d.call(target, lines) }})
	return d, nil
}

func inviteTarget(o InviteOptions) (gosip.Uri, error) {
	var u gosip.Uri
	if err := gosip.ParseUri(o.To, &u); err != nil {
		return u, fmt.Errorf("%w: To %q is not a SIP URI: %w", ErrInvite, o.To, err)
	}
	if u.Wildcard || !strings.EqualFold(u.Scheme, "sip") || u.Host == "" || strings.ContainsAny(o.To, "\r\n <>\"") {
		return u, fmt.Errorf("%w: To %q is not a sip: URI with a host", ErrInvite, o.To)
	}
	if t := hopOf(&u, udp).network; t != udp && t != tcp {
		return u, fmt.Errorf("%w: transport %q of %q is not supported, use udp or tcp", ErrInvite, t, o.To)
	}
	if u.Port < 0 || u.Port > 65535 {
		return u, fmt.Errorf("%w: port %d of %q", ErrInvite, u.Port, o.To)
	}
	if len(o.SDP) == 0 {
		return u, fmt.Errorf("%w: no SDP offer", ErrInvite)
	}
	if o.MaxForwards < 0 || o.MaxForwards > 255 {
		return u, fmt.Errorf("%w: MaxForwards %d is not 0 to 255", ErrInvite, o.MaxForwards)
	}
	return u, nil
}

// fromURI makes the From URI of a user part, or takes it when it is a whole URI.
func (a *Agent) fromURI(from string, target gosip.Uri) (gosip.Uri, error) {
	var u gosip.Uri
	if strings.ContainsAny(from, "\r\n<>\" ") {
		return u, fmt.Errorf("%w: From %q", ErrInvite, from)
	}
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if len(from) > len(scheme) && strings.EqualFold(from[:len(scheme)], scheme) {
			if err := gosip.ParseUri(from, &u); err != nil {
				return u, fmt.Errorf("%w: From %q: %w", ErrInvite, from, err)
			}
			return u, nil
		}
	}
	peer, err := parseIP(target.Host)
	if err != nil {
		peer = a.addr.Addr() // a name: the address that we listen on has to do
	}
	own := a.own(peer)
	user := from
	if user == "" {
		user = "anonymous" // RFC 3261 §8.1.1.3
	}
	return gosip.Uri{Scheme: "sip", User: strings.ReplaceAll(url.PathEscape(user), "%2B", "+"), Host: own.Addr().String(), Port: int(own.Port())}, nil
}

func parseIP(host string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return ip.Unmap(), err
}

// extraHeaders checks InviteOptions.Headers and writes them, in the order of their names.
func extraHeaders(h map[string]string) ([]string, error) {
	lines := make([]string, 0, len(h))
	for name, v := range h {
		if name == "" || strings.ContainsAny(name, "\r\n:\t ") || strings.ContainsAny(v, "\r\n\x00") {
			return nil, fmt.Errorf("%w: header %q", ErrInvite, name)
		}
		switch strings.ToLower(name) {
		case "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards", "content-length", "l",
			"content-type", "c", "allow", "supported", "k", "require", "route", "record-route", "session-expires", "x", "min-se",
			"authorization", "proxy-authorization", "user-agent":
			return nil, fmt.Errorf("%w: header %q is written by the agent", ErrInvite, name)
		}
		lines = append(lines, name+": "+v)
	}
	sort.Strings(lines)
	return lines, nil
}

// call sends the INVITE.
func (d *Dialog) call(target gosip.Uri, extra []string) {
	d.timerOf.asked = d.a.o.SessionExpires
	d.timerOf.min = d.a.o.MinSE
	d.outgoing = &outgoing{
		method: methodInvite, peer: &peer{target: target}, sdp: d.offer, hops: d.request.MaxForwards,
		lines: extra, done: d.inviteDone, progress: d.inviteProgress,
	}
	d.sendInvite()
}

// sendInvite starts the first INVITE, or starts it again with another session interval.
func (d *Dialog) sendInvite() {
	if d.closing() {
		return // hung up before anything was sent: hangUp is next in the mailbox
	}
	o := *d.outgoing
	o.lines = append(slices.Clone(d.outgoing.lines), d.timerOf.ask()...)
	d.sdp = d.offer
	d.invite = d.start(&o)
}

func (d *Dialog) closing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.phase >= phaseClosing
}

// inviteProgress handles 1xx to the first INVITE.
func (d *Dialog) inviteProgress(c *call, res *gosip.Response, e essentials) {
	if d.hungUp {
		d.cancelCall(c, d.cause)
		return
	}
	if res.StatusCode == gosip.StatusTrying || d.state != stateInvited {
		return
	}
	body, _ := bodyOf(res)
	if e.toTag != "" {
		p := d.fork(res, e)
		if p == nil {
			return
		}
		if has(res, "100rel", "require") {
			fresh := d.acknowledge(c, p, res)
			if !fresh {
				return
			}
			if len(body) > 0 {
				p.answer = body
			}
		}
	}
	r := Ringing{Code: res.StatusCode, SDP: body}
	if last := d.rang; last.Code == r.Code && string(last.SDP) == string(r.SDP) {
		return // RFC 3261 §13.3.1.1: it is repeated once a minute
	}
	d.rang = r
	d.emit(r)
}

// fork finds or makes the early dialog of a response (RFC 3261 §12.1.2). nil means that
// there are too many.
func (d *Dialog) fork(res *gosip.Response, e essentials) *peer {
	p := d.forks[e.toTag]
	if p == nil {
		if len(d.forks) >= maxForks {
			d.a.m.reject(rejectFlood)
			return nil
		}
		p = &peer{tag: e.toTag, target: d.outgoing.peer.target, update: has(res, methodUpdate, "allow")}
		p.routes = recordRoute(res)
		slices.Reverse(p.routes)
		d.forks[e.toTag] = p
	}
	if u := contactOf(res); u != nil {
		p.target = *u
	}
	return p
}

// inviteDone handles the final response to the first INVITE, and every further 2xx.
func (d *Dialog) inviteDone(c *call, code int, res *gosip.Response, e essentials) {
	switch {
	case res != nil && code < 300:
		d.answered(c, res, e)
	case d.hungUp || d.ended:
	case d.closing(): // Hangup ended our wait for the way; it is next in the mailbox
	case res == nil && code == 408:
		d.end(Ended{By: Timeout, Code: 408, Q850: StatusQ850(408), Reason: "no answer to the INVITE"})
	case res == nil:
		d.end(Ended{By: Transport, Code: code, Q850: StatusQ850(code), Reason: "the INVITE could not be sent"})
	case code == 422 && d.raiseInterval(res):
		d.sendInvite()
	default:
		d.end(refusedBy(res))
	}
}

// refusedBy makes the Ended of a refusal.
func refusedBy(res *gosip.Response) Ended {
	q, text := readReason(res)
	if q == 0 {
		q = StatusQ850(res.StatusCode)
	}
	if text == "" {
		text = oneLine(res.Reason)
	}
	return Ended{By: Remote, Code: res.StatusCode, Q850: q, Reason: text}
}

// answered handles a 2xx. The first makes the dialog; one of another fork, and any after
// our hangup, is acknowledged and ended at once (RFC 3261 §13.2.2.4, §9.1).
func (d *Dialog) answered(c *call, res *gosip.Response, e essentials) {
	p := d.fork(res, e)
	if p == nil {
		return
	}
	// RFC 3261 §13.2.2.4: the route set is that of the final response.
	if rr := recordRoute(res); len(rr) > 0 {
		slices.Reverse(rr)
		p.routes = rr
	}
	p.update = has(res, methodUpdate, "allow")
	d.ackAnswer(c, p)
	if d.peer != nil || d.hungUp || d.ended {
		d.bye(p, 0)
		return
	}
	d.peer = p
	d.state = stateConfirmed
	d.mu.Lock()
	if d.phase < phaseUp {
		d.phase = phaseUp
	}
	d.mu.Unlock()
	body, _ := bodyOf(res)
	if len(body) == 0 {
		body = p.answer // given in a reliable provisional response
	}
	d.startSession(res, false)
	d.heard = body
	if d.closing() {
		return // Hangup is in the mailbox behind this answer; it sends the BYE
	}
	d.emit(Answered{SDP: body, UserAgent: value(res, "user-agent", "server")})
}

// hangUp is Hangup on the dialog's goroutine.
func (d *Dialog) hangUp(q850 int) {
	if d.ended {
		return
	}
	cause := q850
	if cause == 0 {
		cause = causeNormal
	}
	switch {
	case d.state == stateConfirmed:
		if v := d.initial; v != nil && !v.acked {
			// RFC 3261 §15: the callee must not send BYE before the ACK came, or will not.
			d.hungUp, d.cause = true, q850
		} else {
			d.bye(d.peer, q850)
		}
		d.end(Ended{By: Local, Code: 200, Q850: cause})
	case d.outbound:
		d.hungUp, d.cause = true, q850
		if d.invite != nil {
			d.cancelCall(d.invite, q850)
		}
		d.end(Ended{By: Local, Code: 487, Q850: cause})
	default:
		code, reason := refusalFor(q850)
		d.refuse(code, cause, reason, []string{reasonHeader(q850)})
	}
}
