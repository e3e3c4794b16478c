package voice

// Limits of the commands that make a call hear something.
const (
	MaxMedia         = 80    // media of one playback
	MaxMediaPause    = 30000 // milliseconds between two of them
	MaxText          = 3000  // characters that one say speaks
	MaxLoop          = 100   // how often a prompt is played
	MaxCommandLength = 86400 // seconds of every other time in a command
)

// MediaScheme begins the name of an uploaded file in a playback: "media:" and
// its id.
const MediaScheme = "media:"

// Playback plays audio files one after the other: http and https URLs, or files
// that were uploaded ("media:" and the id).
type Playback struct {
	Media   []string `json:"media"`
	Loop    int      `json:"loop,omitempty"`              // how often all of it is played; 0 = once
	Timeout int      `json:"timeout,omitempty"`           // seconds after which it is cut off; 0 = never
	Gap     int      `json:"pauseMilliseconds,omitempty"` // silence between two files
}

// Say speaks a text.
type Say struct {
	Text    string `json:"text"`
	Locale  string `json:"locale,omitempty"`  // one of SayLocales; empty = DefaultLocale
	Voice   string `json:"voice,omitempty"`   // of those that the server has, or male or female; empty = the locale's first
	Loop    int    `json:"loop,omitempty"`    // how often it is spoken; 0 = once
	Timeout int    `json:"timeout,omitempty"` // seconds after which it is cut off; 0 = never
}

// Key is one key of a telephone that ends a gather or a record.
type Key string

// Keys lists the keys.
func Keys() []Key { return []Key{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"} }

// GatherInput says what a gather listens for.
type GatherInput string

// What a gather listens for.
const (
	GatherDTMF   GatherInput = "dtmf"
	GatherSpeech GatherInput = "speech"
	GatherBoth   GatherInput = "dtmf speech"
)

// GatherInputs lists them.
func GatherInputs() []GatherInput { return []GatherInput{GatherDTMF, GatherSpeech, GatherBoth} }

// Keys and Speech report what a gather listens for; without a word, keys.
func (i GatherInput) Keys() bool { return i != GatherSpeech }

// Speech reports whether a gather listens for words.
func (i GatherInput) Speech() bool { return i == GatherSpeech || i == GatherBoth }

// Times of a gather that names none, in seconds.
const (
	DefaultGatherTimeout = 5 // without a key or a word, after the prompt or the key before
	MaxGatherKeys        = 100
	MaxGatherRetries     = 10
)

// Gather takes the keys that the party presses, or what it says. At most one of
// Playback and Say is the prompt; the first key or word ends it.
type Gather struct {
	MaxNumKeys   int         `json:"maxNumKeys,omitempty"`   // ends when so many were pressed; 0 = by endKey or timeout only
	EndKey       Key         `json:"endKey,omitempty"`       // ends it, and is no part of the keys
	Timeout      int         `json:"timeout,omitempty"`      // seconds without a key or a word; 0 = DefaultGatherTimeout
	Retries      int         `json:"retries,omitempty"`      // how often the prompt comes again when nothing was gathered
	Input        GatherInput `json:"input,omitempty"`        // empty = GatherDTMF
	SpeechLocale string      `json:"speechLocale,omitempty"` // one of GatherLocales; empty = DefaultLocale
	Playback     *Playback   `json:"playback,omitempty"`
	Say          *Say        `json:"say,omitempty"`
}

// Times of a record command that names none, in seconds.
const (
	DefaultRecordTimeout = 5
	DefaultRecordLength  = 3600
)

// Record is voicemail: it records what the party says until a key, silence or
// the longest length ends it. The flow waits for it. RecordCall records the whole
// session instead.
type Record struct {
	EndKey           Key    `json:"endKey,omitempty"`           // empty = no key ends it
	MaxLength        int    `json:"maxLength,omitempty"`        // seconds; 0 = DefaultRecordLength
	Timeout          int    `json:"timeout,omitempty"`          // seconds of silence; 0 = DefaultRecordTimeout
	Beep             bool   `json:"beep,omitempty"`             // before it
	Transcribe       bool   `json:"transcribe,omitempty"`       // when its file is made
	TranscribeLocale string `json:"transcribeLocale,omitempty"` // one of RecordLocales; empty = DefaultLocale
}

func (*Playback) command() {}
func (*Say) command()      {}
func (*Gather) command()   {}
func (*Record) command()   {}

// Kind returns KindPlayback.
func (*Playback) Kind() CommandKind { return KindPlayback }

// Kind returns KindSay.
func (*Say) Kind() CommandKind { return KindSay }

// Kind returns KindGather.
func (*Gather) Kind() CommandKind { return KindGather }

// Kind returns KindRecord.
func (*Record) Kind() CommandKind { return KindRecord }

// Times is how often a prompt with this loop is played.
func Times(loop int) int { return max(loop, 1) }

func (p *Playback) filled(fill func(string) string) *Playback {
	out := *p
	out.Media = make([]string, len(p.Media))
	for i, m := range p.Media {
		out.Media[i] = fill(m)
	}
	return &out
}

func (s *Say) filled(fill func(string) string) *Say {
	out := *s
	out.Text = fill(s.Text)
	return &out
}
