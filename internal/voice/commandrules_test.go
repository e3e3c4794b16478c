package voice

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestCommandFaults: each option has its limits, and every fault is told.
func TestCommandFaults(t *testing.T) {
	many := make([]string, MaxMedia+1)
	for i := range many {
		many[i] = "https://example.com/a.wav"
	}
	for _, tt := range []struct {
		name string
		c    Command
		want []string // the members with faults
	}{
		{"playback", &Playback{Media: []string{"https://example.com/a.wav", "media:0197e2f0-0000-7000-8000-000000000001"}, Loop: MaxLoop, Gap: MaxMediaPause}, nil},
		{"playback of nothing", &Playback{}, []string{"media"}},
		{"playback of too much", &Playback{Media: many}, []string{"media"}},
		{"playback of odd files", &Playback{Media: []string{"ftp://example.com/a", "media:7", "http://", "x"}, Loop: -1, Gap: 30001, Timeout: -1},
			[]string{"loop", "media.0", "media.1", "media.2", "media.3", "pauseMilliseconds", "timeout"}},
		{"say", &Say{Text: "Hello", Locale: "en-GB", Voice: "slt"}, nil},
		{"say of nothing", &Say{Text: " "}, []string{"text"}},
		{"say of too much", &Say{Text: strings.Repeat("ä", MaxText+1), Locale: "xx-XX", Voice: strings.Repeat("v", 101)}, []string{"locale", "text", "voice"}},
		{"gather", &Gather{MaxNumKeys: 1, EndKey: "#", Input: GatherBoth, SpeechLocale: "en-US", Say: &Say{Text: "Press one"}}, nil},
		{"gather by default", &Gather{}, nil},
		{"gather with faults", &Gather{MaxNumKeys: -1, EndKey: "A", Timeout: -1, Retries: 11, Input: "touch", SpeechLocale: "en-IN"},
			[]string{"endKey", "input", "maxNumKeys", "retries", "speechLocale", "timeout"}},
		{"gather with two prompts", &Gather{Say: &Say{}, Playback: &Playback{}}, []string{"playback.media", "say", "say.text"}},
		{"record", &Record{EndKey: "#", Beep: true, Transcribe: true, TranscribeLocale: "en-WL"}, nil},
		{"record with faults", &Record{EndKey: "12", MaxLength: -1, Timeout: 90000, TranscribeLocale: "arb"}, []string{"endKey", "maxLength", "timeout", "transcribeLocale"}},
		{"pause", &Pause{Length: 2}, nil},
		{"pause of nothing", &Pause{}, []string{"length"}},
		{"pause for ever", &Pause{Length: 86401}, []string{"length"}},
		{"bridge", &Bridge{To: "100", RingTone: "us", AMD: &AMDSettings{Enabled: true}}, nil},
		{"bridge with faults", &Bridge{RingTimeout: 2, RingTone: "xx", AMD: &AMDSettings{WordCount: 101, IfMachineNotifyAfter: "beep"}, Notification: &Notification{},
			Flow: []FlowCommand{{Command: &Bridge{To: "1"}}}},
			[]string{"amdSettings.ifMachineNotifyAfter", "amdSettings.wordCount", "callFlow.0.command", "notification.url", "ringTimeout", "ringTone", "to"}},
		{"hangup", &Hangup{Cause: "late"}, []string{"cause"}},
		{"record-call", &RecordCall{MaxLength: -1}, []string{"maxLength"}},
	} {
		if got := slices.Sorted(maps.Keys(CommandFaults(tt.c))); !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults in %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFlowFaults: commands, conditions and length of a flow are checked where
// they stand.
func TestFlowFaults(t *testing.T) {
	flow := []FlowCommand{
		{Command: &Answer{}},
		{Command: &Hangup{}, Conditions: []Condition{{VariableKeys, OperatorEq, "2"}, {"colour", "like", ""}}},
	}
	got := slices.Sorted(maps.Keys(FlowFaults(flow, "callFlow", OutboundKinds())))
	if want := []string{"callFlow.0.command", "callFlow.1.conditions.1.operator", "callFlow.1.conditions.1.variable"}; !slices.Equal(got, want) {
		t.Errorf("faults in %q, want %q", got, want)
	}
	if got := FlowFaults(make21(), "callFlow", InboundKinds()); len(got["callFlow"]) != 1 {
		t.Errorf("21 commands: %q", got)
	}
	if got := FlowFaults(flow[:1], "callFlow", InboundKinds()); got != nil {
		t.Errorf("an answer: %q", got)
	}
}

func make21() []FlowCommand {
	flow := make([]FlowCommand, 21)
	for i := range flow {
		flow[i].Command = &Hangup{}
	}
	return flow
}

// TestFlowCommandJSON: every command that may stand in a flow reads back as it
// was written.
func TestFlowCommandJSON(t *testing.T) {
	yes := true
	for _, step := range []FlowCommand{
		{Command: &Answer{}}, {Command: &Ringing{}}, {Command: &Hangup{Cause: CauseBusy}}, {Command: &Pause{Length: 2}},
		{Command: &Playback{Media: []string{"https://example.com/a.wav"}, Loop: 2, Timeout: 3, Gap: 40}},
		{Command: &Say{Text: "Hello", Locale: "de-DE", Voice: "female", Loop: 2, Timeout: 5}},
		{Command: &Gather{MaxNumKeys: 4, EndKey: "#", Timeout: 3, Retries: 2, Input: GatherBoth, SpeechLocale: "en-US", Say: &Say{Text: "Now"}},
			Conditions: []Condition{{VariableSpeech, OperatorContains, "yes"}}},
		{Command: &Record{EndKey: "*", MaxLength: 60, Timeout: 4, Beep: true, Transcribe: true, TranscribeLocale: "en-GB"}},
		{Command: &Bridge{To: "100", RingTone: "us", HangupAfterBridge: &yes, AMD: &AMDSettings{Enabled: true}, Flow: []FlowCommand{{Command: &Say{Text: "A call"}}}}},
	} {
		text, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		var back FlowCommand
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) || back.Command.Kind() != step.Command.Kind() {
			t.Errorf("%s became %s (%v)", text, again, err)
		}
	}
}

// TestExpandPrompts: numbers are put into what is spoken and played, and the flow
// they come from stays as it is.
func TestExpandPrompts(t *testing.T) {
	flow := []FlowCommand{
		{Command: &Say{Text: "You called {to}"}},
		{Command: &Playback{Media: []string{"https://example.com/{from}.wav"}}},
		{Command: &Gather{Say: &Say{Text: "{from}"}}},
		{Command: &Gather{Playback: &Playback{Media: []string{"https://example.com/{to}"}}}},
	}
	before, _ := json.Marshal(flow)
	got, _ := json.Marshal(Expand(flow, "11", "22"))
	if after, _ := json.Marshal(flow); string(after) != string(before) {
		t.Errorf("the flow was changed to %s", after)
	}
	want := strings.NewReplacer("{from}", "11", "{to}", "22").Replace(string(before))
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
