package voice

import "time"

// NotifyAfter says when a call that a machine answered is told of.
type NotifyAfter string

// A machine is told of as soon as it has said enough words to be one, when its
// greeting is over, or when its tone was heard.
const (
	NotifyAfterWords  NotifyAfter = "wordCount"
	NotifyAfterSpeech NotifyAfter = "speechTimeout"
	NotifyAfterBeep   NotifyAfter = "beepTimeout"
)

// AMDSettings ask to find out whether a person or a machine answers a call that
// we place. Zero members are the defaults.
type AMDSettings struct {
	Enabled              bool        `json:"enabled"`
	WordCount            int         `json:"wordCount,omitempty"`     // so many words without a pause are a machine; 0 = 5
	SpeechTimeout        int         `json:"speechTimeout,omitempty"` // seconds: no speech for so long after the answer is unknown, and ends a greeting; 0 = 3
	BeepTimeout          int         `json:"beepTimeout,omitempty"`   // seconds to wait for a machine's tone; 0 = 30
	SpeechLocale         string      `json:"speechLocale,omitempty"`  // one of GatherLocales; words are counted by their sound
	IfMachineNotifyAfter NotifyAfter `json:"ifMachineNotifyAfter,omitempty"`
}

// Settings of an answering-machine detection that names none.
const (
	DefaultAMDWords         = 5
	DefaultAMDSpeechTimeout = 3  // seconds
	DefaultAMDBeepTimeout   = 30 // seconds
)

// AnsweredBy says who answered a call.
type AnsweredBy string

// Who answered. Unknown is nobody who said a word, and a call that ended before
// it was clear.
const (
	AnsweredByHuman   AnsweredBy = "human"
	AnsweredByMachine AnsweredBy = "machine"
	AnsweredByUnknown AnsweredBy = "unknown"
)

// AMDResult is what answering-machine detection found.
type AMDResult struct {
	AnsweredBy AnsweredBy `json:"answeredBy"`
	Words      int        `json:"words"`   // heard until then, counted by their sound
	Beep       bool       `json:"beep"`    // a machine's tone was heard
	After      int64      `json:"afterMs"` // milliseconds from the answer to the decision
	At         time.Time  `json:"decidedAt,omitzero"`
}
