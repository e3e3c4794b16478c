package voice

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
