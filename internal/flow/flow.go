package flow

import (
	"strings"
	"unicode"

	"tapedeck/internal/voice"
)

// Values are what the call's gathers have heard so far. Nil is what no gather
// has listened for yet; a gather that heard nothing leaves an empty text.
type Values struct {
	Keys   *string
	Speech *string
}

// Take puts what a gather heard in the place of what was heard before. What it
// did not listen for (nil) stays.
func (v *Values) Take(keys, speech *string) {
	if keys != nil {
		v.Keys = keys
	}
	if speech != nil {
		v.Speech = speech
	}
}

// Next finds the step that runs next, from a place in the flow on. It returns
// its place, and the places of the steps before it whose conditions do not hold.
// At is len(steps) when the flow has come to its end.
func Next(steps []voice.FlowCommand, from int, v Values) (at int, skipped []int) {
	for at = from; at < len(steps); at++ {
		if Holds(steps[at].Conditions, v) {
			return at, skipped
		}
		skipped = append(skipped, at)
	}
	return at, skipped
}

// Holds reports whether all conditions hold. A value that was never gathered is
// equal to nothing and contains nothing: for it only "ne" and "!=" hold.
func Holds(conditions []voice.Condition, v Values) bool {
	for _, c := range conditions {
		if !holds(c, v) {
			return false
		}
	}
	return true
}

// Unmet is the first condition that does not hold, in words, for the reason of a
// command that was skipped; empty when all hold.
func Unmet(conditions []voice.Condition, v Values) string {
	for _, c := range conditions {
		if !holds(c, v) {
			return "the condition " + string(c.Variable) + " " + string(c.Operator) + " \"" + c.Value + "\" does not hold"
		}
	}
	return ""
}

func holds(c voice.Condition, v Values) bool {
	heard, same := v.Keys, func(s string) string { return s }
	if c.Variable == voice.VariableSpeech {
		heard, same = v.Speech, plain
	}
	equal := heard != nil && same(*heard) == same(c.Value)
	switch c.Operator {
	case voice.OperatorEq, voice.OperatorEquals:
		return equal
	case voice.OperatorNe, voice.OperatorNot:
		return !equal
	case voice.OperatorContains:
		return heard != nil && strings.Contains(same(*heard), same(c.Value))
	}
	return false
}

// plain is speech as it is compared: in small letters, without punctuation, with
// one space between words. An apostrophe is left out without parting its word.
func plain(s string) string {
	var b strings.Builder
	gap := false
	for _, c := range s {
		switch {
		case c == '\'' || c == '’':
			continue
		case !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c):
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
