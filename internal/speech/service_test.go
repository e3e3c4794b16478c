package speech

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/testkit"
)

// peer is a service of the shape that is widely used.
type peer struct {
	t     *testing.T
	code  int    // 0 = 200
	audio []byte // what it speaks
	words string // what it understands
	asked map[string]string
	heard *audio.Clip
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer k3y" {
		p.t.Errorf("%s with %q", r.Method, r.Header.Get("Authorization"))
	}
	p.asked = map[string]string{}
	out := []byte(p.words)
	switch r.URL.Path {
	case "/base/v1/audio/speech":
		if err := json.NewDecoder(r.Body).Decode(&p.asked); err != nil {
			p.t.Error(err)
		}
		out = p.audio
	case "/base/v1/audio/transcriptions":
		p.form(r)
	default:
		p.t.Errorf("asked for %s", r.URL.Path)
	}
	if p.code != 0 {
		w.WriteHeader(p.code)
		out = []byte(`{"error": {"message": "too\nmuch"}}`)
	}
	if _, err := w.Write(out); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) form(r *http.Request) {
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		p.t.Error(err)
		return
	}
	for name, values := range r.MultipartForm.Value {
		p.asked[name] = strings.Join(values, " ")
	}
	f, _, err := r.FormFile("file")
	if err != nil {
		p.t.Error(err)
		return
	}
	if p.heard, err = decode(f); err != nil {
		p.t.Error(err)
	}
}

func serve(t *testing.T, p *peer) *Service {
	t.Helper()
	p.t = t
	web := httptest.NewServer(p)
	t.Cleanup(web.Close)
	s, err := NewService(ServiceOptions{
		URL: web.URL + "/base/", Key: "k3y", Model: "m1", Locales: []string{"de-DE"},
		Voices: []Voice{{"anna", "de-DE", "female"}, {"otto", "de-DE", "male"}}, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// waveform is a WAV file of a server that did not know its length.
func waveform(pcm []int16) []byte {
	head := "RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\xc0\x5d\x00\x00\x80\xbb\x00\x00\x02\x00\x10\x00data\xff\xff\xff\xff"
	return append([]byte(head), littleEndian(pcm)...)
}

func TestServiceSpeaks(t *testing.T) {
	pcm := []int16{1, -2, 30000, -30000}
	p := &peer{audio: waveform(pcm)}
	s := serve(t, p)
	clip, err := s.Synthesize(t.Context(), Utterance{Text: "Guten \"Tag\"", Locale: "de-DE", Voice: "male"})
	if err != nil || clip.Rate != 24000 || !slices.Equal(clip.Samples, pcm) {
		t.Fatalf("%+v, %v", clip, err)
	}
	if p.asked["input"] != "Guten \"Tag\"" || p.asked["voice"] != "otto" || p.asked["model"] != "m1" || p.asked["response_format"] != "wav" {
		t.Errorf("asked %v", p.asked)
	}
	if _, err := s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "en-US"}); err == nil {
		t.Error("it speaks what it has no voice for")
	}
	p.audio = []byte("no audio")
	if _, err := s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "de-DE"}); err == nil {
		t.Error("no audio is played")
	}
	p.code = http.StatusTooManyRequests
	_, err = s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "de-DE"})
	if err == nil || !strings.Contains(err.Error(), "429 Too Many Requests: too much") || strings.Contains(err.Error(), "k3y") {
		t.Errorf("got %v", err)
	}
}

func TestServiceUnderstands(t *testing.T) {
	clip := &audio.Clip{Rate: 16000, Samples: []int16{5, -6, 7}}
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for name, c := range map[string]struct {
		words string
		want  []Word
		fails bool
	}{
		"words":    {`{"text":"eins zwei","words":[{"word":"eins","start":0.5,"end":0.75},{"word":" zwei ","start":1,"end":1.5}],"segments":[{"text":"eins zwei","start":0,"end":2}]}`, []Word{{"eins", second(.5), second(.75)}, {"zwei", second(1), second(1.5)}}, false},
		"segments": {`{"text":"x","segments":[{"text":" eins  zwei","start":0.5,"end":2}]}`, []Word{{"eins zwei", second(.5), second(2)}}, false},
		"text":     {`{"text":" eins "}`, []Word{{Text: "eins"}}, false},
		"nothing":  {`{"text":""}`, nil, false},
		"odd time": {`{"text":"x","segments":[{"text":"x","start":-1,"end":1e30}]}`, []Word{{Text: "x"}}, false},
		"no text":  {`{}`, nil, true},
		"no JSON":  {`eins`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peer{words: c.words}
			s := serve(t, p)
			got, err := s.Recognize(t.Context(), clip, "de-DE")
			if (err != nil) != c.fails || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v", got, err)
			}
			if p.heard == nil || p.heard.Rate != clip.Rate || !slices.Equal(p.heard.Samples, clip.Samples) {
				t.Errorf("it heard %+v", p.heard)
			}
			if p.asked["language"] != "de" || p.asked["model"] != "m1" || p.asked["response_format"] != "verbose_json" {
				t.Errorf("asked %v", p.asked)
			}
		})
	}
	s := serve(t, &peer{})
	if words, err := s.Recognize(t.Context(), &audio.Clip{Rate: 8000}, "de-DE"); words != nil || err != nil {
		t.Errorf("of nothing it understands %v, %v", words, err)
	}
	if _, err := s.Recognize(t.Context(), clip, "en-US"); err == nil {
		t.Error("it understands what it was not said to")
	}
}

// TestServiceIsGone: who asks learns it, and when nobody waits it ends.
func TestServiceIsGone(t *testing.T) {
	testkit.NoLeaks(t)
	web := httptest.NewServer(http.NotFoundHandler())
	s, err := NewService(ServiceOptions{URL: web.URL, Voices: []Voice{{"a", "en-US", ""}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "en-US"})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
	web.Close()
	if _, err = s.Synthesize(t.Context(), Utterance{Text: "a", Locale: "en-US"}); err == nil || !strings.Contains(err.Error(), "ask the speech service") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"", "ftp://host", "nowhere"} {
		if _, err := NewService(ServiceOptions{URL: address}); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

// TestServiceIsPreferred: with an address, auto is the service; the one that is
// given for one thing is not asked for the other.
func TestServiceIsPreferred(t *testing.T) {
	voices := []Voice{{"a", "en-US", ""}}
	e, err := Find(t.Context(), Options{
		Say: Auto, Understand: None, Work: now, SayService: ServiceOptions{URL: "http://127.0.0.1:1", Voices: voices},
	})
	if err != nil || e.Voices.Name() != "the speech service" || !slices.Equal(e.Voices.Voices(), voices) || e.Ears != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(waveform([]int16{1, 2, 3}))
	f.Add([]byte("RIFF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		clip, err := decode(strings.NewReader(string(b)))
		if err == nil && clip.Rate <= 0 {
			t.Errorf("rate %d", clip.Rate)
		}
		if _, err := io.ReadAll(strings.NewReader(complaint(b))); err != nil {
			t.Error(err)
		}
	})
}
