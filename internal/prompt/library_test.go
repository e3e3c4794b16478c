package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/blob"
	"tapedeck/internal/blob/fileblob"
	"tapedeck/internal/fetch"
	"tapedeck/internal/speech"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const (
	ws    = voice.WorkspaceID("0193b5a0-0000-7000-8000-00000000000a")
	other = voice.WorkspaceID("0193b5a0-0000-7000-8000-00000000000b")
)

// rig is a library over real stores, with a clock that stands still.
type rig struct {
	*Library
	now atomic.Int64 // Unix seconds
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := &rig{}
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		at := time.Now()
		return errors.Join(
			tx.InsertWorkspace(voice.Workspace{ID: ws, Name: "a", CreatedAt: at, UpdatedAt: at}),
			tx.InsertWorkspace(voice.Workspace{ID: other, Name: "b", CreatedAt: at, UpdatedAt: at}))
	})
	if err != nil {
		t.Fatal(err)
	}
	driver, err := fileblob.New(fileblob.Options{Dir: filepath.Join(t.TempDir(), "files")})
	if err != nil {
		t.Fatal(err)
	}
	bucket := blob.New(driver)
	web := fetch.New(fetch.Options{AllowPrivate: true})
	o := Options{
		DB: db, Bucket: bucket, Fetch: web, WorkDir: t.TempDir(),
		Now: func() time.Time { return time.Unix(r.now.Load(), 0) },
	}
	if change != nil {
		change(&o)
	}
	if r.Library, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.Fetch.Close()
		web.Close()
		if err := errors.Join(r.Close(), bucket.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// answer is what done was called with.
type answer struct {
	clip *audio.Clip
	err  error
}

func (r *rig) media(ctx context.Context, in voice.WorkspaceID, name string) (*audio.Clip, error) {
	got := make(chan answer, 2)
	r.Media(ctx, in, name, func(c *audio.Clip, err error) { got <- answer{c, err} })
	a := <-got
	return a.clip, a.err
}

// website serves files and counts what is asked for.
type website struct {
	*httptest.Server
	files  atomic.Int32 // that were sent
	asked  atomic.Int32
	status atomic.Int32 // to answer with instead; 0 = none
}

func newWebsite(t *testing.T, file []byte, hold <-chan struct{}) *website {
	s := &website{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		if code := s.status.Load(); code != 0 {
			w.WriteHeader(int(code))
			return
		}
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		s.files.Add(1)
		_, _ = w.Write(file)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTheWebIsAskedOnce(t *testing.T) {
	hold := make(chan struct{})
	r := newRig(t, nil)
	s := newWebsite(t, sound(t, "wav", 8000, 1), hold)
	got := make(chan answer, 20)
	for range cap(got) {
		r.Media(t.Context(), ws, s.URL+"/a.wav?secret=1", func(c *audio.Clip, err error) { got <- answer{c, err} })
	}
	close(hold)
	for range cap(got) {
		if a := <-got; a.err != nil || a.clip.Duration() != 2*time.Second {
			t.Fatalf("%+v", a)
		}
	}
	if s.asked.Load() != 1 {
		t.Errorf("asked %d times", s.asked.Load())
	}
	again := func(want, files int32) {
		t.Helper()
		if _, err := r.media(t.Context(), ws, s.URL+"/a.wav?secret=1"); err != nil || s.asked.Load() != want || s.files.Load() != files {
			t.Errorf("asked %d times, %d files sent, %v; want %d and %d", s.asked.Load(), s.files.Load(), err, want, files)
		}
	}
	r.now.Add(59)
	again(1, 1)
	r.now.Add(2) // a minute is over: is it still the same?
	again(2, 1)
	again(2, 1)
	r.now.Add(61)
	s.status.Store(500) // then what is here is played
	again(3, 1)
	s.status.Store(404)
	if _, err := r.media(t.Context(), ws, s.URL+"/a.wav?secret=1"); err == nil || !strings.Contains(err.Error(), "404 Not Found") || strings.Contains(err.Error(), "secret") {
		t.Errorf("taken away: %v", err)
	}
}

func TestNobodyWaits(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	r := newRig(t, nil)
	s := newWebsite(t, nil, hold)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan answer, 2)
	done := func(c *audio.Clip, err error) { got <- answer{c, err} }
	r.Media(ctx, ws, s.URL+"/1.wav", done)
	r.Media(t.Context(), ws, s.URL+"/2.wav", done)
	testkit.Eventually(t, 10*time.Second, func() bool { return s.asked.Load() == 2 })
	cancel()
	if a := <-got; !errors.Is(a.err, context.Canceled) {
		t.Errorf("who gave up: %+v", a)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-got; !errors.Is(a.err, ErrClosed) {
		t.Errorf("who was closed: %+v", a)
	}
	if _, err := r.media(t.Context(), ws, s.URL+"/3.wav"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestBadMedia(t *testing.T) {
	file := sound(t, "wav", 8000, 1)
	inside := newWebsite(t, file, nil)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/huge":
			w.Header().Set("Content-Length", fmt.Sprint(voice.MaxMediaSize+1))
		case "/page":
			_, _ = w.Write([]byte("<html>not found</html>"))
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(outside.Close)
	r := newRig(t, func(o *Options) {
		o.Fetch = fetch.New(fetch.Options{AllowPrivate: true, HeaderTimeout: 50 * time.Millisecond})
	})
	for name, why := range map[string]string{
		outside.URL + "/huge": "too large", outside.URL + "/page": "web page", outside.URL + "/file": "not a URL with a host",
		outside.URL + "/slow": "timeout", "ftp://example.com/a.wav": "http or https", "media:x": "36 characters",
		"media:0193b5a0-0000-7000-8000-000000000001": "no uploaded file",
	} {
		if _, err := r.media(t.Context(), ws, name); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "cannot be played") {
			t.Errorf("%s: %v", name, err)
		}
	}
	strict := newRig(t, func(o *Options) { o.Fetch = fetch.New(fetch.Options{}) })
	for _, name := range []string{inside.URL, outside.URL + "/inside", "http://localhost/a.wav", "http://169.254.169.254/latest"} {
		if _, err := strict.media(t.Context(), ws, name); !errors.Is(err, fetch.ErrPrivate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if inside.asked.Load() != 0 {
		t.Error("something private was reached")
	}
}

func TestShelf(t *testing.T) {
	s := newShelf(3 * 2300)
	one := func(name string) kept { return kept{name: name, clip: audio.Silence(1000, time.Second)} }
	for _, name := range []string{"a", "b", "c"} {
		s.put(one(name))
	}
	s.find("a")
	s.put(one("d"))
	s.put(one("d"))
	s.put(kept{name: "huge", clip: audio.Silence(48000, time.Second)})
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true, "huge": false} {
		if got := s.find(name) != nil; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	k := one("a")
	if s.size() != 3*k.size() || s.used.Len() != 3 {
		t.Errorf("%d bytes", s.size())
	}
	// What was played at another rate since is counted, too.
	grown := s.find("d")
	grown.clip.At(500)
	s.put(one("e"))
	if s.find("a") != nil || s.find("c") != nil || s.find("d") == nil || s.size() > 3*2300 {
		t.Errorf("%d bytes, of which %d are those of a clip at two rates", s.size(), grown.clip.Size())
	}
	var working sync.WaitGroup
	defer working.Wait()
	_, err := s.once(t.Context(), "x", func(work func()) { working.Go(work) }, func(context.Context) (*audio.Clip, error) { panic("a fault") })
	if err == nil || !strings.Contains(err.Error(), "a fault") {
		t.Errorf("a panic: %v", err)
	}
}

func TestUploads(t *testing.T) {
	r := newRig(t, nil)
	file := sound(t, "flac", 16000, 1)
	m, err := r.Take(t.Context(), bytes.NewReader(file))
	if err != nil || m.ContentType != "audio/flac" || m.Duration != 2*time.Second || m.Size != int64(len(file)) || len(m.SHA256) != 64 {
		t.Fatalf("%+v, %v", m, err)
	}
	m.Workspace, m.ID, m.Name, m.CreatedAt = ws, voice.MediaID(store.NewID()), "tone", time.Now().UTC()
	if m, err = r.Keep(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(r.o.WorkDir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	name := voice.MediaScheme + string(m.ID)
	for range 2 {
		if clip, err := r.media(t.Context(), ws, name); err != nil || clip.Duration() != 2*time.Second {
			t.Fatal(err)
		}
	}
	if _, err := r.media(t.Context(), other, name); err == nil {
		t.Error("another workspace hears it")
	}
	tidy := func() {
		t.Helper()
		if err := r.Tidy(t.Context(), store.Job{Ref: m.Ref()}); err != nil {
			t.Fatal(err)
		}
	}
	tidy() // it is in use
	if _, err := r.o.Bucket.Stat(t.Context(), m.File); err != nil {
		t.Fatal(err)
	}
	if err := r.o.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteMedia(ws, m.ID) }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.media(t.Context(), ws, name); err == nil {
		t.Error("what was deleted is heard")
	}
	tidy()
	tidy()
	if _, err := r.o.Bucket.Stat(t.Context(), m.File); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	room := error(nil)
	r := newRig(t, func(o *Options) { o.Room = func() error { return room } })
	if _, err := r.Take(t.Context(), strings.NewReader("no audio")); voice.CodeOf(err) != voice.CodeUnsupportedMedia {
		t.Errorf("no audio: %v", err)
	}
	if _, err := r.Take(t.Context(), &endless{bytes.NewReader(sound(t, "wav", 8000, 1)[:80])}); voice.CodeOf(err) != voice.CodeBodyTooLarge {
		t.Errorf("too large: %v", err)
	}
	asked := 0
	r.o.Room = func() error {
		if asked++; asked > 3 {
			return errors.New("full")
		}
		return nil
	}
	if _, err := r.Take(t.Context(), &endless{bytes.NewReader(sound(t, "wav", 8000, 1)[:80])}); voice.CodeOf(err) != voice.CodeUnavailable || asked != 4 {
		t.Errorf("no room any more, asked %d times: %v", asked, err)
	}
	r.o.Room = func() error { return room }
	room = errors.New("full")
	if _, err := r.Take(t.Context(), strings.NewReader("")); voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("no room: %v", err)
	}
	room = nil
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	if _, err := r.Take(t.Context(), iotest.ErrReader(full)); voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("the disk is full in the end: %v", err)
	}
	if left, err := os.ReadDir(r.o.WorkDir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(r.o.WorkDir, "1"+uploadSuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := r.o
	again, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(r.o.WorkDir); err != nil || len(left) != 0 {
		t.Errorf("%v is left of a crash, %v", left, err)
	}
}

// engine speaks silence and understands how long it is.
type engine struct{ asked atomic.Int32 }

func (*engine) Name() string { return "engine" }

func (*engine) Voices() []speech.Voice {
	return []speech.Voice{{Name: "anna", Locale: "en-US", Gender: "female"}, {Name: "bob", Locale: "en-US", Gender: "male"}, {Name: "hans", Locale: "de-DE"}}
}

func (e *engine) Synthesize(_ context.Context, u speech.Utterance) (*audio.Clip, error) {
	e.asked.Add(1)
	if u.Text == "broken" {
		return nil, errors.New("it is broken")
	}
	return audio.Silence(8000, time.Duration(len(u.Text)+len(u.Voice))*time.Second), nil
}

func (*engine) Locales() []string { return []string{"en-US", "de-DE"} }

func (*engine) Recognize(_ context.Context, clip *audio.Clip, locale string) ([]speech.Word, error) {
	return []speech.Word{{Text: locale}, {Text: clip.Duration().String()}}, nil
}

func (r *rig) say(s voice.Say) (*audio.Clip, error) {
	got := make(chan answer, 2)
	r.Say(context.Background(), s, func(c *audio.Clip, err error) { got <- answer{c, err} })
	a := <-got
	return a.clip, a.err
}

func TestSay(t *testing.T) {
	e := &engine{}
	r := newRig(t, func(o *Options) { o.Voices = e })
	for _, c := range []struct {
		say  voice.Say
		want time.Duration
	}{
		{voice.Say{Text: "a"}, 5}, {voice.Say{Text: "a", Voice: "male"}, 4}, {voice.Say{Text: "a", Voice: "anna"}, 5}, {voice.Say{Text: "a", Locale: "de-DE"}, 5},
	} {
		if clip, err := r.say(c.say); err != nil || clip.Duration() != c.want*time.Second {
			t.Errorf("%+v: %v", c.say, err)
		}
	}
	if e.asked.Load() != 3 {
		t.Errorf("asked %d times", e.asked.Load())
	}
	if _, err := r.say(voice.Say{Text: "broken"}); err == nil || !strings.Contains(err.Error(), "it is broken") {
		t.Errorf("a broken engine: %v", err)
	}
	for _, c := range []struct {
		say          voice.Say
		member, have string
	}{
		{voice.Say{Text: "a", Locale: "fr-FR"}, "locale", "de-DE, en-US"}, {voice.Say{Text: "a", Locale: "de-DE", Voice: "male"}, "voice", "hans"},
	} {
		err := r.CanSay(c.say)
		var e *voice.Error
		if !errors.As(err, &e) || e.Code != voice.CodeValidationFailed || !strings.Contains(strings.Join(e.Details[c.member], ""), "there are "+c.have) {
			t.Errorf("%+v: %+v", c.say, err)
		}
		if _, err := r.say(c.say); err == nil || !strings.Contains(err.Error(), c.have) {
			t.Errorf("%+v: %v", c.say, err)
		}
	}
	none := newRig(t, nil)
	if err := none.CanSay(voice.Say{Text: "a"}); voice.CodeOf(err) != voice.CodeSpeechUnavailable {
		t.Errorf("no engine: %v", err)
	}
	if _, err := none.say(voice.Say{Text: "a"}); err == nil {
		t.Error("no engine speaks")
	}
}

func TestEars(t *testing.T) {
	testkit.NoLeaks(t)
	type heard struct {
		text string
		err  error
	}
	listen := func(e *Ears, locale string) heard {
		got := make(chan heard, 2)
		e.Understand(t.Context(), audio.Silence(8000, time.Second), locale, func(text string, err error) { got <- heard{text, err} })
		return <-got
	}
	e := NewEars(&engine{})
	if h := listen(e, ""); h.err != nil || h.text != "en-US 1s" {
		t.Errorf("%+v", h)
	}
	if h := listen(e, "it-IT"); h.err == nil || !strings.Contains(h.err.Error(), "de-DE, en-US") {
		t.Errorf("%+v", h)
	}
	if err := e.CanUnderstand("it-IT"); voice.CodeOf(err) != voice.CodeValidationFailed {
		t.Error(err)
	}
	if err := errors.Join(e.CanUnderstand("de-DE"), e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if h := listen(e, ""); !errors.Is(h.err, ErrClosed) {
		t.Errorf("%+v", h)
	}
	if err := NewEars(nil).CanUnderstand("en-US"); voice.CodeOf(err) != voice.CodeSpeechUnavailable {
		t.Error(err)
	}
}
