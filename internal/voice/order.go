package voice

import (
	"fmt"
	"strings"
	"time"
)

// FlowStart says when the call flow of an outgoing call begins.
type FlowStart string

// A flow begins when the party answers, or already while it rings.
const (
	FlowFromAnswer  FlowStart = "from-answer"
	FlowFromRinging FlowStart = "from-ringing"
)

// MaxSendKeys is how many keys a call may send when it is answered.
const MaxSendKeys = 20

// CallOrder is what a call is to do once it is placed. It is kept with a call
// that is scheduled, so that it is placed whatever happens to the server before.
type CallOrder struct {
	SendKeys    string        `json:"sendKeys,omitempty"` // digits, * and #, sent when the party answers, before the flow
	Record      bool          `json:"record,omitempty"`
	RecordStart RecordStart   `json:"recordStart,omitempty"`
	Stereo      bool          `json:"stereo,omitempty"`
	FlowStart   FlowStart     `json:"flowStart,omitempty"` // empty = FlowFromAnswer
	Flow        []FlowCommand `json:"callFlow,omitempty"`
	AMD         *AMDSettings  `json:"amdSettings,omitempty"`
}

// JobDial is the kind of the job that places a scheduled call when its time has
// come. Its reference is Call.Ref.
const JobDial = "dial"

// Ref names the call for a job, with its workspace.
func (c *Call) Ref() string { return string(c.Workspace) + "/" + string(c.ID) }

// SplitCallRef takes a reference to a call apart.
func SplitCallRef(ref string) (WorkspaceID, CallID, error) {
	ws, id, found := strings.Cut(ref, "/")
	if !found || ws == "" || id == "" {
		return "", "", fmt.Errorf("%q does not name a call", ref)
	}
	return WorkspaceID(ws), CallID(id), nil
}

// Limits of a scheduled call's time. One that cannot be placed in time, because
// the server was down or full, is still placed for a while; nobody wants to be
// called hours later than was meant.
const (
	MaxScheduleAhead = 30 * 24 * time.Hour
	MaxScheduleAgo   = time.Minute // clocks differ: it is placed at once
	MaxScheduleLate  = 15 * time.Minute
)

// ScheduleFault says what is wrong with the time that a call is scheduled for;
// empty when nothing is.
func ScheduleFault(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.Before(now.Add(-MaxScheduleAgo)):
		return "has passed"
	case at.After(now.Add(MaxScheduleAhead)):
		return "must be within 30 days"
	}
	return ""
}

// OrderFaults returns what is wrong with what a call is to do, by member as the
// API names it; nil when nothing is.
func OrderFaults(o *CallOrder) map[string][]string {
	return gathered(func(say sayFault) {
		if o.SendKeys != "" {
			say("sendKeys", SendKeysFault(o.SendKeys))
		}
		say("recordStart", recordStartFault(o.RecordStart))
		if o.FlowStart != "" && o.FlowStart != FlowFromAnswer && o.FlowStart != FlowFromRinging {
			say("flowStart", fmt.Sprintf("must be %s or %s", FlowFromAnswer, FlowFromRinging))
		}
		if o.AMD != nil {
			amdFaults(o.AMD, "amdSettings", say)
		}
		flowFaults(o.Flow, "callFlow", OutboundKinds(), say)
	})
}
