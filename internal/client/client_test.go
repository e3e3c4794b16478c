package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// serve answers requests by "METHOD path" with a status and a body, the last
// answer again and again, and notes what was asked.
func serve(t *testing.T, answers map[string][]string) (*Client, *[]string) {
	t.Helper()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		what := r.Method + " " + r.URL.RequestURI()
		asked = append(asked, strings.TrimSpace(what+" "+string(body)))
		if got := r.Header.Get("Authorization"); got != "AccessKey k" {
			t.Errorf("authorization %q", got)
		}
		list := answers[strings.TrimPrefix(what, r.Method+" /workspaces/w")]
		if len(list) == 0 {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		if len(list) > 1 {
			answers[strings.TrimPrefix(what, r.Method+" /workspaces/w")] = list[1:]
		}
		status, body2, _ := strings.Cut(list[0], " ")
		w.WriteHeader(map[string]int{"200": 200, "202": 202, "422": 422}[status])
		if _, err := io.WriteString(w, body2); err != nil {
			t.Error(err)
		}
	}))
	c := New(Options{Address: strings.TrimPrefix(s.URL, "http://"), Key: "k", Workspace: "w"})
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, &asked
}

func TestCalls(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	testkit.NoLeaks(t)
	c, asked := serve(t, map[string][]string{
		"/channels/ch/calls?from=%2B1555":    {`200 {"results":[]}`, `200 {"results":[{"id":"a","status":"ringing"}]}`},
		"/channels/ch/calls/a":               {`200 {"id":"a","status":"ongoing"}`},
		"/channels/ch/calls/a/bridge":        {`202 {"bridgedCall":{"id":"b","parentId":"a"}}`},
		"/channels/ch/calls/a/recordings":    {`202 {"command":{"command":"record-call"},"recordingId":"r"}`},
		"/channels/ch/calls/a/hangup":        {`202 {}`},
		"/channels":                          {`200 {"id":"new"}`},
		"/recordings/r":                      {`200 {"id":"r","status":"ongoing"}`, `200 {"id":"r","status":"completed"}`, `200 {"id":"r","status":"available","durationMs":7}`},
		"/recordings?limit=99":               {`200 {"results":[{"id":"r"}]}`},
		"/recordings/r.wav":                  {`200 RIFF`},
		"/recordings/r/receipt":              {`200 {"complete":true,"tracks":[{"channel":1,"received":5}]}`},
		"/channels/ch/calls/z/recordings":    {`422 {"code":"validation_failed","message":"no","details":{"maxLength":["wrong"]}}`},
		"/channels/ch/calls/nonsense/bridge": {`202 <html>`},
		"/recordings/broken/receipt":         {`200 [`},
	})
	ctx := t.Context()
	call, err := c.CallFrom(ctx, "ch", "+1555")
	if err != nil || call.ID != "a" || call.Status != voice.CallRinging {
		t.Errorf("call from: %+v, %v", call, err)
	}
	if call, err = c.Call(ctx, "ch", "a"); err != nil || call.Status != voice.CallOngoing {
		t.Errorf("call: %+v, %v", call, err)
	}
	if far, err := c.Bridge(ctx, "ch", "a", voice.Bridge{To: "sip:x"}); err != nil || far.ID != "b" || far.Parent != "a" {
		t.Errorf("bridge: %+v, %v", far, err)
	}
	if id, err := c.Record(ctx, "ch", "a", voice.RecordCall{Stereo: true}); err != nil || id != "r" {
		t.Errorf("record: %s, %v", id, err)
	}
	if err := c.Command(ctx, "ch", "a", voice.KindHangup); err != nil {
		t.Error(err)
	}
	if ch, err := c.CreateChannel(ctx, Channel{Number: "*"}); err != nil || ch.ID != "new" {
		t.Errorf("channel: %+v, %v", ch, err)
	}
	if r, err := c.Finished(ctx, "r"); err != nil || r.Status != voice.RecordingAvailable || r.DurationMs != 7 {
		t.Errorf("recording: %+v, %v", r, err)
	}
	if list, err := c.Recordings(ctx); err != nil || len(list) != 1 {
		t.Errorf("recordings: %+v, %v", list, err)
	}
	if wav, err := c.WAV(ctx, "r"); err != nil || string(wav) != "RIFF" {
		t.Errorf("audio: %q, %v", wav, err)
	}
	if r, err := c.Receipt(ctx, "r"); err != nil || !r.Complete || len(r.Tracks) != 1 || r.Tracks[0].Side != 1 || len(r.Raw) == 0 {
		t.Errorf("receipt: %+v, %v", r, err)
	}
	all := strings.Join(*asked, "\n")
	for _, want := range []string{
		`POST /workspaces/w/channels/ch/calls/a/recordings {"stereo":true}`,
		`POST /workspaces/w/channels/ch/calls/a/bridge {"to":"sip:x"}`,
		"POST /workspaces/w/channels/ch/calls/a/hangup\n",
		`POST /workspaces/w/channels {"number":"*"}`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("was not asked: %s\n%s", want, all)
		}
	}

	var e *Error
	if _, err := c.Record(ctx, "ch", "z", voice.RecordCall{}); !errors.As(err, &e) || e.Status != 422 || e.Code != voice.CodeValidationFailed || e.Details["maxLength"] == nil {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := c.Recording(ctx, "none"); !errors.As(err, &e) || e.Status != 404 || !strings.Contains(err.Error(), "GET /recordings/none: 404 Not Found: \"no such thing\"") {
		t.Errorf("an answer that is not ours: %v", err)
	}
	if _, err := c.Bridge(ctx, "ch", "nonsense", voice.Bridge{}); err == nil {
		t.Error("HTML was taken for an answer")
	}
	if _, err := c.Receipt(ctx, "broken"); err == nil {
		t.Error("half a receipt was taken for one")
	}
}

func TestErrorTexts(t *testing.T) {
	for name, c := range map[string]struct {
		err  Error
		want string
	}{
		"ours": {Error{Status: 404, Code: "not_found", Message: "no"}, "404 not_found: no"},
		"with faults": {
			Error{Status: 422, Code: "validation_failed", Message: "no", Details: map[string]any{"b": []any{"is odd", "is even"}, "a": []any{"is 1"}}},
			"422 validation_failed: no; a is 1; b is odd; b is even",
		},
		"a page":       {Error{Status: 502, Body: []byte("<h1>\x1b[2J" + strings.Repeat("x", 1<<20))}, `502 Bad Gateway: "<h1>\x1b[2J` + strings.Repeat("x", maxShown-8) + `…"`},
		"no such code": {Error{Status: 599, Body: []byte("x")}, `599: "x"`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

func TestWaitsEndWithTheContext(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	testkit.NoLeaks(t)
	c, _ := serve(t, map[string][]string{
		"/recordings/r": {`200 {"id":"r","status":"ongoing"}`}, "/channels/ch/calls?from=x": {`200 {"results":[]}`},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Finished(ctx, "r"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a recording that goes on: %v", err)
	}
	if _, err := c.CallFrom(ctx, "ch", "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call that does not come: %v", err)
	}
}
