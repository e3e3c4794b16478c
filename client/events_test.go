package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// turns serves the stream of events, one function for each time that it is asked
// for.
func turns(t *testing.T, o Options, list ...http.HandlerFunc) *Client {
	t.Helper()
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	next := make(chan http.HandlerFunc, len(list))
	for _, f := range list {
		next <- f
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" || r.URL.Path != "/workspaces/w/events" {
			t.Errorf("asked for %s as %q", r.URL, r.Header.Get("Accept"))
		}
		select {
		case f := <-next:
			f(w, r)
		default:
			t.Error("asked once more")
			w.WriteHeader(http.StatusGone)
		}
	}))
	o.BaseURL, o.AccessKey, o.Workspace, o.Pause = server.URL, "k", "w", time.Millisecond
	c := New(o)
	t.Cleanup(func() { c.Close(); server.Close() })
	return c
}

// events sends some, each with its place.
func events(after string, seqs ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Last-Event-ID"); got != after {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		var b strings.Builder
		b.WriteString(": hello\r\n\r\n")
		for _, n := range seqs {
			fmt.Fprintf(&b, "id: %d\nevent: voice.inbound\ndata: {\"id\":\"e%d\",\"seq\":%d,\"event\":\"voice.inbound\",\ndata: \"payload\":{\"id\":\"c%d\",\"status\":\"ringing\"}}\n\n", n, n, n, n)
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return
		}
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		if _, err := io.WriteString(w, body); err != nil {
			return
		}
	}
}

// TestEvents: the stream goes on where it was, whatever ended it.
func TestEvents(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	c := turns(t, Options{Timeout: 500 * time.Millisecond},
		events("7", 8, 9),
		status(http.StatusServiceUnavailable, `{"code":"unavailable","message":"too many streams"}`),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		status(http.StatusOK, "id: 10\n\n"), // of another type
		func(w http.ResponseWriter, r *http.Request) { // says something, and then nothing any more
			events("10", 11)(w, r)
			select {
			case <-r.Context().Done():
			case <-hang:
			}
		},
		events("11", 12, 13, 14),
	)
	var got []int64
	for e, err := range c.Events(t.Context(), 7, EventTypeVoiceInbound) {
		if err != nil {
			t.Fatal(err)
		}
		call, err := e.Call()
		if err != nil || call.ID != fmt.Sprintf("c%d", e.Seq) || call.Status != CallStatusRinging {
			t.Errorf("%+v, %v", call, err)
		}
		if got = append(got, e.Seq); e.Seq == 13 {
			break
		}
	}
	if want := "[8 9 11 12 13]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestEventsEnd: what ends the iteration, with its reason.
func TestEventsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		turns []http.HandlerFunc
		want  func(error) bool
	}{
		"forgotten": {
			[]http.HandlerFunc{events("0"), status(http.StatusGone, `{"code":"events_gone","message":"x"}`)},
			func(err error) bool { return CodeOf(err) == CodeEventsGone },
		},
		"never there": {
			[]http.HandlerFunc{status(502, ""), status(502, ""), status(502, "")},
			func(err error) bool { var e *Error; return errors.As(err, &e) && e.Status == 502 },
		},
		"not ours": {
			[]http.HandlerFunc{events("0"), status(http.StatusOK, "data: <html>\n\n")},
			func(err error) bool { return errors.Is(err, errForeign) },
		},
		"no key": {
			[]http.HandlerFunc{status(http.StatusUnauthorized, `{"code":"unauthorized","message":"x"}`)},
			func(err error) bool { return CodeOf(err) == CodeUnauthorized },
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := turns(t, Options{Attempts: 3}, c.turns...)
			ends := 0
			for _, err := range api.Events(t.Context(), 0) {
				if ends++; !c.want(err) {
					t.Error(err)
				}
			}
			if ends != 1 {
				t.Errorf("%d ends", ends)
			}
		})
	}
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		api := turns(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			events("0", 1)(w, r)
			<-r.Context().Done()
		})
		var last error
		for _, err := range api.Events(ctx, 0) {
			last = err
			cancel()
		}
		if !errors.Is(last, context.Canceled) {
			t.Error(last)
		}
	})
}

func TestLastEvent(t *testing.T) {
	c, _ := play(t, map[string][]string{
		"/events?limit=1000":                    {`200 {"results":[{"seq":5},{"seq":6}],"after":6}`},
		"/events?after=6&limit=1000":            {`200 {"results":[{"seq":9}],"after":9}`},
		"/events?after=9&limit=1000":            {`200 {"results":[],"after":9}`},
		"/events?limit=1000&type=voice.inbound": {`200 {"results":[],"after":0}`},
	})
	if at, err := c.LastEvent(t.Context()); err != nil || at != 9 {
		t.Errorf("%d, %v", at, err)
	}
	if at, err := c.LastEvent(t.Context(), EventTypeVoiceInbound); err != nil || at != 0 {
		t.Errorf("%d, %v", at, err)
	}
}

// FuzzEvents: whatever a server streams, nothing panics, and what was given has
// its place.
func FuzzEvents(f *testing.F) {
	f.Add("data: {\"seq\":3,\"payload\":{}}\n\n:\n\ndata: {\"seq\":4}\n\n")
	f.Add("id: 7\n\nid: x\ndata: {\"seq\":-1}\n\n")
	f.Add("data:{\ndata:}\n\n\n\ndata: x\n\n")
	f.Fuzz(func(t *testing.T, body string) {
		var last int64
		s := &eventStream{c: New(Options{}), yield: func(e Event, err error) bool { last = e.Seq; return err == nil }}
		if err := s.take(strings.NewReader(body), func() {}); err == nil {
			t.Error("a stream that breaks off has no error")
		}
		if s.after < last {
			t.Errorf("goes on after %d, given was %d", s.after, last)
		}
	})
}
