package speech

import (
	"context"
	"time"

	"tapedeck/internal/audio"
)

// Voice is a voice of a synthesizer.
type Voice struct {
	Name   string // as a command names it
	Locale string // as the API writes it: en-US
	Gender string // male, female or empty
}

// Utterance is what is to be spoken.
type Utterance struct {
	Text   string
	Locale string // as in Voice
	Voice  string // the name of a voice, male, female, or empty for the locale's first
}

// Synthesizer turns text into speech. Its methods may be called from any
// goroutine.
type Synthesizer interface {
	// Name says which engine it is, for logs and errors.
	Name() string
	// Voices are those that it has, the preferred ones of a locale first.
	Voices() []Voice
	// Synthesize speaks. A locale or a voice that it has not is an error.
	Synthesize(context.Context, Utterance) (*audio.Clip, error)
}

// Word is a word, or a few of them, with the time it was said.
type Word struct {
	Text       string
	Start, End time.Duration // in the clip
}

// Recognizer turns speech into text. Its methods may be called from any
// goroutine.
type Recognizer interface {
	// Name says which engine it is, for logs and errors.
	Name() string
	// Locales are those that it understands.
	Locales() []string
	// Recognize returns what is said in the clip, in its order; nothing when nothing
	// was. A locale that it does not understand is an error.
	Recognize(ctx context.Context, clip *audio.Clip, locale string) ([]Word, error)
}
