package voice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// CommandKind is the name of a command, as the API writes it.
type CommandKind string

// The commands.
const (
	KindAnswer     CommandKind = "answer"
	KindRinging    CommandKind = "ringing"
	KindHangup     CommandKind = "hangup"
	KindPlayback   CommandKind = "playback"
	KindSay        CommandKind = "say"
	KindGather     CommandKind = "gather"
	KindRecord     CommandKind = "record"
	KindBridge     CommandKind = "bridge"
	KindPause      CommandKind = "pause"
	KindRecordCall CommandKind = "record-call"
)

// CommandStatus is where a command stands.
type CommandStatus string

// The states of a command.
const (
	CommandAccepted  CommandStatus = "accepted"
	CommandOngoing   CommandStatus = "ongoing"
	CommandCompleted CommandStatus = "completed"
	CommandFailed    CommandStatus = "failed"
	CommandSkipped   CommandStatus = "skipped"
)

// Terminal reports whether a command in this status has come to its end.
func (s CommandStatus) Terminal() bool {
	return s == CommandCompleted || s == CommandFailed || s == CommandSkipped
}

// Command is one instruction to a call. The set is closed: Answer, Ringing,
// Hangup, Playback, Say, Gather, Record, Bridge, Pause, RecordCall.
type Command interface {
	Kind() CommandKind
	command()
}

// Answer answers an inbound call that was not answered yet.
type Answer struct{}

// Ringing tells the caller of an inbound call that it rings (SIP 180).
type Ringing struct{}

// HangupCause says how a call that was not answered is turned away.
type HangupCause string

// Rejected answers 603, busy answers 486.
const (
	CauseRejected HangupCause = "rejected"
	CauseBusy     HangupCause = "busy"
)

// Hangup ends a call, or turns it away when it was not answered.
type Hangup struct {
	Cause HangupCause `json:"cause,omitempty"`
}

// Pause waits, in a call flow.
type Pause struct {
	Length int `json:"length"` // seconds
}

// RecordStart says when a recording asked for with a call begins.
type RecordStart string

// A recording begins when the party answers, or already while it rings.
const (
	RecordFromAnswer  RecordStart = "record-from-answer"
	RecordFromRinging RecordStart = "record-from-ringing"
)

// Bridge calls a second party and connects it with the call.
type Bridge struct {
	To                string        `json:"to"` // phone number or SIP URI
	From              string        `json:"from,omitempty"`
	RingTimeout       int           `json:"ringTimeout,omitempty"` // seconds, 3..120; 0 = 30
	MaxDuration       int           `json:"maxDuration,omitempty"` // seconds; 0 = 28800
	HangupAfterBridge *bool         `json:"hangupAfterBridge,omitempty"`
	Record            bool          `json:"record,omitempty"`
	RecordStart       RecordStart   `json:"recordStart,omitempty"`
	RecordStereo      bool          `json:"recordStereo,omitempty"`
	RingTone          RingTone      `json:"ringTone,omitempty"` // what the near party hears until the far one answers
	Flow              []FlowCommand `json:"callFlow,omitempty"` // of the far call
	Notification      *Notification `json:"notification,omitempty"`
	AMD               *AMDSettings  `json:"amdSettings,omitempty"`
}

// Notification names a URL that is told of a call's changes.
type Notification struct {
	URL string `json:"url"`
}

// EndsNear reports whether the near call is hung up when the far leg ends.
func (b *Bridge) EndsNear() bool { return b.HangupAfterBridge == nil || *b.HangupAfterBridge }

// RecordCall records the call session until the call ends.
type RecordCall struct {
	MaxLength int  `json:"maxLength,omitempty"` // seconds of file; 0 = the server's cap
	Stereo    bool `json:"stereo,omitempty"`
}

func (*Answer) command()     {}
func (*Ringing) command()    {}
func (*Hangup) command()     {}
func (*Pause) command()      {}
func (*Bridge) command()     {}
func (*RecordCall) command() {}

// Kind returns KindAnswer.
func (*Answer) Kind() CommandKind { return KindAnswer }

// Kind returns KindRinging.
func (*Ringing) Kind() CommandKind { return KindRinging }

// Kind returns KindHangup.
func (*Hangup) Kind() CommandKind { return KindHangup }

// Kind returns KindPause.
func (*Pause) Kind() CommandKind { return KindPause }

// Kind returns KindBridge.
func (*Bridge) Kind() CommandKind { return KindBridge }

// Kind returns KindRecordCall.
func (*RecordCall) Kind() CommandKind { return KindRecordCall }

// Variable is what a gather heard and a condition asks for.
type Variable string

// The variables of a call: the digits and the words of the last gather that
// listened for them.
const (
	VariableKeys   Variable = "keys"
	VariableSpeech Variable = "speech"
)

// Operator compares a variable with the value of a condition.
type Operator string

// The operators. Each of the first two has a second spelling.
const (
	OperatorEq       Operator = "eq"
	OperatorNe       Operator = "ne"
	OperatorEquals   Operator = "=="
	OperatorNot      Operator = "!="
	OperatorContains Operator = "contains"
)

// Operators lists every operator.
func Operators() []Operator {
	return []Operator{OperatorEq, OperatorNe, OperatorEquals, OperatorNot, OperatorContains}
}

// Condition guards a command of a call flow by what an earlier gather heard.
type Condition struct {
	Variable Variable `json:"variable"`
	Operator Operator `json:"operator"`
	Value    string   `json:"value"`
}

// FlowCommand is one step of a call flow. In JSON it is
// {"command": "bridge", "options": {…}, "conditions": […]}.
type FlowCommand struct {
	Command    Command
	Conditions []Condition
}

// MaxFlow is the longest call flow, in commands.
const MaxFlow = 20

type flowCommandJSON struct {
	Command    CommandKind     `json:"command"`
	Options    json.RawMessage `json:"options,omitempty"`
	Conditions []Condition     `json:"conditions,omitempty"`
}

// MarshalJSON writes the step in the API's shape.
func (f FlowCommand) MarshalJSON() ([]byte, error) {
	options, err := json.Marshal(f.Command)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(options, []byte("{}")) {
		options = nil
	}
	return json.Marshal(flowCommandJSON{Command: f.Command.Kind(), Options: options, Conditions: f.Conditions})
}

// UnmarshalJSON reads the step. A command that may not stand in a call flow is
// an error.
func (f *FlowCommand) UnmarshalJSON(data []byte) error {
	var raw flowCommandJSON
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	c := blank(raw.Command)
	if c == nil {
		return fmt.Errorf("command %q cannot stand in a call flow", raw.Command)
	}
	if len(raw.Options) > 0 && !bytes.Equal(raw.Options, []byte("null")) {
		if err := json.Unmarshal(raw.Options, c); err != nil {
			return fmt.Errorf("options of command %q: %w", raw.Command, err)
		}
	}
	f.Command, f.Conditions = c, raw.Conditions
	return nil
}

// blank is a command of the kind without options; nil for a kind that may not
// stand in a call flow.
func blank(kind CommandKind) Command {
	switch kind {
	case KindAnswer:
		return &Answer{}
	case KindRinging:
		return &Ringing{}
	case KindHangup:
		return &Hangup{}
	case KindPlayback:
		return &Playback{}
	case KindSay:
		return &Say{}
	case KindGather:
		return &Gather{}
	case KindRecord:
		return &Record{}
	case KindBridge:
		return &Bridge{}
	case KindPause:
		return &Pause{}
	}
	return nil
}

// Expand returns the flow with {to} and {from} in its string options replaced
// by the call's numbers. The flow itself is left as it is.
func Expand(flow []FlowCommand, from, to string) []FlowCommand {
	fill := strings.NewReplacer("{to}", to, "{from}", from).Replace
	out := make([]FlowCommand, len(flow))
	for i, step := range flow {
		switch c := step.Command.(type) {
		case *Bridge:
			filled := *c
			filled.To, filled.From = fill(c.To), fill(c.From)
			filled.Flow = Expand(c.Flow, from, to)
			step.Command = &filled
		case *Playback:
			step.Command = c.filled(fill)
		case *Say:
			step.Command = c.filled(fill)
		case *Gather:
			filled := *c
			if c.Playback != nil {
				filled.Playback = c.Playback.filled(fill)
			}
			if c.Say != nil {
				filled.Say = c.Say.filled(fill)
			}
			step.Command = &filled
		}
		out[i] = step
	}
	return out
}

// CommandResult is an accepted command with what became of it.
type CommandResult struct {
	ID         CommandID     `json:"id"`
	Call       CallID        `json:"callId"`
	Flow       FlowID        `json:"callFlowId,omitempty"` // empty for a single command
	Status     CommandStatus `json:"status"`
	Kind       CommandKind   `json:"command"`
	Conditions []Condition   `json:"conditions,omitempty"`

	// Reason says why it failed or was skipped, in words; else it is empty.
	Reason string `json:"reason,omitempty"`
	// Keys and Speech are what a gather heard; nil = it did not listen for it, or
	// has not ended. A gather that heard nothing has an empty one.
	Keys   *string `json:"keys,omitempty"`
	Speech *string `json:"speech,omitempty"`
	// Recording is that of a record command, Bridged the call of a bridge.
	Recording RecordingID `json:"recordingId,omitempty"`
	Bridged   CallID      `json:"bridgedCallId,omitempty"`

	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
}
