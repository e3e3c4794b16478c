package speech

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/voice"
)

// Work runs a piece of heavy work when it is its turn and returns its error: the
// Do of a pool that bounds how much is done at once, and yields to calls.
type Work func(context.Context, func(context.Context) error) error

// Limits of programs. One that does not end by then is killed.
const (
	mostSpoken  = 64 << 20         // bytes of a WAV file: half an hour of what the programs speak
	mostHeard   = 4 << 20          // bytes of words
	mostErrors  = 2 << 10          // bytes of what a program complains
	longSpeak   = time.Minute      // for a text
	longHear    = 30 * time.Second // for a clip, and so many times its length
	hearFactor  = 10
	afterKilled = 2 * time.Second // for a program's own children to let go of its output
)

// speaker speaks by a program that reads a text from its input and writes a WAV
// file.
type speaker struct {
	name   string
	path   string
	work   Work
	voices []Voice
	args   func(voice, file string) []string
	plain  func(text string) string // takes out what the program would not take for text; nil = it takes all
}

func (s *speaker) Name() string    { return s.name }
func (s *speaker) Voices() []Voice { return slices.Clone(s.voices) }

func (s *speaker) Synthesize(ctx context.Context, u Utterance) (clip *audio.Clip, err error) {
	v, err := Choose(s.voices, u)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	dir, err := os.MkdirTemp("", "tapedeck-speech-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for speech: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, text := filepath.Join(dir, "speech.wav"), u.Text
	if s.plain != nil {
		text = s.plain(text)
	}
	err = s.work(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, longSpeak)
		defer cancel()
		return run(ctx, s.path, s.args(v.Name, file), strings.NewReader(text+"\n"), io.Discard)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	f, err := os.Open(file) //nolint:gosec // we named it
	if err != nil {
		return nil, fmt.Errorf("%s wrote no audio: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, fmt.Errorf("read what %s spoke: %w", s.name, err)
	case info.Size() > mostSpoken:
		return nil, fmt.Errorf("%s speaks the text for too long: %d bytes, and %d are the most", s.name, info.Size(), mostSpoken)
	}
	if clip, err = decode(io.LimitReader(f, mostSpoken)); err != nil {
		return nil, fmt.Errorf("read what %s spoke: %w", s.name, err)
	}
	return clip, nil
}

// flites are the voices of flite that speak any text. An American or a Scot is
// better than nobody for the English of other countries.
func flites() (american, british []Voice) {
	american = []Voice{{"slt", "en-US", "female"}, {"rms", "en-US", "male"}, {"kal", "en-US", "male"}}
	return american, []Voice{{"awb", "en-GB", "male"}, {"slt", "en-GB", "female"}, {"rms", "en-GB", "male"}}
}

// newFlite makes engines of flite: one for what it is best at, one for the English
// that it can only come near to.
func newFlite(ctx context.Context, path string, work Work) (best, near *speaker, err error) {
	var out bytes.Buffer
	if err := run(ctx, path, []string{"-lv"}, nil, &out); err != nil {
		return nil, nil, err
	}
	there := strings.Fields(out.String())
	american, british := flites()
	absent := func(v Voice) bool { return !slices.Contains(there, v.Name) }
	american, british = slices.DeleteFunc(american, absent), slices.DeleteFunc(british, absent)
	if len(american)+len(british) == 0 {
		return nil, nil, errors.New("it has no voice that is known")
	}
	args := func(voice, file string) []string { return []string{"-voice", voice, "-f", "/dev/stdin", "-o", file} }
	best = &speaker{name: "flite", path: path, work: work, args: args, voices: american}
	near = &speaker{name: "flite", path: path, work: work, args: args}
	for _, locale := range voice.SayLocales() {
		if strings.HasPrefix(locale, "en-") && locale != "en-US" {
			for _, v := range british {
				near.voices = append(near.voices, Voice{v.Name, locale, v.Gender})
			}
		}
	}
	return best, near, nil
}

// newEspeak makes an engine of espeak-ng, with a man and a woman for each locale
// of the API whose language it has.
func newEspeak(ctx context.Context, path string, work Work) (*speaker, error) {
	var out bytes.Buffer
	if err := run(ctx, path, []string{"--voices"}, nil, &out); err != nil {
		return nil, err
	}
	var languages []string
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 2 && f[0] != "Pty" {
			languages = append(languages, f[1])
		}
	}
	s := &speaker{name: "espeak-ng", path: path, work: work, plain: withoutPhonemes, args: func(voice, file string) []string {
		return []string{"-v", voice, "--stdin", "-w", file}
	}}
	for _, locale := range voice.SayLocales() {
		if l := espeakLanguage(locale, languages); l != "" {
			s.voices = append(s.voices, Voice{l, locale, "male"}, Voice{l + "+f3", locale, "female"})
		}
	}
	if len(s.voices) == 0 {
		return nil, errors.New("it has no language of the API")
	}
	return s, nil
}

// withoutPhonemes makes text of what espeak-ng would take for phonemes in its own
// letters: those between double square brackets, of which it also says things that
// nobody wrote, or breaks off with a fault.
func withoutPhonemes(text string) string {
	for strings.Contains(text, "[[") {
		text = strings.ReplaceAll(text, "[[", "[ [")
	}
	return text
}

// espeakLanguage is the language of espeak-ng that comes nearest to a locale, empty
// if it has none.
func espeakLanguage(locale string, there []string) string {
	lower := strings.ToLower(locale)
	language, _, _ := strings.Cut(lower, "-")
	tries := []string{lower}
	switch {
	case lower == "arb":
		tries = append(tries, "ar")
	case lower == "es-mx" || lower == "es-us":
		tries = append(tries, "es-419")
	case language == "en":
		tries = append(tries, "en-gb")
	case language == "fr":
		tries = append(tries, "fr-fr")
	}
	for _, l := range append(tries, language) {
		if slices.Contains(there, l) {
			return l
		}
	}
	return ""
}

// Choose finds the voice for an utterance among voices: the one that it names, the
// first of its locale with the gender that it names, or the first of its locale.
func Choose(voices []Voice, u Utterance) (Voice, error) {
	for _, v := range voices {
		if v.Locale == u.Locale && (u.Voice == "" || u.Voice == v.Name || u.Voice == v.Gender) {
			return v, nil
		}
	}
	return Voice{}, fmt.Errorf("there is no voice %q that speaks %s", u.Voice, u.Locale)
}

// sphinx understands by pocketsphinx.
type sphinx struct {
	path   string
	work   Work
	models []model
}

// model is a language of pocketsphinx.
type model struct{ locale, acoustic, words, dictionary string }

// sphinxModels lists the models below a directory, in the places where packages
// put them: en-us/en-us, en-us/en-us.lm.bin and a dictionary.
func sphinxModels(dir string) []model {
	var out []model
	found, err := filepath.Glob(filepath.Join(dir, "*", "*.lm.bin"))
	if err != nil {
		return nil // the pattern is ours; the directory holds a character that it cannot
	}
	for _, words := range found {
		name := strings.TrimSuffix(filepath.Base(words), ".lm.bin")
		at := filepath.Dir(words)
		m := model{acoustic: filepath.Join(at, name), words: words}
		language, country, both := strings.Cut(name, "-")
		if !both || !there(filepath.Join(m.acoustic, "mdef")) {
			continue // a model of phones, or half of one
		}
		m.locale = language + "-" + strings.ToUpper(country)
		for _, d := range []string{"cmudict-" + name + ".dict", name + ".dict"} {
			if m.dictionary = filepath.Join(at, d); there(m.dictionary) {
				out = append(out, m)
				break
			}
		}
	}
	return out
}

func there(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (s *sphinx) Name() string { return "pocketsphinx" }

func (s *sphinx) Locales() []string {
	var out []string
	for _, m := range s.models {
		out = append(out, m.locale)
	}
	return out
}

// sphinxRate is the sample rate of its models.
const sphinxRate = 16000

func (s *sphinx) Recognize(ctx context.Context, clip *audio.Clip, locale string) ([]Word, error) {
	i := slices.IndexFunc(s.models, func(m model) bool { return m.locale == locale })
	if i < 0 {
		return nil, fmt.Errorf("pocketsphinx does not understand %s", locale)
	}
	if len(clip.Samples) == 0 {
		return nil, nil
	}
	m := s.models[i]
	in := bytes.NewReader(littleEndian(widen(clip.At(sphinxRate).Samples)))
	out := &bounded{most: mostHeard}
	err := s.work(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, longHear+hearFactor*clip.Duration())
		defer cancel()
		return run(ctx, s.path, []string{
			"-infile", "/dev/stdin", "-time", "yes", "-logfn", os.DevNull,
			"-hmm", m.acoustic, "-lm", m.words, "-dict", m.dictionary,
		}, in, out)
	})
	if err != nil {
		return nil, fmt.Errorf("pocketsphinx: %w", err)
	}
	return sphinxWords(out.b), nil
}

// sphinxWords reads what pocketsphinx prints: a line of words for each utterance,
// and a line for each of its words with begin, end and how sure it is. Only those
// are read: silence and noise are in angle brackets, plus signs or square brackets,
// and which of a word's pronunciations it was is not said.
func sphinxWords(out []byte) []Word {
	var words []Word
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, mostHeard+1) // the line of an utterance has no length of its own
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || strings.ContainsAny(f[0][:1], "<+[") {
			continue
		}
		start, err1 := strconv.ParseFloat(f[1], 64)
		end, err2 := strconv.ParseFloat(f[2], 64)
		_, err3 := strconv.ParseFloat(f[3], 64)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		w := Word{Start: seconds(start), End: seconds(end)}
		w.Text, _, _ = strings.Cut(f[0], "(")
		if w.Text != "" {
			words = append(words, w)
		}
	}
	return words
}

// seconds makes a duration of what an engine says, which may be any number.
func seconds(s float64) time.Duration {
	if !(s > 0 && s < 1e6) {
		return 0
	}
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}

// run runs a program to its end. No shell is between: what is spoken is never part
// of a command. A context that ends kills it, with what it has started itself. It is not
// told our settings, which hold keys and passwords.
func run(ctx context.Context, path string, args []string, in io.Reader, out io.Writer) error {
	c := exec.CommandContext(ctx, path, args...)
	complaints := &bounded{most: mostErrors}
	alone(c)
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, ours) })
	c.Stdin, c.Stdout, c.Stderr, c.WaitDelay = in, out, complaints, afterKilled
	err := c.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("the program was ended: %w", context.Cause(ctx))
	}
	if text := strings.Join(strings.Fields(string(complaints.b)), " "); err != nil && text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// ours is what the names of our settings begin with.
const ours = "TAPEDECK_"

// bounded keeps the first bytes of what a program prints, and lets the rest go.
type bounded struct {
	b    []byte
	most int
}

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), w.most-len(w.b))]...)
	return len(p), nil
}
