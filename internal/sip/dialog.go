package sip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// ErrEnded is returned by a Dialog's methods once it has ended, or is ending.
var ErrEnded = errors.New("sip: the dialog has ended")

// ErrState is returned for a step that the dialog's state does not allow.
var ErrState = errors.New("sip: not possible in the dialog's state")

// Dialog is one call leg: the INVITE, the dialog that it makes, and its end. Its methods
// may be called from anywhere, from notify too; they check what can be checked at once,
// and the rest happens on the dialog's own goroutine.
type Dialog struct {
	a         *Agent
	outbound  bool
	request   Request
	callID    string
	tag       string // ours
	inviteKey string // of an inbound INVITE; guarded by the agent's lock

	// Mailbox and what the methods check. mu is a leaf lock.
	mu        sync.Mutex
	inbox     []input
	mail      int // messages among them
	working   bool
	phase     phase
	granted   []byte             // Answer was called: the description that its 2xx will carry
	offered   bool               // an Offered waits for its reply
	reoffered bool               // a Reoffer of ours is on its way
	abandon   context.CancelFunc // ends a wait for the name service or a connection

	// Everything below belongs to the dialog's goroutine.
	notify  func(Event)
	queued  []Event // until Bind
	state   state
	ended   bool
	byed    bool // the peer's BYE came
	hungUp  bool // Ended was raised by us while the INVITE was still in progress
	cause   int  // Q.850 cause of that
	rang    Ringing
	heard   []byte // the peer's last description
	dead    bool   // a fault of ours: nothing is handled any more
	alarms  []*alarm
	timer   *time.Timer
	armed   time.Time
	local   string // our side of From and To, without the tag
	remote  string
	seq     uint32 // our last CSeq
	peer    *peer  // the dialog's other end; nil before there is one
	forks   map[string]*peer
	flow    flow // how the peer was reached last
	via     *conn
	calls   []*call // requests of ours
	invites []*invited
	served  []*served
	updates *invited // UPDATE with an offer that waits for its reply

	invite     *call // our INVITE in progress, first or re-
	outgoing   *outgoing
	offer      []byte // InviteOptions.SDP
	auth       credentialsFor
	sdp        []byte // last description that we sent
	wantOffer  []byte // a Reoffer that waits for an ACK
	refreshing bool
	glare      *alarm
	timerOf    sessionTimer
	reliable   reliable

	initial  *invited // the INVITE that made an inbound dialog
	authLine []string // its Authorization headers; not changed later
	stale    bool     // guarded by mu
}

// phase is what the methods know of the dialog's life. It only rises.
type phase uint8

const (
	phaseNew     phase = iota // INVITE in progress
	phaseUp                   // answered, by us or by the peer
	phaseClosing              // the end was asked for
	phaseOver                 // Ended was raised
)

// state is the dialog's own view.
type state uint8

const (
	stateInvited   state = iota // INVITE in progress, no dialog or an early one
	stateConfirmed              // 2xx sent or received
	stateEnded
)

// peer is the other end of a dialog, early or confirmed (RFC 3261 §12).
type peer struct {
	tag     string
	target  gosip.Uri
	routes  []gosip.Uri
	seq     uint32 // its last CSeq
	hasSeq  bool
	rseq    uint32 // last reliable provisional response that we took (RFC 3262)
	answer  []byte // SDP of it
	update  bool   // allows UPDATE
	hopKey  string
	hopFlow flow
}

type credentialsFor struct{ username, password string }

// input is one thing for the dialog to do: a message, or anything else as run.
type input struct {
	req  *gosip.Request
	res  *gosip.Response
	e    essentials
	from flow
	run  func()
	bind bool // is done even after a fault
}

// alarm is one timer of the dialog; fire is nil once it has fired or was stopped.
type alarm struct {
	at   time.Time
	fire func()
}

func newTag() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// post puts something into the mailbox and sees that somebody works on it. Messages are
// dropped when too many wait: their senders send them again.
func (d *Dialog) post(in input) {
	d.mu.Lock()
	if in.run == nil {
		if d.mail >= maxMailbox {
			d.mu.Unlock()
			d.a.m.reject(rejectFlood)
			return
		}
		d.mail++
	}
	d.inbox = append(d.inbox, in)
	start := !d.working
	d.working = true
	d.mu.Unlock()
	if start && d.a.gate.enter() {
		go d.work()
	}
}

// work empties the mailbox and goes. It is the dialog's only goroutine.
func (d *Dialog) work() {
	defer d.a.gate.leave()
	var batch []input
	for {
		d.mu.Lock()
		if len(d.inbox) == 0 {
			d.working = false
			d.mu.Unlock()
			return
		}
		batch, d.inbox = d.inbox, batch[:0]
		d.mail = 0
		d.mu.Unlock()
		for i := range batch {
			d.handle(batch[i])
			batch[i] = input{}
		}
	}
}

func (d *Dialog) handle(in input) {
	defer d.a.caught("a dialog", d.crash)
	if d.dead && !in.bind {
		return
	}
	switch {
	case in.run != nil:
		in.run()
	case in.req != nil:
		d.onRequest(in)
	case in.res != nil:
		d.onResponse(in)
	}
}

// crash ends the dialog after a fault of ours: the owner hears of it, nobody else does.
func (d *Dialog) crash() {
	d.dead = true
	d.stopAlarms()
	for _, c := range d.calls {
		d.settle(c)
	}
	d.leaveConnection()
	d.a.forget(d)
	defer d.a.caught("the end of a faulty dialog", nil)
	d.end(Ended{By: Transport, Code: 500, Q850: 41, Reason: "internal fault"})
}

// emit delivers an event, or keeps it until Bind.
func (d *Dialog) emit(e Event) {
	if d.ended {
		return
	}
	if d.notify == nil {
		d.queued = append(d.queued, e)
		return
	}
	d.notify(e)
}

// end raises Ended, once, and lets the dialog linger for what is still on the wire.
func (d *Dialog) end(e Ended) {
	if d.ended {
		return
	}
	d.state = stateEnded
	d.mu.Lock()
	d.phase = phaseOver
	d.offered, d.reoffered = false, false
	d.mu.Unlock()
	d.stopSession()
	d.emit(e)
	d.ended = true
	direction := "in"
	if d.outbound {
		direction = "out"
	}
	d.a.m.ended.WithLabelValues(direction, e.By.String(), fmt.Sprintf("%dxx", e.Code/100)).Inc()
	d.a.over()
	// 64·T1 is how long a peer may send again what it has no answer for.
	if !d.dead {
		d.after(64*d.a.o.T1, d.forget)
	}
	d.slim()
}

// slim lets go of what a dialog that only lingers does not need: at hundreds of calls a
// second thousands of them linger.
func (d *Dialog) slim() {
	d.offer, d.heard, d.sdp, d.wantOffer = nil, nil, nil, nil
	for _, v := range d.invites {
		if v.code >= 200 {
			v.req = nil // its response is written
		}
	}
	for _, c := range d.calls {
		if c.final {
			c.wire, c.o.sdp, c.o.lines = nil, nil, nil
		}
	}
}

// forget lets go of a dialog that nobody can still ask for.
func (d *Dialog) forget() {
	if d.invite != nil && !d.invite.final || d.unfinished() {
		d.after(64*d.a.o.T1, d.forget)
		return
	}
	d.stopAlarms()
	for _, c := range d.calls {
		d.settle(c)
	}
	d.leaveConnection()
	d.a.forget(d)
}

// unfinished: a 2xx or a refusal of ours still waits for its ACK.
func (d *Dialog) unfinished() bool {
	return slices.ContainsFunc(d.invites, func(v *invited) bool { return v.code >= 200 && !v.acked && !v.gaveUp })
}

// after runs fire on the dialog's goroutine when the time has come.
func (d *Dialog) after(wait time.Duration, fire func()) *alarm {
	al := &alarm{at: time.Now().Add(wait), fire: fire}
	d.alarms = append(d.alarms, al)
	d.arm()
	return al
}

// cancel stops an alarm; nil and a fired one are fine.
func (al *alarm) cancel() {
	if al != nil {
		al.fire = nil
	}
}

// arm sets the one real timer to the next alarm.
func (d *Dialog) arm() {
	var next time.Time
	d.alarms = slices.DeleteFunc(d.alarms, func(al *alarm) bool { return al.fire == nil })
	for _, al := range d.alarms {
		if next.IsZero() || al.at.Before(next) {
			next = al.at
		}
	}
	if next.IsZero() || next.Equal(d.armed) {
		return
	}
	d.armed = next
	wait := max(0, time.Until(next))
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, func() { d.post(input{run: d.tick}) })
		return
	}
	d.timer.Reset(wait)
}

func (d *Dialog) tick() {
	d.armed = time.Time{}
	now := time.Now()
	due := make([]*alarm, 0, 2)
	for _, al := range d.alarms {
		if al.fire != nil && !al.at.After(now) {
			due = append(due, al)
		}
	}
	slices.SortStableFunc(due, func(x, y *alarm) int { return x.at.Compare(y.at) })
	for _, al := range due {
		if fire := al.fire; fire != nil { // an earlier one may have cancelled it
			al.fire = nil
			fire()
		}
	}
	d.arm()
}

func (d *Dialog) stopAlarms() {
	for _, al := range d.alarms {
		al.fire = nil
	}
	d.alarms = nil
	if d.timer != nil {
		d.timer.Stop()
	}
}

// stick remembers the connection that the peer was reached by, and hears of its end.
func (d *Dialog) stick(f flow) {
	d.flow = f
	if f.conn == d.via {
		return
	}
	d.leaveConnection()
	if f.conn != nil {
		d.via = f.conn
		f.conn.use(d)
	}
}

func (d *Dialog) leaveConnection() {
	if d.via != nil {
		d.via.unuse(d)
		d.via = nil
	}
}

// connectionLost: what waits for an answer by that connection has none to expect.
func (d *Dialog) connectionLost(c *conn) {
	if d.via == c {
		d.via = nil
	}
	for _, q := range slices.Clone(d.calls) {
		if q.to.conn == c && !q.final {
			d.fail(q, 503)
		}
	}
}
