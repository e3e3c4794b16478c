package scene

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tapedeck/internal/testkit"
)

func TestParse(t *testing.T) {
	s, err := Parse("x.call", `# Two keys.

A has no telephone-events
channel main
    gather  {"maxNumKeys": 1,
             "say": {"text": "press two, {C}"}}
    # what comes then
    say     {"text": "one moment"}  if keys eq 2 and speech contains "to sales"
    hangup

A calls main   
A says "two, please"
A presses 2# by rfc4733
the recording is stereo, left A, right B
the webhooks of A are voice.inbound starting,  voice.inbound completed
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Title != "Two keys." || s.File != "x.call" {
		t.Errorf("title %q of %q", s.Title, s.File)
	}
	want := []struct {
		line int
		form string
		args []string
	}{
		{3, "PARTY has no telephone-events", []string{"A"}},
		{4, "channel NAME", []string{"main"}},
		{11, "PARTY calls NAME", []string{"A", "main"}},
		{12, "PARTY says TEXT", []string{"A", "two, please"}},
		{13, "PARTY presses KEYS by WAY", []string{"A", "2#", "rfc4733"}},
		{14, "the recording is stereo, left PARTY, right PARTY", []string{"A", "B"}},
		{15, "the webhooks of PARTY are LIST", []string{"A", "voice.inbound starting, voice.inbound completed"}},
	}
	if len(s.Steps) != len(want) {
		t.Fatalf("%d steps", len(s.Steps))
	}
	for i, w := range want {
		if g := s.Steps[i]; g.Line != w.line || g.Form.Text != w.form || !reflect.DeepEqual(g.Args, w.args) {
			t.Errorf("step %d: line %d, %q, %q", i, g.Line, g.Form.Text, g.Args)
		}
	}
	if got := s.Steps[6].List(); !reflect.DeepEqual(got, []string{"voice.inbound starting", "voice.inbound completed"}) {
		t.Errorf("list %q", got)
	}
	if got := s.Parties(); !reflect.DeepEqual(got, []string{"A", "B", "C"}) {
		t.Errorf("parties %q", got)
	}
	flow, err := json.Marshal(s.Steps[1].Flow)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(flow); got != `[{"command":"gather","options":{"maxNumKeys":1,"say":{"text":"press two, {C}"}}},`+
		`{"command":"say","options":{"text":"one moment"},"conditions":[{"variable":"keys","operator":"eq","value":"2"},{"variable":"speech","operator":"contains","value":"to sales"}]},`+
		`{"command":"hangup"}]` {
		t.Errorf("flow %s", got)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "x.call:1: it does not begin with a comment",
		"# t\n":                           "x.call:1: nothing happens",
		"# t\nA hear B":                   `x.call:2: no scene has a line like this: "hear" is not "hears"; the line that is most like it is: PARTY hears`,
		"# t\nA hears":                    "x.call:2: no scene has a line like this: it ends too early",
		"# t\nA hears b":                  "PARTY hears ",
		"# t\nA hears \"b":                "x.call:2: a quote is not closed",
		"# t\nA is busy now":              `x.call:2: no scene has a line like this: "now" is too much`,
		"# t\nA presses 2 by post":        "x.call:2: no scene has a line like this: post is no WAY (rfc4733, info or tones)",
		"# t\nA presses x by info":        "x.call:2: no scene has a line like this: x is no KEYS",
		"# t\nA is busy\n\n  hangup":      `x.call:3: there is no call flow below "PARTY is busy"`,
		"  hangup":                        "x.call:1: it is indented",
		"# t\nA calls main":               "x.call:2: nothing above has the name main",
		"# t\nchannel main\nchannel main": "x.call:3: there are two things with the name main",
		"# t\nchannel main\n  hangup\n  say {\"a\"":    "x.call:4: the options of say: unexpected EOF",
		"# t\nchannel main\n  say {\n  \"a\":1 2}":     "x.call:4: the options of say: invalid character '2'",
		"# t\nchannel main\n  say when x":              `x.call:3: "when" stands where only "if" may`,
		"# t\nchannel main\n  say if x":                "x.call:3: a condition is a variable, an operator and a value, like: if keys eq 2",
		"# t\nchannel main\n  Say":                     `x.call:3: "Say" is no command`,
		"# t\nthe commands of A are say,, say":         "x.call:2: between two commas there is nothing",
		"# t\n\xff":                                    "x.call:1: it is not UTF-8",
		"# t\nthe recording is stereo, left A right B": "x.call:2: no scene has a line like this: A is no PARTY",
	} {
		_, err := Parse("x.call", text)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("x.call", "# t\nA x\nB y"); err == nil || strings.Count(err.Error(), "x.call:") != 2 {
		t.Errorf("not every error was told: %v", err)
	}
}

// TestFormsAreTold: the page beside the scenes has every line and every word.
func TestFormsAreTold(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testkit.Root(t), "internal", "calltest", "testdata", "calls", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Forms() {
		if !strings.Contains(string(page), "| `"+f.Text+"` | "+f.Does+" |\n") {
			t.Errorf("it lacks: | `%s` | %s |", f.Text, f.Does)
		}
	}
	for _, w := range Words() {
		if !strings.Contains(string(page), "| "+w.Name+" | "+w.Does+" |\n") {
			t.Errorf("it lacks: | %s | %s |", w.Name, w.Does)
		}
	}
}

// FuzzParse: whatever stands in a file, what is read of it is sound, and what is
// wrong has a line that the file has.
func FuzzParse(f *testing.F) {
	f.Add("# t\nchannel main\n  say {\"text\": \"x\"} if keys eq 2\n\nA calls main\nA hears \"x\"\n")
	f.Add("# t\nchannel main\n  say {\n \"a\" \"b\"}\nA hear B\n  x")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("x.call", text)
		lines := strings.Count(text, "\n") + 1
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > lines {
				t.Errorf("error %v of %d lines", err, lines)
			}
			return
		}
		last := 0
		for _, step := range s.Steps {
			if step.Line <= last || step.Line > lines || step.Text == "" {
				t.Errorf("line %d after %d", step.Line, last)
			}
			last = step.Line
			for _, c := range step.Flow {
				if _, err := json.Marshal(c); err != nil {
					t.Errorf("command %+v: %v", c, err)
				}
			}
		}
	})
}
