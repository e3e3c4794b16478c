package client

// Step is a command of a call flow. Do makes one.
type Step struct {
	Command    string     `json:"command"`
	Options    any        `json:"options,omitempty"`
	Conditions Conditions `json:"conditions,omitempty"`
}

// Command is what can stand in a call flow: the options of a command. What may
// stand where is said in docs/api.md; the server refuses the rest.
type Command interface{ command() string }

// Answer answers an incoming call. It has no options.
type Answer struct{}

// Ringing tells the caller of an incoming call that it rings. It has no options.
type Ringing struct{}

func (Answer) command() string     { return "answer" }
func (Ringing) command() string    { return "ringing" }
func (HangupCall) command() string { return "hangup" }
func (Playback) command() string   { return "playback" }
func (Say) command() string        { return "say" }
func (Gather) command() string     { return "gather" }
func (Record) command() string     { return "record" }
func (BridgeCall) command() string { return "bridge" }
func (PauseCall) command() string  { return "pause" }

// Do is a step that carries a command out if all conditions hold.
func Do(c Command, conditions ...CallFlowCommandCondition) Step {
	return Step{Command: c.command(), Options: c, Conditions: conditions}
}

// Keys holds when exactly these keys were gathered; "" is none.
func Keys(keys string) CallFlowCommandCondition {
	return CallFlowCommandCondition{Variable: CallFlowCommandConditionVariableKeys, Operator: "eq", Value: keys}
}

// NotKeys holds when other keys were gathered, or none ever.
func NotKeys(keys string) CallFlowCommandCondition {
	return CallFlowCommandCondition{Variable: CallFlowCommandConditionVariableKeys, Operator: "ne", Value: keys}
}

// Speech holds when the words are part of what was understood, whatever their
// case and punctuation.
func Speech(words string) CallFlowCommandCondition {
	return CallFlowCommandCondition{Variable: CallFlowCommandConditionVariableSpeech, Operator: "contains", Value: words}
}
