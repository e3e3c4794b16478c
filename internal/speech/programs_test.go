package speech

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// now does the work at once.
func now(ctx context.Context, work func(context.Context) error) error { return work(ctx) }

// found are the programs of this machine; the tests need them (make deps).
func found(t *testing.T, say string) *Engines {
	t.Helper()
	e, err := Find(t.Context(), Options{Say: say, Understand: Sphinx, Work: now})
	if err != nil {
		t.Fatalf("%v; make deps installs the programs that the tests need", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestSpokenIsUnderstood: either program speaks, and what flite says the recognizer
// understands, with times in the clip.
func TestSpokenIsUnderstood(t *testing.T) {
	testkit.NoLeaks(t)
	for _, engine := range []string{Flite, Espeak} {
		e := found(t, engine)
		if e.Voices.Name() != engine {
			t.Errorf("%s is called %s", engine, e.Voices.Name())
		}
		u := Utterance{Text: "please leave a message after the tone, and say the number seven", Locale: "en-US"}
		clip, err := e.Voices.Synthesize(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if d := clip.Duration(); d < time.Second || d > 6*time.Second || audio.Measure(clip.Samples).RMS < -35 {
			t.Errorf("%s speaks for %v, level %v", engine, d, audio.Measure(clip.Samples).RMS)
		}
		if engine == Espeak {
			continue // the model that the recognizer comes with was not trained on its voices
		}
		later := append(audio.Silence(clip.Rate, 2*time.Second).Samples, clip.Samples...)
		words, err := e.Ears.Recognize(t.Context(), &audio.Clip{Rate: clip.Rate, Samples: later}, "en-US")
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		last := 1500 * time.Millisecond
		for _, w := range words {
			if w.Start < last-20*time.Millisecond || w.End <= w.Start {
				t.Errorf("%s: %+v after %v", engine, w, last)
			}
			last = w.End
			text += " " + w.Text
		}
		if !strings.Contains(text, "seven") || !strings.Contains(text, "leave a message after") {
			t.Errorf("%s said %q, and %q was understood", engine, u.Text, text)
		}
	}
}

// TestVoices: every voice that is listed for the API's own language can be had, by
// its name and by its gender; locales are those of the API.
func TestVoices(t *testing.T) {
	e := found(t, Auto)
	seen := map[string]bool{}
	for _, v := range e.Voices.Voices() {
		if !slices.Contains(voice.SayLocales(), v.Locale) {
			t.Errorf("%+v is no locale of the API", v)
		}
		seen[v.Locale] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d locales", len(seen))
	}
	if first, err := Choose(e.Voices.Voices(), Utterance{Locale: "en-US"}); err != nil || first.Name != "slt" {
		t.Errorf("%+v, %v", first, err)
	}
	for _, u := range []Utterance{
		{Locale: "en-US", Voice: "male"}, {Locale: "en-US", Voice: "kal"}, {Locale: "en-GB"}, {Locale: "en-IN", Voice: "slt"},
		{Locale: "de-DE", Voice: "female"}, {Locale: "arb"}, {Locale: "es-MX"}, {Locale: "cmn-CN"},
	} {
		u.Text = "1 2 3"
		if clip, err := e.Voices.Synthesize(t.Context(), u); err != nil || clip.Duration() < 200*time.Millisecond {
			t.Errorf("%+v: %v", u, err)
		}
	}
	for _, u := range []Utterance{{Locale: "tlh"}, {Locale: "en-US", Voice: "nobody"}} {
		if _, err := e.Voices.Synthesize(t.Context(), u); err == nil {
			t.Errorf("%+v is spoken", u)
		}
	}
	if _, err := e.Ears.Recognize(t.Context(), audio.Silence(8000, time.Second), "de-DE"); err == nil {
		t.Error("German is understood")
	}
}

// TestTextIsNoCommand: nothing of a text reaches a shell or is taken for an option.
func TestTextIsNoCommand(t *testing.T) {
	e := found(t, Auto)
	at := filepath.Join(t.TempDir(), "made")
	for _, v := range []string{"slt", "en-us"} {
		for _, text := range []string{"$(touch " + at + ")", "; touch " + at, "-o " + at, "--help", "-voice rms", "\x00", "<speak><audio src='" + at + "'/></speak>", "[[[@", "\xff\xfe", "你好 مرحبا 😀", "   ", "`touch " + at + "`"} {
			if _, err := e.Voices.Synthesize(t.Context(), Utterance{Text: text, Locale: "en-US", Voice: v}); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	if _, err := os.Stat(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a text was carried out: %v", err)
	}
	// Phonemes in its own letters, too many for espeak-ng.
	if _, err := e.Voices.Synthesize(t.Context(), Utterance{Text: "[[" + strings.Repeat("@", 1000), Locale: "en-US", Voice: "en-us"}); err != nil {
		t.Error(err)
	}
}

// TestProgramsAreEnded: a program that does not end is killed when nobody waits.
func TestProgramsAreEnded(t *testing.T) {
	testkit.NoLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	program := script(t, `echo begun; exec sleep 600`)
	out := writer(func([]byte) { cancel() })
	if err := run(ctx, program, nil, nil, out); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	err := run(t.Context(), script(t, `echo "no such voice" >&2; exit 3`), nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no such voice") {
		t.Errorf("got %v", err)
	}
	s := &speaker{name: "mute", path: script(t, "exit 0"), work: now, args: func(string, string) []string { return nil }, voices: []Voice{{"a", "en-US", ""}}}
	if _, err := s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "en-US"}); err == nil || !strings.Contains(err.Error(), "mute wrote no audio") {
		t.Errorf("got %v", err)
	}
}

// TestProgramsAreEndedWithTheirOwn: what a program has started itself ends with it, so
// that nothing goes on when nobody waits, and it knows none of our settings.
func TestProgramsAreEndedWithTheirOwn(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Timeout(t, time.Minute)
	t.Setenv("TAPEDECK_SPEECH_SAY_KEY", "secret")
	t.Setenv("ESPEAK_DATA_PATH", "/data")
	fifo := filepath.Join(t.TempDir(), "held")
	if err := exec.CommandContext(t.Context(), "mkfifo", fifo).Run(); err != nil { //nolint:gosec // we named it
		t.Fatal(err)
	}
	held, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0) // so that it need not wait for who writes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	told := ""
	out := writer(func(b []byte) {
		if told += string(b); strings.Contains(told, "begun") {
			cancel()
		}
	})
	// What it starts has the pipe open until it ends.
	program := script(t, `exec 3>`+fifo+`; env; sleep 600 & echo begun; wait`)
	if err := run(ctx, program, nil, nil, out); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if strings.Contains(told, "TAPEDECK") || !strings.Contains(told, "ESPEAK_DATA_PATH=/data") {
		t.Errorf("it was told %q", told)
	}
	if rest, err := io.ReadAll(held); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestSpeakingTooLong: a file that is too large, or says that it plays for days, is an
// error, and not cut off.
func TestSpeakingTooLong(t *testing.T) {
	speak := func(program string) error {
		s := &speaker{name: "endless", path: script(t, program), work: now, voices: []Voice{{"a", "en-US", ""}}, args: func(_, file string) []string { return []string{file} }}
		_, err := s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "en-US"})
		return err
	}
	if err := speak(`truncate -s 70000000 "$1"`); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v", err)
	}
	// 16 bits, one channel, 1,000 Hz, until the end of the file.
	header := `printf 'RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\350\3\0\0\320\7\0\0\2\0\20\0data\0\0\0\0' >"$1"; truncate -s `
	if err := speak(header + `8000000 "$1"`); err == nil || !strings.Contains(err.Error(), "more than 1h0m0s") {
		t.Errorf("got %v", err)
	}
	if err := speak(header + `7000000 "$1"`); err != nil {
		t.Errorf("less than an hour: %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}

// TestNoEngine: without programs there is nothing, unless one was asked for.
func TestNoEngine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	e, err := Find(t.Context(), Options{Say: Auto, Understand: Auto, Work: now})
	if err != nil || e.Voices != nil || e.Ears != nil {
		t.Errorf("%+v, %v", e, err)
	}
	for _, o := range []Options{
		{Say: Flite, Understand: None}, {Say: Espeak, Understand: None}, {Say: None, Understand: Sphinx},
		{Say: AService, Understand: None}, {Say: None, Understand: AService},
	} {
		o.Work = now
		if _, err := Find(t.Context(), o); err == nil || !strings.Contains(err.Error(), "speech ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestModels: a model that is not whole is none.
func TestModels(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{
		"en-us/en-us/mdef", "en-us/en-us.lm.bin", "en-us/cmudict-en-us.dict", "en-us/en-us-phone.lm.bin",
		"de-de/de-de/mdef", "de-de/de-de.lm.bin", "de-de/de-de.dict", "fr-fr/fr-fr.lm.bin", "it-it/it-it/mdef", "it-it/it-it.lm.bin",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o700), os.WriteFile(filepath.Join(dir, f), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s := &sphinx{models: sphinxModels(dir)}
	if got := s.Locales(); !slices.Equal(got, []string{"de-DE", "en-US"}) {
		t.Errorf("got %v", got)
	}
}

func TestSphinxWords(t *testing.T) {
	got := sphinxWords([]byte("the(2) door\n<s> 0.000 0.160 0.99\nthe(2) 0.17 0.54 0.9\n++NOISE++ 0.6 0.7 1\n[COUGH] 0.6 0.7 1\ndoor 0.550 0.890 1.0\nx NaN 1e99 1\n</s> 3 4 1\nfour small words here\n" + strings.Repeat("word ", 20000) + "\nlast 1.0 2.0 0.9\n"))
	want := []Word{
		{"the", 170 * time.Millisecond, 540 * time.Millisecond}, {"door", 550 * time.Millisecond, 890 * time.Millisecond}, {Text: "x"},
		{"last", time.Second, 2 * time.Second},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func FuzzSphinxWords(f *testing.F) {
	f.Add([]byte("<s> 0.000 0.160 0.99\nthe(2) 0.17 0.54 0.9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, w := range sphinxWords(b) {
			if w.Text == "" || w.Start < 0 || w.End < 0 {
				t.Errorf("%+v", w)
			}
		}
	})
}
