package calltest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/speech"
)

// gathered waits for the end of a gather and checks what it took; "-" = it did not
// listen for it.
func (s *studio) gathered(t *testing.T, call, command, keys, words string) {
	t.Helper()
	c := s.because(t, call, command, "completed", "")
	show := func(text *string) string {
		if text == nil {
			return "-"
		}
		return *text
	}
	if show(c.Keys) != keys || show(c.Speech) != words {
		t.Errorf("gathered %q and %q, want %q and %q", show(c.Keys), show(c.Speech), keys, words)
	}
}

// press lets a party press keys in one of the three ways.
func press(p *callgen.Party, way, keys string) error {
	switch way {
	case "RFC 4733":
		return p.Digits(keys)
	case "SIP INFO":
		return p.DigitsByInfo(keys)
	}
	_, err := p.DigitsInBand(keys)
	return err
}

// gatherKeys: however keys come, each counts once; the first one ends the prompt.
func gatherKeys(t *testing.T, s *studio) {
	long := `"playback":` + s.media("", "long")
	for i, way := range []string{"RFC 4733", "SIP INFO", "tones"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p, call := s.Answered(t, callgen.PartyOptions{User: fmt.Sprint(6021 + i), NoEvents: way != "RFC 4733"})
			for _, tt := range []struct{ options, press, keys string }{
				{`{"maxNumKeys":4,` + long + `}`, "1596", "1596"},
				{`{"maxNumKeys":9,"endKey":"#",` + long + `}`, "0*82#", "0*82"},
				{`{"endKey":"*","retries":3,"timeout":3600}`, "*", ""},
				{`{"timeout":1,` + long + `}`, "744", "744"},
			} {
				c := s.Give(t, call, "gather", tt.options)
				s.Became(t, call, c.ID, "ongoing")
				if strings.Contains(tt.options, "long") {
					hearing(t, p, 300*time.Millisecond)
				}
				if err := press(p, way, tt.press); err != nil {
					t.Fatal(err)
				}
				s.gathered(t, call, c.ID, tt.keys, "-")
			}
			hearing(t, p, 300*time.Millisecond)
			heard := listenedTo(t, p)
			if level := audio.Measure(heard[len(heard)-800:]).RMS; level > -60 {
				t.Errorf("the prompt goes on behind the keys, with %.0f dB", level)
			}
		})
	}
}

// gatherNothing: who presses nothing hears the prompt again, as often as the retries
// say; and nothing is what was gathered.
func gatherNothing(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6025"})
	c := s.Give(t, call, "gather", `{"timeout":1,"retries":2,"playback":`+s.media("", "low")+`}`)
	done := s.because(t, call, c.ID, "completed", "")
	s.gathered(t, call, c.ID, "", "-")
	if d := instantOf(t, done.EndedAt).Sub(instantOf(t, done.StartedAt)); d < 5900*time.Millisecond {
		t.Errorf("it took %v, three prompts and as many waits are 6 s", d)
	}
	hearing(t, p, 200*time.Millisecond)
	if n := occurrences(sounds()["low"], listenedTo(t, p)); n != 3 {
		t.Errorf("the prompt was heard %d times, want 3", n)
	}
	both := s.Give(t, call, "gather", `{"maxNumKeys":1,"say":{"text":"Press a key."}}`)
	s.Became(t, call, both.ID, "ongoing")
	if err := p.Digits("7"); err != nil {
		t.Fatal(err)
	}
	s.gathered(t, call, both.ID, "7", "-")
}

// gatherSpeech: what a party says in its own voice is understood; the first word ends
// the prompt; and what it said decides about the flow.
func gatherSpeech(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6026", Codecs: []string{"G722"}})
	const sentence = "please leave a message after the tone"
	words := append(s.spoken(t, sentence, ""), make([]int16, 2*16000)...)
	flow := s.Reflow(t, call, steps(
		step("gather", `{"input":"speech","timeout":60,"playback":`+s.media("", "long")+`}`),
		`{"command":"playback","options":`+s.media("", "low")+`,"conditions":[{"variable":"speech","operator":"contains","value":"Leave a MESSAGE!"}]}`,
		`{"command":"playback","options":`+s.media("", "mid")+`,"conditions":[{"variable":"keys","operator":"eq","value":""}]}`,
	)).Commands[1:]
	s.Became(t, call, flow[0].ID, "ongoing")
	hearing(t, p, 300*time.Millisecond)
	p.Play(callgen.PCM(words))
	s.gathered(t, call, flow[0].ID, "-", sentence)
	s.because(t, call, flow[1].ID, "completed", "")
	s.because(t, call, flow[2].ID, "skipped", "keys")
	hearsWhole(t, p, sounds()["low"], "what the words asked for")
	hearsNot(t, p, sounds()["long"][10*8000:], "the rest of the prompt that was spoken into")

	either := s.Give(t, call, "gather", `{"input":"dtmf speech","maxNumKeys":1,"timeout":60}`)
	s.Became(t, call, either.ID, "ongoing")
	if err := p.Digits("3"); err != nil {
		t.Fatal(err)
	}
	s.gathered(t, call, either.ID, "3", "")
	silent := s.Give(t, call, "gather", `{"input":"speech","timeout":1}`)
	s.gathered(t, call, silent.ID, "-", "")
}

// spoken is a text in the voice that the server would speak it with, at 16 kHz.
func (s *studio) spoken(t *testing.T, text, voice string) []int16 {
	t.Helper()
	engines, err := speech.Find(t.Context(), speech.Options{
		Say: speech.Auto, Understand: speech.None, Work: func(ctx context.Context, work func(context.Context) error) error { return work(ctx) },
	})
	if err != nil || engines.Voices == nil {
		t.Fatalf("nothing speaks here: %v; make deps installs the programs that the tests need", err)
	}
	clip, err := engines.Voices.Synthesize(t.Context(), speech.Utterance{Text: text, Locale: "en-US", Voice: voice})
	if err != nil {
		t.Fatal(err)
	}
	return clip.At(16000).Samples
}
