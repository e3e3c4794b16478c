package fetch

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "2606:4700::1111": true, "64:ff9b::101:101": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false, "2001:db8::1": false,
		"::ffff:127.0.0.1": false, "::ffff:1.1.1.1": true, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestCheck(t *testing.T) {
	strict, open := New(Options{}), New(Options{AllowPrivate: true})
	for address, want := range map[string]error{
		"https://example.com/a": nil, "https://1.1.1.1:8443/": nil,
		"http://example.com/": ErrScheme, "ftp://example.com/": ErrScheme, "file:///etc/passwd": io.EOF, "https:///a": io.EOF, "https:a": io.EOF, "%": io.EOF,
		"https://localhost/": ErrPrivate, "https://a.LOCALHOST./": ErrPrivate, "https://127.0.0.1/": ErrPrivate, "https://[::1]/": ErrPrivate, "https://[fe80::1%25eth0]/": ErrPrivate,
		"https://[::ffff:7f00:1]/": ErrPrivate, "https://localhost.localdomain/": ErrPrivate, "https://printer.local/": ErrPrivate,
		"https://metadata.google.internal/": ErrPrivate, "https://router/": ErrPrivate, "https://[3fff::1]/": ErrPrivate,
		// An address in another form: where it is not taken for a name, either.
		"https://2130706433/": io.EOF, "https://0177.0.0.1/": io.EOF, "https://0x7f.1/": io.EOF, "https://0x7f000001/": io.EOF, "https://127.1/": io.EOF,
		"https://127.0.0.0x1./": io.EOF, "https://0/": io.EOF, "https://0x/": io.EOF, "https://１２７.0.0.1/": io.EOF, "https://127。0。0。1/": io.EOF, "https://ⓔxample.com/": io.EOF,
		"https://example.com:0/": io.EOF, "https://example.com:65536/": io.EOF, "https://example.com:65535/": nil, "https://xn--mnchen-3ya.de/": nil, "https://a_b.0x.example/": nil,
	} {
		err := strict.Check(address, "https")
		if want == nil && err != nil || want != nil && err == nil || want != nil && !errors.Is(want, io.EOF) && !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
		if errors.Is(want, ErrPrivate) && open.Check(address, "https") != nil {
			t.Errorf("%s is refused where it is allowed", address)
		}
	}
}

// TestCheckExact: what is signed must be what is sent.
func TestCheckExact(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.com/a/b%20c?d=e&f=%C3%BC": true, "https://example.com": true, "https://[2606:4700::1]/": true,
		"https://example.com/#a": false, "https://example.com/a b": false, "https://example.com/ü": false, "https://example.com/a|b": false, "https://example.com/\x7f": false,
	} {
		if err := CheckExact(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// serve answers on loopback: / with a file, /to?… with a redirect.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	hang := make(chan struct{}) // closed by the end of the test
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Content-Type", "audio/wav")
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		case "/endless": // says nothing of its length
			for range 100 {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
				w.(http.Flusher).Flush()
			}
		case "/slow":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/drip":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/to":
			http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(r.Header.Get("X-Sign") + string(body)))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { close(hang); s.Close() })
	return s
}

func TestGet(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	s := serve(t)
	c, hasty := New(Options{AllowPrivate: true}), New(Options{AllowPrivate: true, HeaderTimeout: 50 * time.Millisecond, Timeout: 100 * time.Millisecond})
	t.Cleanup(c.Close)
	t.Cleanup(hasty.Close)
	f, err := c.Get(t.Context(), s.URL+"/to?url=/file", "", 1000)
	if err != nil || len(f.Body) != 1000 || f.ETag != `"1"` || f.CacheFor != time.Minute || f.Type != "audio/wav" {
		t.Fatalf("%+v, %v", f, err)
	}
	if f, err = c.Get(t.Context(), s.URL+"/file", `"1"`, 1000); err != nil || !f.NotModified || f.Body != nil {
		t.Errorf("%+v, %v", f, err)
	}
	for path, want := range map[string]error{
		"/endless": ErrTooLarge, "/file": ErrTooLarge, "/to?url=/to?url=/to?url=/to?url=/to?url=/file": nil, "/to?url=ftp://example.com/": ErrScheme,
	} {
		if _, err := c.Get(t.Context(), s.URL+path, "", 999); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	var status *StatusError
	if _, err := c.Get(t.Context(), s.URL+"/nothing", "", 9); !errors.As(err, &status) || status.Code != 404 {
		t.Errorf("nothing there: %v", err)
	}
	for _, path := range []string{"/slow", "/drip"} {
		if _, err := hasty.Get(t.Context(), s.URL+path, "", 9); err == nil || strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestLoops: a redirect to itself ends.
func TestLoops(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	c := New(Options{AllowPrivate: true})
	t.Cleanup(c.Close)
	if _, err := c.Get(t.Context(), s.URL, "", 9); !errors.Is(err, ErrRedirects) || n != 4 {
		t.Errorf("after %d requests: %v", n, err)
	}
}

// TestPrivate: nothing reaches loopback, by its address, by a name, or by a
// redirect.
func TestPrivate(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	c := New(Options{})
	t.Cleanup(c.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	for _, address := range []string{s.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		if _, err := c.Get(t.Context(), address, "", 9); !errors.Is(err, ErrPrivate) {
			t.Errorf("get %s: %v", address, err)
		}
		if _, err := c.Post(t.Context(), address, nil, nil, 9); !errors.Is(err, ErrPrivate) {
			t.Errorf("post %s: %v", address, err)
		}
	}
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.redirect(r, []*http.Request{r}); !errors.Is(err, ErrPrivate) {
		t.Errorf("redirect: %v", err)
	}
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
	}))
	t.Cleanup(outside.Close)
	hosted := New(Options{Hosts: map[string]string{"example.com:80": outside.Listener.Addr().String()}})
	t.Cleanup(hosted.Close)
	for _, address := range []string{s.URL, "http://localhost:" + port, "http://[::1]:" + port} {
		if _, err := hosted.Get(t.Context(), "http://example.com/?url="+address, "", 9); !errors.Is(err, ErrPrivate) {
			t.Errorf("redirected to %s: %v", address, err)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests came", asked)
	}
}

func TestPost(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	s := serve(t)
	c := New(Options{AllowPrivate: true, UserAgent: "Tapedeck"})
	t.Cleanup(c.Close)
	answer, err := c.Post(t.Context(), s.URL+"/echo", map[string]string{"x-sign": "s"}, []byte("body"), 4)
	if err != nil || answer.Code != 202 || string(answer.Body) != "sbod" {
		t.Errorf("%+v %v", answer, err)
	}
	if answer, err = c.Post(t.Context(), s.URL+"/to?url=/echo", nil, []byte("body"), 0); err != nil || answer.Code != 302 {
		t.Errorf("a redirect: %+v %v", answer, err)
	}
}
