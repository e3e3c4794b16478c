package speech

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/fetch"
	"tapedeck/internal/wav"
)

// ServiceOptions say where an engine is that is reached by HTTP, in the shape that
// many services and servers have: POST {URL}/v1/audio/speech and POST
// {URL}/v1/audio/transcriptions.
type ServiceOptions struct {
	URL     string // without /v1
	Key     string // sent as Authorization: Bearer; empty = none
	Model   string
	Voices  []Voice       // that it speaks with
	Locales []string      // that it understands
	Timeout time.Duration // of a request; 0 = 2 min
}

const (
	success        = 200 // the HTTP status
	serviceTimeout = 2 * time.Minute
	speechPath     = "/v1/audio/speech"
	wordsPath      = "/v1/audio/transcriptions"
)

// Service is an engine that is reached by HTTP: a Synthesizer and a Recognizer.
type Service struct {
	o    ServiceOptions
	http *fetch.Client
}

// NewService makes a Service. Its address is the operator's: it may be private.
func NewService(o ServiceOptions) (*Service, error) {
	o.URL = strings.TrimSuffix(o.URL, "/")
	o.Timeout = cmp.Or(o.Timeout, serviceTimeout)
	s := &Service{o: o, http: fetch.New(fetch.Options{AllowPrivate: true, Timeout: o.Timeout, HeaderTimeout: o.Timeout})}
	if err := s.http.Check(o.URL, "http", "https"); err != nil {
		return nil, fmt.Errorf("speech service: %w", err)
	}
	return s, nil
}

// Close lets go of connections that are kept for later.
func (s *Service) Close() error {
	s.http.Close()
	return nil
}

// Name is that of a service.
func (s *Service) Name() string { return "the speech service" }

// Voices are those that the configuration gives it.
func (s *Service) Voices() []Voice { return slices.Clone(s.o.Voices) }

// Locales are those that the configuration gives it.
func (s *Service) Locales() []string { return slices.Clone(s.o.Locales) }

// Synthesize has the service speak.
func (s *Service) Synthesize(ctx context.Context, u Utterance) (*audio.Clip, error) {
	v, err := Choose(s.o.Voices, u)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	body, err := json.Marshal(map[string]string{"model": s.o.Model, "input": u.Text, "voice": v.Name, "response_format": "wav"})
	if err != nil {
		return nil, err
	}
	out, err := s.post(ctx, speechPath, "application/json", body, mostSpoken)
	if err != nil {
		return nil, err
	}
	clip, err := decode(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("read what %s spoke: %w", s.Name(), err)
	}
	return clip, nil
}

// answered is what a service understood. Words come where they are asked for and
// can be told; segments from most; text from all.
type answered struct {
	Text     *string `json:"text"`
	Segments []struct {
		Text       string
		Start, End float64
	} `json:"segments"`
	Words []struct {
		Word       string
		Start, End float64
	} `json:"words"`
}

// Recognize has the service listen.
func (s *Service) Recognize(ctx context.Context, clip *audio.Clip, locale string) ([]Word, error) {
	if !slices.Contains(s.o.Locales, locale) {
		return nil, fmt.Errorf("%s does not understand %s", s.Name(), locale)
	}
	if len(clip.Samples) == 0 {
		return nil, nil
	}
	body, kind, err := s.form(clip, locale)
	if err != nil {
		return nil, err
	}
	out, err := s.post(ctx, wordsPath, kind, body, mostHeard)
	if err != nil {
		return nil, err
	}
	var a answered
	if err := json.Unmarshal(out, &a); err != nil {
		return nil, fmt.Errorf("%s answered what is no JSON: %w", s.Name(), err)
	}
	if a.Text == nil && len(a.Segments)+len(a.Words) == 0 {
		return nil, fmt.Errorf("%s answered without a text", s.Name())
	}
	return a.list(), nil
}

func (a *answered) list() []Word {
	var words []Word
	add := func(text string, start, end float64) {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			words = append(words, Word{Text: text, Start: seconds(start), End: seconds(end)})
		}
	}
	for _, w := range a.Words {
		add(w.Word, w.Start, w.End)
	}
	for _, g := range a.Segments {
		if len(a.Words) == 0 {
			add(g.Text, g.Start, g.End)
		}
	}
	if len(words) == 0 && a.Text != nil {
		add(*a.Text, 0, 0)
	}
	return words
}

// form is the clip as a file of a form, with what is asked of it.
func (s *Service) form(clip *audio.Clip, locale string) (body []byte, kind string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	language, _, _ := strings.Cut(locale, "-")
	for _, field := range [][2]string{
		{"model", s.o.Model}, {"language", language}, {"response_format", "verbose_json"},
		{"timestamp_granularities[]", "word"}, {"timestamp_granularities[]", "segment"},
	} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			return nil, "", err
		}
	}
	part, err := w.CreateFormFile("file", "speech.wav")
	if err != nil {
		return nil, "", err
	}
	file := appended{part}
	out, err := wav.NewWriter(file, wav.Format{SampleRate: clip.Rate, Channels: 1}, int64(len(clip.Samples)))
	if err != nil {
		return nil, "", err
	}
	if err := errors.Join(out.Write(clip.Samples), out.Close(), w.Close()); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

func (s *Service) post(ctx context.Context, path, kind string, body []byte, limit int64) ([]byte, error) {
	header := map[string]string{"Content-Type": kind}
	if s.o.Key != "" {
		header["Authorization"] = "Bearer " + s.o.Key
	}
	answer, err := s.http.Post(ctx, s.o.URL+path, header, body, limit)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Name(), err)
	}
	if answer.Code != success {
		return nil, fmt.Errorf("%s: %w%s", s.Name(), &fetch.StatusError{Code: answer.Code}, complaint(answer.Body))
	}
	return answer.Body, nil
}

// complaint is what a service says of its error, if it says it in JSON.
func complaint(body []byte) string {
	var e struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(body, &e) != nil || e.Error.Message == "" {
		return ""
	}
	text := []rune(strings.Join(strings.Fields(e.Error.Message), " "))
	return ": " + string(text[:min(len(text), 200)])
}
