package prompt

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tapedeck/internal/audio"
	"tapedeck/internal/speech"
	"tapedeck/internal/voice"
)

// Ears understand what a party says, by a recognizer. Their methods may be called
// from any goroutine.
type Ears struct {
	by   speech.Recognizer // nil = there is none
	life context.Context   //nolint:containedctx // ends with the Ears, whatever was begun
	end  context.CancelFunc

	mu     sync.Mutex // guards closed, and wg's growing after it
	closed bool
	wg     sync.WaitGroup
}

// NewEars makes Ears of a recognizer; nil = nothing is understood.
func NewEars(by speech.Recognizer) *Ears {
	e := &Ears{by: by}
	e.life, e.end = context.WithCancel(context.Background())
	return e
}

// CanUnderstand reports why speech in a locale cannot be understood, as a
// *voice.Error.
func (e *Ears) CanUnderstand(locale string) error {
	if e.by == nil {
		return &voice.Error{Code: voice.CodeSpeechUnavailable, Message: "This server has nothing that understands speech"}
	}
	locale = cmp.Or(locale, voice.DefaultLocale)
	if there := e.by.Locales(); !slices.Contains(there, locale) {
		return voice.NotServed("locale", locale, there)
	}
	return nil
}

// Understand returns the words of the clip. done is called once, from another
// goroutine.
func (e *Ears) Understand(ctx context.Context, clip *audio.Clip, locale string, done func(string, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		done("", ErrClosed)
		return
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(e.life, cancel)
		defer stop()
		text, err := e.words(ctx, clip, locale)
		if err != nil && e.life.Err() != nil {
			err = ErrClosed
		}
		done(text, err)
	})
}

func (e *Ears) words(ctx context.Context, clip *audio.Clip, locale string) (string, error) {
	if err := e.CanUnderstand(locale); err != nil {
		return "", spoken(err)
	}
	words, err := e.by.Recognize(ctx, clip, cmp.Or(locale, voice.DefaultLocale))
	if err != nil {
		return "", fmt.Errorf("speech cannot be understood: %w", err)
	}
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.Text
	}
	return strings.Join(texts, " "), nil
}

// Close breaks off what is being listened to and waits for it. It may be called
// again.
func (e *Ears) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.end()
	e.wg.Wait()
	return nil
}
