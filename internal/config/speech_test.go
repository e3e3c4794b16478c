package config_test

import (
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/config"
)

func TestSpeechVoices(t *testing.T) {
	got, err := config.SpeechVoices("en-US=anna/female, de-DE=otto,,en-GB=x/male")
	want := []config.SpeechVoice{
		{Locale: "en-US", Name: "anna", Gender: "female"}, {Locale: "de-DE", Name: "otto"}, {Locale: "en-GB", Name: "x", Gender: "male"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := config.SpeechVoices(""); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"anna", "=anna", "en-US=", "en-US=/male", "en-US=anna/loud"} {
		if _, err := config.SpeechVoices(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestSpeechSettings: what cannot be is said, and no key is told.
func TestSpeechSettings(t *testing.T) {
	for flag, bad := range map[string]string{
		"speech-say": "festival", "speech-understand": "flite", "speech-say-url": "host:1", "speech-understand-url": "ftp://u:s3cret@h",
		"speech-say-key": "s3cret\x7f", "speech-say-model": " ", "speech-say-voices": "anna", "speech-programs": "-1",
	} {
		_, err := config.Load(config.Source{Flags: map[string]string{flag: bad}})
		if err == nil || !strings.Contains(err.Error(), flag) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s %q: %v", flag, bad, err)
		}
	}
}
