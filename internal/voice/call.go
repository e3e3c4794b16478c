package voice

import (
	"slices"
	"time"
)

// Direction says who started a call, seen from the server.
type Direction string

// The directions of a call.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// CallType says over what a call's party is reached.
type CallType string

// The types of a call. A party named by a SIP URI is CallSIP, one named by a
// number is CallPSTN.
const (
	CallPSTN   CallType = "pstn"
	CallSIP    CallType = "sip"
	CallWebRTC CallType = "webrtc"
)

// CallStatus is where a call stands.
type CallStatus string

// The states of a call. Scheduled and accepted come before anything was sent;
// starting, ringing and ongoing are the life of the dialog; the rest is final.
const (
	CallScheduled CallStatus = "scheduled"
	CallAccepted  CallStatus = "accepted"
	CallStarting  CallStatus = "starting"
	CallRinging   CallStatus = "ringing"
	CallOngoing   CallStatus = "ongoing"
	CallCompleted CallStatus = "completed"
	CallNoAnswer  CallStatus = "no-answer"
	CallBusy      CallStatus = "busy"
	CallFailed    CallStatus = "failed"
	CallCancelled CallStatus = "cancelled"
)

// CallStatuses lists every call status, in the order a call may pass them.
func CallStatuses() []CallStatus {
	return []CallStatus{
		CallScheduled, CallAccepted, CallStarting, CallRinging, CallOngoing,
		CallCompleted, CallNoAnswer, CallBusy, CallFailed, CallCancelled,
	}
}

// Terminal reports whether a call in this status has ended.
func (s CallStatus) Terminal() bool {
	switch s {
	case CallCompleted, CallNoAnswer, CallBusy, CallFailed, CallCancelled:
		return true
	}
	return false
}

// MayFollow reports whether a call in status from may move to status s. A call
// only moves forward, and never out of a terminal status.
func (s CallStatus) MayFollow(from CallStatus) bool {
	if from.Terminal() || from == s {
		return false
	}
	if s == CallCompleted {
		return from == CallOngoing
	}
	if s.Terminal() {
		return from != CallOngoing || s == CallFailed
	}
	all := CallStatuses()
	return slices.Index(all, s) > slices.Index(all, from)
}

// HangupSource says who ended a call.
type HangupSource string

// The sources of a hangup. Caller and callee are the parties of the call;
// timeout is a limit of ours (ring time, longest duration); media timeout is a
// party whose media stopped.
const (
	HangupByCallee       HangupSource = "callee"
	HangupByCaller       HangupSource = "caller"
	HangupByAPI          HangupSource = "api"
	HangupByTimeout      HangupSource = "timeout"
	HangupByMediaTimeout HangupSource = "media-timeout"
	HangupByNone         HangupSource = "none"
)

// Call is one leg with its history, as the API shows it and the store keeps it.
// Zero times mean "did not happen". As JSON it is part of stored events, of which a
// call makes a dozen: what is zero takes no room there.
type Call struct {
	ID        CallID      `json:",omitzero"`
	Workspace WorkspaceID `json:",omitzero"`
	Channel   ChannelID   `json:",omitzero"`
	Parent    CallID      `json:",omitzero"` // the A leg's call, on a bridged leg; else empty

	From, To  string     `json:",omitzero"` // number or SIP URI, as dialled
	Direction Direction  `json:",omitzero"`
	Type      CallType   `json:",omitzero"`
	Status    CallStatus `json:",omitzero"`
	Reason    string     `json:",omitzero"` // why it ended, in words; empty for a normal end

	HangupCause   int          `json:",omitzero"` // Q.850 cause, 0 = not ended
	HangupSource  HangupSource `json:",omitzero"`
	HangupSIPCode int          `json:",omitzero"` // final SIP status code, 0 = none
	UserAgent     string       `json:",omitzero"`

	RingTimeout     time.Duration `json:",omitzero"`
	MaxDuration     time.Duration `json:",omitzero"`
	NotificationURL string        `json:",omitzero"`
	Tags            []string      `json:",omitzero"`

	FlowID   FlowID          `json:",omitzero"` // the current call flow; empty = none
	Commands []CommandResult `json:",omitzero"` // its commands with their states, and those given beside it

	Quality Quality `json:",omitzero"`

	AMD   *AMDResult `json:",omitzero"` // nil = not looked for, or not found yet
	Order *CallOrder `json:",omitzero"` // of a call that is scheduled; nil once it is placed

	CreatedAt, UpdatedAt           time.Time `json:",omitzero"`
	RingingAt, AnsweredAt, EndedAt time.Time `json:",omitzero"`
	ScheduledFor                   time.Time `json:",omitzero"`
}

// Duration is how long the call was answered: until it ended, or until now for
// a call that goes on. Zero for a call that was not answered.
func (c *Call) Duration(now time.Time) time.Duration {
	switch {
	case c.AnsweredAt.IsZero():
		return 0
	case c.EndedAt.IsZero():
		return now.Sub(c.AnsweredAt)
	}
	return c.EndedAt.Sub(c.AnsweredAt)
}

// Near is the address of the party that this leg talks to.
func (c *Call) Near() string {
	if c.Direction == Incoming {
		return c.From
	}
	return c.To
}

// CallFilter selects calls for a list. Zero members select everything.
type CallFilter struct {
	Workspace  WorkspaceID
	Channels   []ChannelID
	ID         CallID
	Statuses   []CallStatus
	Types      []CallType
	Directions []Direction
	From, To   string
	Tags       []string       // a call must carry all of them
	Duration   *time.Duration // exactly so many whole seconds
	StartAt    time.Time      // created at or after
	EndAt      time.Time      // created before or at
	Page
}

// Page asks for one page of a list, newest first.
type Page struct {
	Limit int    // at least 1
	Token string // opaque; empty = the first page
}
