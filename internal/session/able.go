package session

import (
	"errors"
	"fmt"

	"tapedeck/internal/voice"
)

// Able reports why a command of the flow cannot be carried out by the engines that
// the server has, as a *voice.Error: speech_unavailable when there is none, and
// validation_failed with all the faults when there is none for what is asked. at
// is the name of the flow.
func (m *Manager) Able(flow []voice.FlowCommand, at string) error {
	faults := map[string][]string{}
	for i, step := range flow {
		err := m.able(step.Command)
		if err == nil {
			continue
		}
		var e *voice.Error
		if !errors.As(err, &e) || e.Code != voice.CodeValidationFailed {
			return err
		}
		for member, what := range e.Details {
			faults[fmt.Sprintf("%s.%d.options.%s", at, i, member)] = what
		}
	}
	if len(faults) > 0 {
		return voice.Invalid(faults)
	}
	return nil
}

// able is Able for one command. The members of its faults are those of the command.
func (m *Manager) able(c voice.Command) error {
	switch c := c.(type) {
	case *voice.Playback:
		if m.o.Sounds == nil {
			return &voice.Error{Code: voice.CodeUnavailable, Message: "The server cannot load audio files"}
		}
	case *voice.Say:
		if m.o.Sounds == nil {
			return &voice.Error{Code: voice.CodeSpeechUnavailable, Message: "The server has no engine that speaks"}
		}
		return m.o.Sounds.CanSay(*c)
	case *voice.Gather:
		return m.ableGather(c)
	case *voice.Record:
		if !c.Transcribe {
			return nil
		}
		return m.understands(localeOr(c.TranscribeLocale), "transcribeLocale")
	case *voice.Bridge:
		return m.Able(c.Flow, "callFlow")
	}
	return nil
}

func (m *Manager) ableGather(c *voice.Gather) error {
	if c.Playback != nil {
		if err := m.able(c.Playback); err != nil {
			return err
		}
	}
	if c.Say != nil {
		if err := m.able(c.Say); err != nil {
			return renamed(err, func(member string) string { return "say." + member })
		}
	}
	if !c.Input.Speech() {
		return nil
	}
	return m.understands(localeOr(c.SpeechLocale), "speechLocale")
}

// understands reports why speech in the locale that a member names cannot be
// understood.
func (m *Manager) understands(locale, member string) error {
	if m.o.Ears == nil {
		return &voice.Error{Code: voice.CodeSpeechUnavailable, Message: "The server has no engine that understands speech"}
	}
	return renamed(m.o.Ears.CanUnderstand(locale), func(string) string { return member })
}

// renamed gives the members of an error's faults other names.
func renamed(err error, name func(string) string) error {
	var e *voice.Error
	if !errors.As(err, &e) || len(e.Details) == 0 {
		return err
	}
	out := *e
	out.Details = map[string][]string{}
	for member, what := range e.Details {
		out.Details[name(member)] = append(out.Details[name(member)], what...)
	}
	return &out
}

func localeOr(locale string) string {
	if locale == "" {
		return voice.DefaultLocale
	}
	return locale
}
