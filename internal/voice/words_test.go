package voice_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/voice"
)

func TestCanonicalID(t *testing.T) {
	for in, want := range map[string]string{
		"0193b5a0-1234-7abc-8def-00000000000a": "0193b5a0-1234-7abc-8def-00000000000a",
		"0193B5A0-1234-7ABC-8DEF-00000000000A": "0193b5a0-1234-7abc-8def-00000000000a",
		"00000000-0000-0000-0000-000000000000": "00000000-0000-0000-0000-000000000000",
	} {
		if got, err := voice.CanonicalID(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for in, says := range map[string]string{
		"":                                       "has 36 characters, this has 0",
		"0193b5a0-1234-7abc-8def-00000000000":    "this has 35",
		"{0193b5a0-1234-7abc-8def-00000000000a}": "this has 38",
		"0193b5a012347abc8def00000000000a":       "this has 32",
		"0193b5a0+1234-7abc-8def-00000000000a":   "a hyphen at position 9",
		"0193b5a0-1234-7abc-8def-00000000000g":   "position 36 has 'g'",
		"0193b5a0-1234-7abc-8def-0000000000é":    "hexadecimal digits only",
		"-193b5a0-1234-7abc-8def-00000000000a":   "position 1 has '-'",
		"../../../etc/passwd/0000000000000000":   "hexadecimal digits only",
	} {
		if got, err := voice.CanonicalID(in); err == nil || !strings.Contains(err.Error(), says) || got != "" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func FuzzCanonicalID(f *testing.F) {
	f.Add("0193B5A0-1234-7ABC-8DEF-00000000000A")
	f.Add("0193b5a0-1234-7abc-8def-00000000000")
	f.Add("../../../etc/passwd/0000000000000000")
	f.Fuzz(func(t *testing.T, in string) {
		id, err := voice.CanonicalID(in)
		if err != nil {
			return
		}
		if again, err := voice.CanonicalID(id); err != nil || again != id || !strings.EqualFold(id, in) {
			t.Errorf("%q became %q, then %q, %v", in, id, again, err)
		}
		if strings.Trim(id, "0123456789abcdef-") != "" {
			t.Errorf("%q", id)
		}
	})
}

func pointer[T any](v T) *T { return &v }

func TestFlowCommandJSON(t *testing.T) {
	for want, step := range map[string]voice.FlowCommand{
		`{"command":"answer"}`:                            {Command: &voice.Answer{}},
		`{"command":"ringing"}`:                           {Command: &voice.Ringing{}},
		`{"command":"hangup"}`:                            {Command: &voice.Hangup{}},
		`{"command":"hangup","options":{"cause":"busy"}}`: {Command: &voice.Hangup{Cause: voice.CauseBusy}},
		`{"command":"pause","options":{"length":2}}`:      {Command: &voice.Pause{Length: 2}},
		`{"command":"bridge","options":{"to":"{to}"}}`:    {Command: &voice.Bridge{To: "{to}"}},
		`{"command":"answer","conditions":[{"variable":"keys","operator":"eq","value":"1"}]}`: {
			Command: &voice.Answer{}, Conditions: []voice.Condition{{Variable: "keys", Operator: "eq", Value: "1"}},
		},
		`{"command":"bridge","options":{"to":"sip:a@b","hangupAfterBridge":false,"record":true,"recordStereo":true,"callFlow":[{"command":"hangup"}]}}`: {
			Command: &voice.Bridge{To: "sip:a@b", HangupAfterBridge: pointer(false), Record: true, RecordStereo: true, Flow: []voice.FlowCommand{{Command: &voice.Hangup{}}}},
		},
	} {
		got, err := json.Marshal(step)
		if err != nil || string(got) != want {
			t.Errorf("wrote %s, %v, want %s", got, err, want)
		}
		var back voice.FlowCommand
		if err := json.Unmarshal([]byte(want), &back); err != nil || !reflect.DeepEqual(back, step) {
			t.Errorf("read %s as %+v, %v", want, back, err)
		}
	}
	for in, says := range map[string]string{
		`{"command":"record-call"}`: `command "record-call" cannot stand in a call flow`,
		`{"command":"dance"}`:       `command "dance" cannot stand in a call flow`,
		`{}`:                        `command "" cannot stand in a call flow`,
		`{"command":"pause","options":{"length":"long"}}`: `options of command "pause"`,
		`{"command":"pause","options":[]}`:                `options of command "pause"`,
		`{"command":1}`:                                   "cannot unmarshal",
		`[]`:                                              "cannot unmarshal",
		`{"command":"bridge","options":{"callFlow":[{"command":"x"}]}}`: `command "x"`,
	} {
		var step voice.FlowCommand
		if err := json.Unmarshal([]byte(in), &step); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", in, err)
		}
	}
	var step voice.FlowCommand
	if err := json.Unmarshal([]byte(`{"command":"answer","options":null,"conditions":null}`), &step); err != nil ||
		!reflect.DeepEqual(step, voice.FlowCommand{Command: &voice.Answer{}}) {
		t.Errorf("null members: %+v, %v", step, err)
	}
}

// anyFlow draws a call flow, bridges with flows of their own among it.
func anyFlow(depth int) *rapid.Generator[[]voice.FlowCommand] {
	word := rapid.SampledFrom([]string{"", "{to}", "{from}", "+351{to}", "sip:{from}@x", "{to}{to}", "{other}", "1000", "{", "ä\"\\"})
	step := rapid.Custom(func(t *rapid.T) voice.FlowCommand {
		var f voice.FlowCommand
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			f.Command = &voice.Answer{}
		case 1:
			f.Command = &voice.Ringing{}
		case 2:
			f.Command = &voice.Hangup{Cause: rapid.SampledFrom([]voice.HangupCause{"", voice.CauseBusy, voice.CauseRejected}).Draw(t, "cause")}
		case 3:
			f.Command = &voice.Pause{Length: rapid.IntRange(0, 100).Draw(t, "length")}
		case 4:
			b := &voice.Bridge{To: word.Draw(t, "to"), From: word.Draw(t, "from"), Record: rapid.Bool().Draw(t, "record")}
			if depth > 0 && rapid.Bool().Draw(t, "nested") {
				b.Flow = anyFlow(depth-1).Draw(t, "flow")
			}
			f.Command = b
		}
		if rapid.Bool().Draw(t, "guarded") {
			f.Conditions = []voice.Condition{{Variable: "keys", Operator: "==", Value: word.Draw(t, "value")}}
		}
		return f
	})
	return rapid.SliceOfN(step, 1, 4)
}

func TestFlowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flow := anyFlow(2).Draw(t, "flow")
		data, err := json.Marshal(flow)
		if err != nil {
			t.Fatal(err)
		}
		var back []voice.FlowCommand
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, flow) {
			t.Fatalf("%s became %+v, %v", data, back, err)
		}
	})
}

func FuzzFlowCommand(f *testing.F) {
	f.Add([]byte(`{"command":"bridge","options":{"to":"{to}","record":true,"callFlow":[{"command":"hangup"}]},"conditions":[{"variable":"keys"}]}`))
	f.Add([]byte(`{"command":"pause","options":{"length":2}}`))
	f.Add([]byte(`{"command":"answer","options":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var step voice.FlowCommand
		if json.Unmarshal(data, &step) != nil || string(data) == "null" {
			return
		}
		again, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		var back voice.FlowCommand
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if third, err := json.Marshal(back); err != nil || string(third) != string(again) {
			t.Errorf("%s became %s, %v", again, third, err)
		}
	})
}

// TestExpand: {to} and {from} are replaced in every bridge, once, and the flow
// of the channel itself stays as it is.
func TestExpand(t *testing.T) {
	flow := []voice.FlowCommand{
		{Command: &voice.Answer{}, Conditions: []voice.Condition{{Value: "{to}"}}},
		{Command: &voice.Bridge{To: "{to}", From: "sip:{from}@x", Flow: []voice.FlowCommand{{Command: &voice.Bridge{To: "{from}{to}{other}"}}}}},
	}
	before, err := json.Marshal(flow)
	if err != nil {
		t.Fatal(err)
	}
	got := voice.Expand(flow, "{to}", "+200") // a caller who calls himself {to} does not
	want := []voice.FlowCommand{
		flow[0],
		{Command: &voice.Bridge{To: "+200", From: "sip:{to}@x", Flow: []voice.FlowCommand{{Command: &voice.Bridge{To: "{to}+200{other}"}}}}},
	}
	gotJSON, err1 := json.Marshal(got)
	wantJSON, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(gotJSON) != string(wantJSON) {
		t.Errorf("got %s, want %s", gotJSON, wantJSON)
	}
	if after, err := json.Marshal(flow); err != nil || string(after) != string(before) {
		t.Errorf("the flow itself became %s, %v", after, err)
	}
}

func TestExpandLeavesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flow := anyFlow(2).Draw(t, "flow")
		data, err := json.Marshal(voice.Expand(flow, "A", "B"))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range voice.Expand(flow, "A", "B") {
			b, ok := step.Command.(*voice.Bridge)
			if ok && (strings.Contains(b.To+" "+b.From, "{to}") || strings.Contains(b.To+" "+b.From, "{from}")) {
				t.Fatalf("left in %s", data)
			}
		}
	})
}

func TestBridgeDefaults(t *testing.T) {
	for _, c := range []struct {
		given *bool
		want  bool
	}{{nil, true}, {pointer(true), true}, {pointer(false), false}} {
		if got := (&voice.Bridge{HangupAfterBridge: c.given}).EndsNear(); got != c.want {
			t.Errorf("%v: %v", c.given, got)
		}
	}
	for seconds, want := range map[int]time.Duration{0: 30 * time.Second, -1: 30 * time.Second, 3: 3 * time.Second} {
		if got := (&voice.Inbound{RingTimeout: seconds}).RingTime(); got != want {
			t.Errorf("%d: %v", seconds, got)
		}
	}
}

func TestCall(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start.Add(time.Hour)
	for name, c := range map[string]struct {
		call voice.Call
		want time.Duration
	}{
		"not answered": {voice.Call{EndedAt: now}, 0},
		"goes on":      {voice.Call{AnsweredAt: start}, time.Hour},
		"ended":        {voice.Call{AnsweredAt: start, EndedAt: start.Add(time.Minute)}, time.Minute},
	} {
		if got := c.call.Duration(now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for direction, want := range map[voice.Direction]string{voice.Incoming: "from", voice.Outgoing: "to"} {
		if got := (&voice.Call{From: "from", To: "to", Direction: direction}).Near(); got != want {
			t.Errorf("%s: %s", direction, got)
		}
	}
}

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"+100", "100", true}, {"100", "100", true}, {"+100", "+100", true}, {"100", "101", false}, {"++1", "1", false}, {"", "+", true}} {
		if voice.SameNumber(c.a, c.b) != c.want || voice.SameNumber(c.b, c.a) != c.want {
			t.Errorf("%q and %q: want %v", c.a, c.b, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("disk on fire")
	e := &voice.Error{Code: voice.CodeUnavailable, Op: "store: write", Message: "try later", Err: cause}
	wrapped := fmt.Errorf("record: %w", e)
	if voice.CodeOf(wrapped) != voice.CodeUnavailable || !errors.Is(wrapped, cause) {
		t.Errorf("code %s", voice.CodeOf(wrapped))
	}
	if got := e.Error(); got != "store: write: try later: disk on fire" {
		t.Errorf("got %q", got)
	}
	if voice.CodeOf(cause) != voice.CodeInternal || voice.CodeOf(nil) != voice.CodeInternal {
		t.Error("what is not ours is internal")
	}
	if e := voice.NotFound("call"); e.Code != voice.CodeNotFound || e.Message != "The requested resource does not exist: call not found" {
		t.Errorf("got %+v", e)
	}
	if e := voice.Invalid(map[string][]string{"a": {"b"}}); e.Code != voice.CodeValidationFailed || len(e.Details) != 1 {
		t.Errorf("got %+v", e)
	}
}

// TestLists: every word is listed once.
func TestLists(t *testing.T) {
	var words []string
	for _, s := range voice.EndCauses() {
		words = append(words, "end "+string(s))
	}
	for _, s := range voice.CallStatuses() {
		words = append(words, "call "+string(s))
	}
	for _, s := range voice.RecordingStatuses() {
		words = append(words, "recording "+string(s))
	}
	for _, s := range voice.RecordingEvents() {
		words = append(words, "event "+string(s))
	}
	seen := map[string]bool{}
	for _, w := range words {
		if seen[w] {
			t.Errorf("%s is listed twice", w)
		}
		seen[w] = true
	}
	if len(words) != 8+10+7+8 {
		t.Errorf("%d words", len(words))
	}
	kinds := map[voice.CommandKind]voice.Command{
		voice.KindAnswer: &voice.Answer{}, voice.KindRinging: &voice.Ringing{}, voice.KindHangup: &voice.Hangup{},
		voice.KindPause: &voice.Pause{}, voice.KindBridge: &voice.Bridge{}, voice.KindRecordCall: &voice.RecordCall{},
	}
	for kind, c := range kinds {
		if c.Kind() != kind {
			t.Errorf("%T is a %s", c, c.Kind())
		}
	}
}
