package session

import (
	"context"

	"tapedeck/internal/audio"
	"tapedeck/internal/voice"
)

// Sounds makes what a call is to hear. What takes time (a file of the web, an
// engine that speaks) is done elsewhere: done is called once, from another
// goroutine, with the clip or a reason that a person understands. A context that
// ends calls it, too.
type Sounds interface {
	// Media loads a file that a playback names. An error names it, too, without what
	// may be secret in its address.
	Media(ctx context.Context, ws voice.WorkspaceID, name string, done func(*audio.Clip, error))
	// Say has a text spoken.
	Say(ctx context.Context, s voice.Say, done func(*audio.Clip, error))
	// CanSay reports at once why a text cannot be spoken, as a *voice.Error: there is
	// no engine (speech_unavailable), or it has not the locale or the voice
	// (validation_failed, which names those that there are).
	CanSay(s voice.Say) error
}

// Ears understand what a party says.
type Ears interface {
	// Understand returns the words of the clip; done is called as in Sounds.
	Understand(ctx context.Context, clip *audio.Clip, locale string, done func(string, error))
	// CanUnderstand reports at once why speech in the locale cannot be understood, as
	// CanSay does.
	CanUnderstand(locale string) error
}
