package prompt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"tapedeck/internal/audio"
	"tapedeck/internal/speech"
	"tapedeck/internal/voice"
)

// CanSay reports why a text cannot be spoken, as a *voice.Error: there is no
// engine, or it has not the locale or the voice.
func (l *Library) CanSay(s voice.Say) error {
	if l.o.Voices == nil {
		return &voice.Error{Code: voice.CodeSpeechUnavailable, Message: "This server has nothing that can speak"}
	}
	_, err := choose(l.o.Voices.Voices(), s)
	return err
}

// choose finds the voice for a text.
func choose(voices []speech.Voice, s voice.Say) (speech.Voice, error) {
	locale := cmp.Or(s.Locale, voice.DefaultLocale)
	var locales, names []string
	for _, v := range voices {
		locales = append(locales, v.Locale)
		if v.Locale != locale {
			continue
		}
		if s.Voice == "" || s.Voice == v.Name || s.Voice == v.Gender {
			return v, nil
		}
		names = append(names, v.Name)
	}
	if names == nil {
		return speech.Voice{}, voice.NotServed("locale", locale, locales)
	}
	return speech.Voice{}, voice.NotServed("voice", s.Voice, names)
}

// Say has a text spoken. done is called as by Media.
func (l *Library) Say(ctx context.Context, s voice.Say, done func(*audio.Clip, error)) {
	l.ask(ctx, done, func(ctx context.Context) (*audio.Clip, error) {
		if err := l.CanSay(s); err != nil {
			return nil, spoken(err)
		}
		with, err := choose(l.o.Voices.Voices(), s)
		if err != nil {
			return nil, spoken(err)
		}
		key := fmt.Sprintf("say:%s/%s/%s", with.Locale, with.Name, s.Text)
		clip, err := l.shelf.once(ctx, key, l.startWithin, func(ctx context.Context) (*audio.Clip, error) {
			if here := l.shelf.find(key); here != nil {
				l.metrics.hit()
				return here.clip, nil
			}
			clip, err := l.o.Voices.Synthesize(ctx, speech.Utterance{Text: s.Text, Locale: with.Locale, Voice: with.Name})
			if err != nil {
				return nil, err
			}
			l.shelf.put(kept{name: key, clip: clip})
			return clip, nil
		})
		l.metrics.ended(fromSpeech, err)
		if err != nil {
			return nil, fmt.Errorf("the text cannot be spoken: %w", err)
		}
		return clip, nil
	})
}

// spoken makes one sentence of an answer's error with its details.
func spoken(err error) error {
	var e *voice.Error
	if !errors.As(err, &e) || len(e.Details) == 0 {
		return err
	}
	out := []error{}
	for member, faults := range e.Details {
		for _, f := range faults {
			out = append(out, errors.New(member+" "+f))
		}
	}
	slices.SortFunc(out, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(out...)
}
