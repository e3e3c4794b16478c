package flow

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/voice"
)

func some(s string) *string { return &s }

// TestHolds: every operator with both variables, for values that were gathered,
// that were gathered empty, and that were not gathered.
func TestHolds(t *testing.T) {
	all := voice.Operators()
	for _, tt := range []struct {
		name     string
		v        Values
		variable voice.Variable
		value    string
		want     [3]bool // eq, ne, contains
	}{
		{"keys alike", Values{Keys: some("12")}, voice.VariableKeys, "12", [3]bool{true, false, true}},
		{"keys in part", Values{Keys: some("12")}, voice.VariableKeys, "2", [3]bool{false, true, true}},
		{"other keys", Values{Keys: some("12")}, voice.VariableKeys, "21", [3]bool{false, true, false}},
		{"a key is no number", Values{Keys: some("01")}, voice.VariableKeys, "1", [3]bool{false, true, true}},
		{"no key was pressed", Values{Keys: some("")}, voice.VariableKeys, "", [3]bool{true, false, true}},
		{"keys were never gathered", Values{Speech: some("2")}, voice.VariableKeys, "", [3]bool{false, true, false}},
		{"star and hash", Values{Keys: some("*1#")}, voice.VariableKeys, "*1#", [3]bool{true, false, true}},
		{"speech alike", Values{Speech: some("yes please")}, voice.VariableSpeech, "Yes, please!", [3]bool{true, false, true}},
		{"speech in part", Values{Speech: some("Oh, YES please.")}, voice.VariableSpeech, "yes", [3]bool{false, true, true}},
		{"other speech", Values{Speech: some("no")}, voice.VariableSpeech, "yes", [3]bool{false, true, false}},
		{"apostrophes", Values{Speech: some("that's it")}, voice.VariableSpeech, "Thats it", [3]bool{true, false, true}},
		{"hyphens part words", Values{Speech: some("twenty-one")}, voice.VariableSpeech, "twenty one", [3]bool{true, false, true}},
		{"accents count", Values{Speech: some("Ação")}, voice.VariableSpeech, "ação", [3]bool{true, false, true}},
		{"nothing was said", Values{Speech: some("")}, voice.VariableSpeech, "...", [3]bool{true, false, true}},
		{"speech was never gathered", Values{Keys: some("yes")}, voice.VariableSpeech, "yes", [3]bool{false, true, false}},
	} {
		want := map[voice.Operator]bool{
			voice.OperatorEq: tt.want[0], voice.OperatorEquals: tt.want[0],
			voice.OperatorNe: tt.want[1], voice.OperatorNot: tt.want[1],
			voice.OperatorContains: tt.want[2],
		}
		for _, operator := range all {
			c := []voice.Condition{{Variable: tt.variable, Operator: operator, Value: tt.value}}
			if got := Holds(c, tt.v); got != want[operator] {
				t.Errorf("%s: %s %s %q is %v", tt.name, tt.variable, operator, tt.value, got)
			}
			if got := Unmet(c, tt.v); (got == "") != want[operator] {
				t.Errorf("%s: %s: unmet is %q", tt.name, operator, got)
			}
		}
	}
	if !Holds(nil, Values{}) {
		t.Error("no condition does not hold")
	}
	if Holds([]voice.Condition{{Variable: voice.VariableKeys, Operator: "like", Value: "1"}}, Values{Keys: some("1")}) {
		t.Error("an unknown operator holds")
	}
}

// TestAllMustHold: conditions are joined by "and".
func TestAllMustHold(t *testing.T) {
	v := Values{Keys: some("2"), Speech: some("sales")}
	good := voice.Condition{Variable: voice.VariableKeys, Operator: voice.OperatorEq, Value: "2"}
	bad := voice.Condition{Variable: voice.VariableSpeech, Operator: voice.OperatorContains, Value: "support"}
	if !Holds([]voice.Condition{good, good}, v) || Holds([]voice.Condition{good, bad}, v) || Holds([]voice.Condition{bad, good}, v) {
		t.Error("conditions are not joined by and")
	}
}

// TestNext: a menu goes where the key says, and skips the rest.
func TestNext(t *testing.T) {
	if2 := func(value string, c voice.Command) voice.FlowCommand {
		return voice.FlowCommand{Command: c, Conditions: []voice.Condition{{Variable: voice.VariableKeys, Operator: voice.OperatorEq, Value: value}}}
	}
	steps := []voice.FlowCommand{{Command: &voice.Gather{}}, if2("1", &voice.Pause{}), if2("2", &voice.Bridge{}), {Command: &voice.Hangup{}}}
	at, skipped := Next(steps, 0, Values{})
	if at != 0 || len(skipped) != 0 {
		t.Fatalf("began at %d, skipped %v", at, skipped)
	}
	var v Values
	v.Take(some("2"), nil)
	if at, skipped = Next(steps, 1, v); at != 2 || !slices.Equal(skipped, []int{1}) {
		t.Fatalf("went on at %d, skipped %v", at, skipped)
	}
	v.Take(nil, some("one"))
	if at, _ = Next(steps, 1, v); at != 2 {
		t.Error("a gather of speech changed the keys")
	}
	if at, skipped = Next(steps, 3, v); at != 3 || skipped != nil {
		t.Fatalf("went on at %d, skipped %v", at, skipped)
	}
	if at, _ = Next(steps, 4, v); at != len(steps) {
		t.Fatal("the end was not found")
	}
}

// TestEveryStepOnce: whatever the conditions, going through a flow runs or skips
// every step exactly once, in order.
func TestEveryStepOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := make([]voice.FlowCommand, rapid.IntRange(0, voice.MaxFlow).Draw(t, "steps"))
		for i := range steps {
			steps[i].Command = &voice.Hangup{}
			for range rapid.IntRange(0, 2).Draw(t, "conditions") {
				steps[i].Conditions = append(steps[i].Conditions, voice.Condition{
					Variable: rapid.SampledFrom([]voice.Variable{voice.VariableKeys, voice.VariableSpeech}).Draw(t, "variable"),
					Operator: rapid.SampledFrom(voice.Operators()).Draw(t, "operator"),
					Value:    rapid.SampledFrom([]string{"", "1", "yes"}).Draw(t, "value"),
				})
			}
		}
		var v Values
		var seen []int
		for from := 0; from < len(steps); {
			at, skipped := Next(steps, from, v)
			seen = append(seen, skipped...)
			if at < len(steps) {
				seen = append(seen, at)
			}
			from = at + 1
			v.Take(some(rapid.SampledFrom([]string{"", "1", "yes"}).Draw(t, "heard")), nil)
		}
		for i, at := range seen {
			if at != i {
				t.Fatalf("steps came as %v", seen)
			}
		}
		if len(seen) != len(steps) {
			t.Fatalf("%d steps of %d came", len(seen), len(steps))
		}
	})
}
