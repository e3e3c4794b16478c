package scene

import (
	"fmt"
	"slices"
	"strings"
)

// Form is one kind of line.
type Form struct {
	// Text is the line with words in capitals for what differs: see Words.
	Text string
	// Does says what the line is for.
	Does string
	// Setup lines hold from the beginning, wherever they stand.
	Setup bool
	// Flow: the commands of a call flow stand below the line, indented.
	Flow bool
}

// Forms lists the lines of a scene.
func Forms() []Form {
	return []Form{
		{Text: "PARTY speaks CODEC", Setup: true, Does: "the codec that the party has; else it has PCMU and PCMA"},
		{Text: "PARTY has no telephone-events", Setup: true, Does: "the party's keys are heard in the audio"},
		{Text: "PARTY is busy", Setup: true, Does: "who calls the party is turned away with 486"},
		{Text: "the file NAME says TEXT", Does: "an audio file is uploaded; a flow names it {NAME}"},
		{Text: "channel NAME", Flow: true, Does: "there is a channel, with the call flow that its incoming calls get"},
		{Text: "PARTY calls NAME", Does: "the party calls the channel"},
		{Text: "the server calls PARTY", Flow: true, Does: "a call is placed by the API, with the call flow"},
		{Text: "PARTY is called", Does: "the party's telephone rings"},
		{Text: "PARTY answers", Does: "the party takes the call"},
		{Text: "PARTY says TEXT", Does: "the party speaks, to the end"},
		{Text: "PARTY presses KEYS by WAY", Does: "the party presses keys, as telephone-events, by INFO or as tones"},
		{Text: "PARTY hangs up", Does: "the party ends its call"},
		{Text: "the flow of PARTY becomes", Flow: true, Does: "another call flow takes the place of the party's"},
		{Text: "PARTY is answered", Does: "the party's call is taken"},
		{Text: "PARTY is turned away with NUMBER", Does: "the party's call is refused with the SIP status"},
		{Text: "PARTY is hung up", Does: "the party's call is ended by the other side"},
		{Text: "PARTY hears TEXT", Does: "the server's voice says it to the party, whole and after what it heard before"},
		{Text: "PARTY hears the beginning of TEXT", Does: "the first second of it"},
		{Text: "PARTY did not hear the end of TEXT", Does: "the last second of it is nowhere in what the party heard"},
		{Text: "PARTY hears PARTY", Does: "what the other one said last, whole and after what it heard before"},
		{Text: "PARTY hears a beep", Does: "the tone before a message"},
		{Text: "the call of PARTY is STATUS", Does: "the API shows the call with the status, or comes to"},
		{Text: "the commands of PARTY are LIST", Does: "all commands of the party's call with their status, or coming to it: say completed, bridge skipped"},
		{Text: "the keys of PARTY are KEYS", Does: "what the last gather took"},
		{Text: "the recording is stereo, left PARTY, right PARTY", Does: "the channel's one recording is made; all that each said is on its side, and not on the other"},
		{Text: "the recording is mono, of PARTY", Does: "the channel's one recording is made, and all that the party said is in it"},
		{Text: "the transcript contains TEXT", Does: "these words, one after the other, are in the text of the recording"},
		{Text: "the transcript of the SIDE contains TEXT", Does: "the same, of one side"},
		{Text: "the receiver of webhooks is down", Does: "it answers 503 to all that come"},
		{Text: "the receiver of webhooks is back", Does: "it takes them again, after it has refused one at least"},
		{Text: "the webhooks of PARTY are LIST", Does: "all events of the party's call that the receiver had, in their order: voice.inbound starting"},
		{Text: "the webhooks of the recording are LIST", Does: "the same, of the recording"},
		{Text: "each webhook came once, signed", Does: "no event came twice, none is missing, and each bears both signatures"},
	}
}

// Word is something that stands in a line where its form has capitals.
type Word struct {
	Name string
	Does string
	like func(string) bool // nil: it is the rest of the line
}

// Words lists them.
func Words() []Word {
	const small = "abcdefghijklmnopqrstuvwxyz"
	of := func(set string, most int) func(string) bool {
		return func(s string) bool { return s != "" && len(s) <= most && strings.Trim(s, set) == "" }
	}
	among := func(words ...string) func(string) bool {
		return func(s string) bool { return slices.Contains(words, s) }
	}
	quoted := func(s string) bool { return len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"' }
	return []Word{
		{"PARTY", "a capital letter", of("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1)},
		{"NAME", "up to 16 small letters", of(small, 16)},
		{"TEXT", `words in "quotes"`, quoted},
		{"KEYS", "up to 20 of 0-9, * and #", of("0123456789*#", 20)},
		{"WAY", "rfc4733, info or tones", among("rfc4733", "info", "tones")},
		{"CODEC", "PCMU, PCMA or G722", among("PCMU", "PCMA", "G722")},
		{"NUMBER", "a number", of("0123456789", 6)},
		{"SIDE", "left or right", among("left", "right")},
		{"STATUS", "a status of the API", of(small+"-", 20)},
		{"LIST", "what stands between commas, to the end of the line", nil},
	}
}

func wordOf(name string) (Word, bool) {
	for _, w := range Words() {
		if w.Name == name {
			return w, true
		}
	}
	return Word{}, false
}

// tokens takes a line apart at its spaces. What is in quotes is one token, with its
// quotes.
func tokens(line string) ([]string, error) {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		end := strings.IndexAny(line, " \t")
		if line[0] == '"' {
			closing := strings.IndexByte(line[1:], '"')
			if closing < 0 {
				return nil, fmt.Errorf("a quote is not closed: %s", line)
			}
			end = closing + 2
		}
		if end < 0 {
			end = len(line)
		}
		out = append(out, line[:end])
		line = line[end:]
	}
	return out, nil
}

// match returns what stands where the form has capitals. If the line is not of this
// form, fault says how it differs, and good how far it is like it.
func (f Form) match(line []string) (args []string, good int, fault string) {
	form := strings.Fields(f.Text)
	for i, want := range form {
		if i >= len(line) {
			return nil, i * much, "it ends too early"
		}
		bare := strings.TrimSuffix(want, ",")
		word, free := wordOf(bare)
		switch {
		case !free && line[i] != want:
			return nil, i*much + alike(line[i], want), fmt.Sprintf("%q is not %q", line[i], want)
		case !free:
			continue
		case word.like == nil:
			return append(args, strings.Join(line[i:], " ")), 0, ""
		}
		got, comma := strings.CutSuffix(line[i], ",")
		if comma != (bare != want) || !word.like(got) {
			return nil, i * much, fmt.Sprintf("%s is no %s (%s)", line[i], bare, word.Does)
		}
		args = append(args, strings.Trim(got, `"`))
	}
	if len(line) > len(form) {
		return nil, len(form) * much, fmt.Sprintf("%q is too much", line[len(form)])
	}
	return args, 0, ""
}

// much is what a whole word counts.
const much = 100

// alike is how many letters two words begin with together.
func alike(a, b string) int {
	n := 0
	for n < min(len(a), len(b), much-1) && a[n] == b[n] {
		n++
	}
	return n
}

// find finds the form of a line. Of lines that have none, it tells what is wrong
// with them by the form that they are most like.
func find(text string) (Form, []string, error) {
	line, err := tokens(text)
	if err != nil {
		return Form{}, nil, err
	}
	most, nearest := -1, ""
	for _, f := range Forms() {
		args, good, fault := f.match(line)
		if fault == "" {
			return f, args, nil
		}
		if good > most {
			most, nearest = good, fmt.Sprintf("%s; the line that is most like it is: %s", fault, f.Text)
		}
	}
	return Form{}, nil, fmt.Errorf("no scene has a line like this: %s", nearest)
}
