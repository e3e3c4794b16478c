package voice

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// OutboundKinds lists the commands that may stand in the call flow of a call
// that we place.
func OutboundKinds() []CommandKind {
	return []CommandKind{KindHangup, KindPlayback, KindSay, KindGather, KindRecord, KindBridge, KindPause}
}

// InboundKinds lists the commands that may stand in a channel's inbound call
// flow, and in one that takes the place of a running one.
func InboundKinds() []CommandKind {
	return append([]CommandKind{KindAnswer, KindRinging}, OutboundKinds()...)
}

// FarKinds lists the commands that may stand in the call flow of the far call of
// a bridge: a bridge has two ends.
func FarKinds() []CommandKind {
	return []CommandKind{KindHangup, KindPlayback, KindSay, KindGather, KindRecord, KindPause}
}

// sayFault notes what is wrong with a member; an empty text is nothing.
type sayFault func(member, what string)

// FlowFaults returns what is wrong with a call flow of these commands, by member
// as the API names it, at being the name of the flow itself; nil when nothing is.
func FlowFaults(flow []FlowCommand, at string, kinds []CommandKind) map[string][]string {
	return gathered(func(say sayFault) { flowFaults(flow, at, kinds, say) })
}

// CommandFaults returns what is wrong with the options of a command, by member
// as the API names it; nil when nothing is.
func CommandFaults(c Command) map[string][]string {
	return gathered(func(say sayFault) {
		commandFaults(c, func(member, what string) { say(strings.TrimPrefix(member, "."), what) })
	})
}

func gathered(look func(sayFault)) map[string][]string {
	faults := map[string][]string{}
	look(func(member, what string) {
		if what != "" {
			faults[member] = append(faults[member], what)
		}
	})
	if len(faults) == 0 {
		return nil
	}
	return faults
}

func flowFaults(flow []FlowCommand, at string, kinds []CommandKind, say sayFault) {
	if len(flow) > MaxFlow {
		say(at, fmt.Sprintf("must have %d commands at most", MaxFlow))
	}
	for i, step := range flow {
		at := fmt.Sprintf("%s.%d", at, i)
		if !slices.Contains(kinds, step.Command.Kind()) {
			say(at+".command", "must be one of "+join(kinds))
		}
		commandFaults(step.Command, func(member, what string) { say(at+".options"+member, what) })
		conditionFaults(step.Conditions, at+".conditions", say)
	}
}

func conditionFaults(conditions []Condition, at string, say sayFault) {
	if len(conditions) > MaxFlow {
		say(at, fmt.Sprintf("must have %d conditions at most", MaxFlow))
	}
	for i, c := range conditions {
		at := fmt.Sprintf("%s.%d", at, i)
		if c.Variable != VariableKeys && c.Variable != VariableSpeech {
			say(at+".variable", "must be keys or speech")
		}
		if !slices.Contains(Operators(), c.Operator) {
			say(at+".operator", "must be one of "+join(Operators()))
		}
	}
}

// commandFaults names the options with a dot before them.
func commandFaults(c Command, say sayFault) {
	switch c := c.(type) {
	case *Hangup:
		if c.Cause != "" && c.Cause != CauseBusy && c.Cause != CauseRejected {
			say(".cause", fmt.Sprintf("must be %s or %s", CauseBusy, CauseRejected))
		}
	case *Pause:
		if c.Length < 1 {
			say(".length", "must be at least 1")
		}
		say(".length", atMost(c.Length, MaxCommandLength))
	case *Bridge:
		bridgeFaults(c, say)
	case *Playback:
		playbackFaults(c, "", say)
	case *Say:
		speakFaults(c, "", say)
	case *Gather:
		gatherFaults(c, say)
	case *Record:
		say(".endKey", keyFault(c.EndKey))
		say(".maxLength", upTo(c.MaxLength, MaxCommandLength))
		say(".timeout", upTo(c.Timeout, MaxCommandLength))
		say(".transcribeLocale", localeFault(c.TranscribeLocale, RecordLocales()))
	case *RecordCall:
		if c.MaxLength < 0 {
			say(".maxLength", "must be at least 0")
		}
	}
}

func bridgeFaults(c *Bridge, say sayFault) {
	if c.To == "" {
		say(".to", "is required")
	}
	say(".ringTimeout", ringTimeoutFault(c.RingTimeout))
	if c.MaxDuration < 0 {
		say(".maxDuration", "must be at least 1")
	}
	say(".recordStart", recordStartFault(c.RecordStart))
	if c.RingTone != "" && !slices.Contains(RingTones(), c.RingTone) {
		say(".ringTone", "must be one of "+join(RingTones()))
	}
	if c.AMD != nil {
		amdFaults(c.AMD, ".amdSettings", say)
	}
	if c.Notification != nil && c.Notification.URL == "" {
		say(".notification.url", "is required")
	}
	flowFaults(c.Flow, ".callFlow", FarKinds(), say)
}

func recordStartFault(start RecordStart) string {
	if start != "" && start != RecordFromAnswer && start != RecordFromRinging {
		return fmt.Sprintf("must be %s or %s", RecordFromAnswer, RecordFromRinging)
	}
	return ""
}

func playbackFaults(c *Playback, at string, say sayFault) {
	switch {
	case len(c.Media) == 0:
		say(at+".media", "is required")
	case len(c.Media) > MaxMedia:
		say(at+".media", fmt.Sprintf("must have %d files at most", MaxMedia))
	}
	for i, m := range c.Media {
		say(fmt.Sprintf("%s.media.%d", at, i), mediaFault(m))
	}
	say(at+".loop", upTo(c.Loop, MaxLoop))
	say(at+".timeout", upTo(c.Timeout, MaxCommandLength))
	say(at+".pauseMilliseconds", upTo(c.Gap, MaxMediaPause))
}

// mediaFault: a file is an address of the web, or one that was uploaded. Whether
// it is there, and is audio, shows when it is played.
func mediaFault(m string) string {
	if id, found := strings.CutPrefix(m, MediaScheme); found {
		if _, err := CanonicalID(id); err != nil {
			return "names no uploaded file: " + err.Error()
		}
		return ""
	}
	u, err := url.Parse(m)
	if err != nil || len(m) > 2048 || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "must be an http or https URL, or media: and the id of an uploaded file"
	}
	return ""
}

func speakFaults(c *Say, at string, say sayFault) {
	if strings.TrimSpace(c.Text) == "" {
		say(at+".text", "is required")
	}
	if utf8.RuneCountInString(c.Text) > MaxText {
		say(at+".text", fmt.Sprintf("must have %d characters at most", MaxText))
	}
	say(at+".locale", localeFault(c.Locale, SayLocales()))
	if len(c.Voice) > 100 {
		say(at+".voice", "must have 100 characters at most")
	}
	say(at+".loop", upTo(c.Loop, MaxLoop))
	say(at+".timeout", upTo(c.Timeout, MaxCommandLength))
}

func gatherFaults(c *Gather, say sayFault) {
	say(".maxNumKeys", upTo(c.MaxNumKeys, MaxGatherKeys))
	say(".endKey", keyFault(c.EndKey))
	say(".timeout", upTo(c.Timeout, MaxCommandLength))
	say(".retries", upTo(c.Retries, MaxGatherRetries))
	if c.Input != "" && !slices.Contains(GatherInputs(), c.Input) {
		say(".input", "must be one of "+join(GatherInputs()))
	}
	say(".speechLocale", localeFault(c.SpeechLocale, GatherLocales()))
	if c.Playback != nil && c.Say != nil {
		say(".say", "cannot be given with playback: a gather has one prompt")
	}
	if c.Playback != nil {
		playbackFaults(c.Playback, ".playback", say)
	}
	if c.Say != nil {
		speakFaults(c.Say, ".say", say)
	}
}

// AMDFaults returns what is wrong with the settings of answering-machine
// detection, by member as the API names it, at being the name of the settings;
// nil when nothing is.
func AMDFaults(a *AMDSettings, at string) map[string][]string {
	return gathered(func(say sayFault) { amdFaults(a, at, say) })
}

func amdFaults(a *AMDSettings, at string, say sayFault) {
	say(at+".wordCount", upTo(a.WordCount, 100))
	say(at+".speechTimeout", upTo(a.SpeechTimeout, 60))
	say(at+".beepTimeout", upTo(a.BeepTimeout, 120))
	say(at+".speechLocale", localeFault(a.SpeechLocale, GatherLocales()))
	switch a.IfMachineNotifyAfter {
	case "", NotifyAfterWords, NotifyAfterSpeech, NotifyAfterBeep:
	default:
		say(at+".ifMachineNotifyAfter", "must be one of "+join([]NotifyAfter{NotifyAfterWords, NotifyAfterSpeech, NotifyAfterBeep}))
	}
}

// SendKeysFault says what is wrong with the keys that a call is to send; empty
// when nothing is.
func SendKeysFault(keys string) string {
	if len(keys) > MaxSendKeys || strings.Trim(keys, "0123456789*#") != "" {
		return fmt.Sprintf("must be 1 to %d of 0 to 9, * and #", MaxSendKeys)
	}
	return ""
}

func keyFault(k Key) string {
	if k != "" && !slices.Contains(Keys(), k) {
		return "must be one of " + join(Keys())
	}
	return ""
}

func localeFault(locale string, known []string) string {
	if locale != "" && !slices.Contains(known, locale) {
		return "must be one of " + strings.Join(known, ", ")
	}
	return ""
}

func upTo(n, most int) string {
	if n < 0 || n > most {
		return fmt.Sprintf("must be 0 to %d", most)
	}
	return ""
}

func atMost(n, most int) string {
	if n > most {
		return fmt.Sprintf("must be %d at most", most)
	}
	return ""
}

func join[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
