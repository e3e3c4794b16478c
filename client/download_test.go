package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// shelf serves one file as the server does, with faults.
type shelf struct {
	t      *testing.T
	body   []byte
	tag    string // with quotes; empty = the file still grows
	cut    []int  // after how many bytes the answer to each GET breaks off; then never
	refuse []int  // statuses to answer before anything else
	code   string // in the refusals
	whole  bool   // ranges are not known
	stall  bool   // the first GET sends half and then nothing
	ranges []string
	gets   int
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(s.refuse) > 0 {
		status := s.refuse[0]
		s.refuse = s.refuse[1:]
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `{"code": %q, "message": "no"}`, s.code)
		}
		return
	}
	if s.tag != "" {
		w.Header().Set("ETag", s.tag)
	}
	if r.Method == http.MethodHead {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.body))
		return
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if as := r.Header.Get("Accept-Encoding"); as != "identity" {
		s.t.Errorf("asked for the file as %q", as)
	}
	if s.whole {
		r.Header.Del("Range")
	}
	out := w
	if s.gets < len(s.cut) {
		out = &cutShort{ResponseWriter: w, left: s.cut[s.gets]}
	}
	if s.gets++; s.stall && s.gets == 1 {
		w.Header().Set("Content-Length", fmt.Sprint(len(s.body)))
		if _, err := w.Write(s.body[:len(s.body)/2]); err != nil {
			s.t.Error(err)
		}
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		<-r.Context().Done()
		return
	}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(s.body))
}

// cutShort breaks the connection after some bytes.
type cutShort struct {
	http.ResponseWriter
	left int
}

func (s *cutShort) Write(b []byte) (int, error) {
	if len(b) <= s.left {
		s.left -= len(b)
		return s.ResponseWriter.Write(b)
	}
	if _, err := s.ResponseWriter.Write(b[:s.left]); err != nil {
		return 0, err
	}
	s.ResponseWriter.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
	panic(http.ErrAbortHandler)
}

// audio is a file that is longer than a buffer.
func audio() []byte {
	out := make([]byte, 300_001)
	for i := range out {
		out[i] = byte(i * i >> 3)
	}
	return out
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func (s *shelf) client(t *testing.T) *Client {
	t.Helper()
	testkit.Timeout(t, 30*time.Second)
	s.t = t
	server := httptest.NewServer(s)
	c := New(Options{BaseURL: server.URL, AccessKey: "k", Workspace: "w", Pause: time.Millisecond})
	t.Cleanup(func() { c.Close(); server.Close() })
	return c
}

func check(t *testing.T, dir string, body []byte, got Downloaded, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(dir, "a.wav"))
	if err != nil || !bytes.Equal(have, body) || got.Size != int64(len(body)) || got.SHA256 != sum(body) {
		t.Errorf("%d bytes, %+v, %v", len(have), got, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

func TestDownload(t *testing.T) {
	body := audio()
	tag := `"` + sum(body) + `"`
	for name, c := range map[string]struct {
		shelf  shelf
		want   string // hash that is expected
		proved bool
		gets   int
	}{
		"whole":                {shelf{tag: tag}, sum(body), true, 1},
		"hash of the server":   {shelf{tag: tag}, "", true, 1},
		"other kind of tag":    {shelf{tag: `"1"`}, "", false, 1},
		"still growing":        {shelf{}, "", false, 1},
		"no tag on the way":    {shelf{}, sum(body), true, 1},
		"cut twice":            {shelf{tag: tag, cut: []int{1000, 250_000}}, "", true, 3},
		"cut while growing":    {shelf{cut: []int{1000}}, "", false, 2},
		"cut without ranges":   {shelf{tag: tag, cut: []int{1000}, whole: true}, "", true, 2},
		"server was away":      {shelf{tag: tag, refuse: []int{503, 503}}, "", true, 1},
		"being made for long":  {shelf{tag: tag, refuse: []int{503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503}, code: "not_ready"}, "", true, 1},
		"empty":                {shelf{tag: `"` + sum(nil) + `"`}, "", true, 0},
		"cut again, and again": {shelf{tag: tag, cut: []int{10, 10, 10, 10, 10, 10, 10, 10}}, "", true, 9},
	} {
		t.Run(name, func(t *testing.T) {
			if c.shelf.body = body; name == "empty" {
				c.shelf.body = nil
			}
			dir := t.TempDir()
			api := c.shelf.client(t)
			var last int64
			got, err := api.Download(t.Context(), Download{
				Path: "/recordings/a.wav", To: filepath.Join(dir, "a.wav"), SHA256: c.want,
				Progress: func(done, total int64) {
					if total != int64(len(body)) || done > total {
						t.Errorf("%d of %d", done, total)
					}
					last = done
				},
			})
			check(t, dir, c.shelf.body, got, err)
			if got.Proved != c.proved || c.shelf.gets != c.gets || last != int64(len(c.shelf.body)) {
				t.Errorf("%+v after %d questions, %d bytes told", got, c.shelf.gets, last)
			}
		})
	}
}

// TestDownloadGoesOn: what an earlier run fetched is not fetched again, unless
// the file has changed.
func TestDownloadGoesOn(t *testing.T) {
	body := audio()
	s := &shelf{body: body, tag: `"` + sum(body) + `"`, cut: []int{0, 0, 0, 0, 0}}
	s.cut[0] = 100_000
	api := s.client(t)
	dir := t.TempDir()
	d := Download{Path: "/recordings/a.wav", To: filepath.Join(dir, "a.wav")}
	_, err := api.Download(t.Context(), d)
	if err == nil {
		t.Fatal("a server that breaks off each time gives a file")
	}
	if !strings.Contains(err.Error(), "100000 of 300001 bytes are kept in "+dir) {
		t.Errorf("nothing said of what is left: %v", err)
	}
	if _, err := os.Stat(d.To); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part has the name of the whole: %v", err)
	}
	s.cut = nil
	got, err := api.Download(t.Context(), d)
	check(t, dir, body, got, err)
	if want := "bytes=100000-"; got.Resumed != 100_000 || s.ranges[len(s.ranges)-1] != want {
		t.Errorf("%+v, asked for %q", got, s.ranges)
	}

	// The part of another version is of no use.
	s.gets, s.cut = 0, []int{100_000, 0, 0, 0, 0}
	d.Replace = true
	if _, err := api.Download(t.Context(), d); err == nil {
		t.Fatal("a server that breaks off each time gives a file")
	}
	changed := append(bytes.Clone(body), 7)
	s.body, s.tag, s.cut = changed, `"`+sum(changed)+`"`, nil
	if got, err = api.Download(t.Context(), d); err != nil || got.Resumed != 0 || got.SHA256 != sum(changed) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDownloadRefused(t *testing.T) {
	body := audio()
	tag := `"` + sum(body) + `"`
	there := testkit.WriteFile(t, t.TempDir(), "a.wav", "mine")
	for name, c := range map[string]struct {
		shelf shelf
		to    string
		hash  string
		want  func(error) bool
	}{
		"not found": {shelf{refuse: []int{404, 404}, code: "not_found"}, "", "", func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Status == 404 && e.Code == CodeNotFound
		}},
		"no such format": {shelf{refuse: []int{501, 501}, code: "format_unavailable"}, "", "", func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Status == 501 && e.Message == "no"
		}},
		"away for long":       {shelf{refuse: []int{503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503}, code: "unavailable"}, "", "", func(err error) bool { return err != nil }},
		"other bytes":         {shelf{body: body, tag: tag}, "", sum(nil), func(err error) bool { return errors.Is(err, ErrDamaged) }},
		"there already":       {shelf{body: body, tag: tag}, there, "", func(err error) bool { return errors.Is(err, fs.ErrExist) }},
		"no such place":       {shelf{body: body, tag: tag}, filepath.Join(there, "x", "a.wav"), "", func(err error) bool { return errors.Is(err, errHere) }},
		"no tag, other bytes": {shelf{body: body}, "", sum(nil), func(err error) bool { return errors.Is(err, ErrDamaged) }},
		"directory":           {shelf{body: body, tag: tag}, filepath.Dir(there), "", func(err error) bool { return errors.Is(err, errHere) && !errors.Is(err, fs.ErrExist) }},
		"name of a directory": {shelf{body: body, tag: tag}, there + "x" + string(filepath.Separator), "", func(err error) bool { return errors.Is(err, errHere) }},
		"bytes of another":    {shelf{body: body, tag: `"` + sum(nil) + `"`}, "", "", func(err error) bool { return errors.Is(err, ErrDamaged) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			api := c.shelf.client(t)
			if c.to == "" {
				c.to = filepath.Join(dir, "a.wav")
			}
			if _, err := api.Download(t.Context(), Download{Path: "/recordings/a.wav", To: c.to, SHA256: c.hash}); !c.want(err) {
				t.Errorf("%v", err)
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
				t.Errorf("left behind: %v, %v", list, err)
			}
		})
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "mine" {
		t.Errorf("a file that was there: %q, %v", text, err)
	}
}

// TestDownloadReplacesFilesOnly: what is no file is never renamed over, also
// where a file would be.
func TestDownloadReplacesFilesOnly(t *testing.T) {
	body := audio()
	s := &shelf{body: body, tag: `"` + sum(body) + `"`}
	api := s.client(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{dir, link, os.DevNull} {
		if _, err := api.Download(t.Context(), Download{Path: "/recordings/a.wav", To: to, Replace: true}); !errors.Is(err, errHere) || s.gets != 0 {
			t.Errorf("%s: %v after %d questions", to, err, s.gets)
		}
	}
	// A file is.
	d := Download{Path: "/recordings/a.wav", To: testkit.WriteFile(t, dir, "a.wav", "old"), Replace: true}
	if got, err := api.Download(t.Context(), d); err != nil || !got.Proved {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDownloadsToOneFile: of two, one writes and the other says so; what comes to
// the place while a download runs is not written over.
func TestDownloadsToOneFile(t *testing.T) {
	body := audio()
	s := &shelf{body: body, tag: `"` + sum(body) + `"`}
	api := s.client(t)
	dir := t.TempDir()
	d := Download{Path: "/recordings/a.wav", To: filepath.Join(dir, "a.wav")}
	other := d
	d.Progress = func(done, total int64) {
		if _, err := api.Download(t.Context(), other); !errors.Is(err, errTaken) {
			t.Errorf("the second, after %d of %d bytes: %v", done, total, err)
		}
	}
	got, err := api.Download(t.Context(), d)
	check(t, dir, body, got, err)

	other = Download{Path: "/recordings/a.wav", To: filepath.Join(t.TempDir(), "b.wav")}
	other.Progress = func(int64, int64) { testkit.WriteFile(t, filepath.Dir(other.To), "b.wav", "mine") }
	if _, err := api.Download(t.Context(), other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that came meanwhile: %v", err)
	}
	if text, err := os.ReadFile(other.To); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	other.Progress, other.Replace = nil, true
	if got, err := api.Download(t.Context(), other); err != nil || got.Resumed != int64(len(body)) {
		t.Errorf("nothing was kept: %+v, %v", got, err)
	}
}

// TestDownloadStalls: a server that says nothing any more is left, and asked
// again.
func TestDownloadStalls(t *testing.T) {
	body := audio()
	s := &shelf{body: body, tag: `"` + sum(body) + `"`, stall: true}
	api := s.client(t)
	api.o.Timeout = 300 * time.Millisecond
	dir := t.TempDir()
	got, err := api.Download(t.Context(), Download{Path: "/recordings/a.wav", To: filepath.Join(dir, "a.wav")})
	check(t, dir, body, got, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := api.Download(ctx, Download{Path: "/recordings/a.wav", To: filepath.Join(dir, "b.wav")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
