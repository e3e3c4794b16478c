package server

import (
	"context"
	"fmt"
	"slices"

	"tapedeck/internal/background"
	"tapedeck/internal/config"
	"tapedeck/internal/speech"
)

// openSpeech looks for what speaks and what understands. Their programs have a
// pool of their own: a prompt does not wait for a rendering.
func (s *Server) openSpeech(ctx context.Context) error {
	c := s.o.Config.Speech
	pool, err := background.New(background.Options{Parallel: c.Programs})
	if err != nil {
		return err
	}
	voices, err := config.SpeechVoices(c.SayVoices)
	if err != nil {
		return fmt.Errorf("speech.say_voices: %w", err)
	}
	o := speech.Options{
		Say: c.Say, Understand: c.Understand, Models: c.Models, Work: pool.Do,
		SayService:        speech.ServiceOptions{URL: c.SayURL, Key: c.SayKey, Model: c.SayModel},
		UnderstandService: speech.ServiceOptions{URL: c.UnderstandURL, Key: c.UnderstandKey, Model: c.UnderstandModel, Locales: config.Listed(c.UnderstandLocales)},
	}
	for _, v := range voices {
		o.SayService.Voices = append(o.SayService.Voices, speech.Voice{Name: v.Name, Locale: v.Locale, Gender: v.Gender})
	}
	if s.speech, err = speech.Find(ctx, o); err != nil {
		return err
	}
	s.opened(s.speech.Close)
	says, understands, locales := speech.None, speech.None, []string{}
	if v := s.speech.Voices; v != nil {
		says = v.Name()
		for _, one := range v.Voices() {
			locales = append(locales, one.Locale)
		}
	}
	if e := s.speech.Ears; e != nil {
		understands = e.Name()
	}
	slices.Sort(locales)
	s.log.Info("speech", "says", says, "locales", len(slices.Compact(locales)), "understands", understands)
	return nil
}
