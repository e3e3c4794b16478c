package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// script answers requests by path and query with a status, a space and a body:
// the last answer again and again. The status 0 breaks the connection. It notes
// what was asked.
type script struct {
	t *testing.T

	mu      sync.Mutex
	answers map[string][]string
	asked   []string // method, path and body
	keys    []string // Idempotency-Key of each
	header  http.Header
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	path := strings.TrimPrefix(r.URL.RequestURI(), "/workspaces/w")
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	if got := r.Header.Get("Authorization"); got != "AccessKey k" {
		s.t.Errorf("authorization %q", got)
	}
	list := s.answers[path]
	if len(list) == 0 {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	if len(list) > 1 {
		s.answers[path] = list[1:]
	}
	status, answer, _ := strings.Cut(list[0], " ")
	code, err := strconv.Atoi(status)
	if err != nil {
		s.t.Error(err)
	}
	if code == 0 {
		panic(http.ErrAbortHandler)
	}
	for name := range s.header {
		w.Header().Set(name, s.header.Get(name))
	}
	w.WriteHeader(code)
	if _, err := io.WriteString(w, answer); err != nil {
		s.t.Error(err)
	}
}

// count tells how often something was asked.
func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// play serves a script and returns a client of it.
func play(t *testing.T, answers map[string][]string) (*Client, *script) {
	t.Helper()
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	s := &script{t: t, answers: answers}
	server := httptest.NewServer(s)
	c := New(Options{BaseURL: strings.TrimPrefix(server.URL, "http://"), AccessKey: "k", Workspace: "w", Pause: time.Millisecond})
	t.Cleanup(func() { c.Close(); server.Close() })
	return c, s
}

// TestMethods: what the generated methods send, one of each kind.
func TestMethods(t *testing.T) {
	c, s := play(t, map[string][]string{
		"/channels":                       {`201 {"id":"new","codecs":["opus"]}`},
		"/channels/ch":                    {`200 {"id":"ch"}`},
		"/channels/ch/calls/a/bridge":     {`202 {"bridgedCall":{"id":"b","parentId":"a"}}`},
		"/channels/ch/calls/a/recordings": {`202 {"command":{"command":"record-call"},"recordingId":"r"}`},
		"/channels/ch/calls/a/hangup":     {`202 {}`},
		"/channels/ch/calls?limit=3&status=busy&status=failed&duration=0&startAt=1970-01-01T00%3A00%3A01Z&from=%2B1": {`200 {}`},
		"/channels/ch/calls?duration=0&from=%2B1&limit=3&startAt=1970-01-01T00%3A00%3A01Z&status=busy&status=failed": {`200 {"results":[{"id":"a","status":"busy"}]}`},
		"/recordings/r":          {`204 `},
		"/transcriptions/t.txt":  {`200 hello`},
		"/recordings/x%2Fy%3Fz":  {`200 {"id":"odd"}`},
		"/recordings/r/receipt":  {`200 {"complete":true,"tracks":[{"channel":1,"received":5}]}`},
		"/recordings/no/receipt": {`200 [`},
		"/recordings/html":       {`200 <html>`},
	})
	ctx := t.Context()
	ch, err := c.CreateChannel(ctx, CreateChannel{Number: "*", Inbound: Inbound{CallFlow: &[]Step{Do(Say{Text: "hello"}, Keys("")), Do(Answer{})}}})
	if err != nil || ch.ID != "new" || ch.Codecs[0] != "opus" {
		t.Errorf("%+v, %v", ch, err)
	}
	if _, err := c.UpdateChannel(ctx, "ch", PatchChannel{Name: new(""), Codecs: &[]string{}}); err != nil {
		t.Error(err)
	}
	far, err := c.BridgeCall(ctx, "ch", "a", BridgeCall{To: "sip:x", HangupAfterBridge: new(false)})
	if err != nil || far.BridgedCall.ParentID != "a" {
		t.Errorf("%+v, %v", far, err)
	}
	if r, err := c.RecordCallSession(ctx, "ch", "a", RecordCall{Stereo: true}); err != nil || r.RecordingID != "r" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.HangupCall(ctx, "ch", "a", HangupCall{}); err != nil {
		t.Error(err)
	}
	calls, err := c.ListChannelCalls(ctx, "ch", ListChannelCallsParams{
		Limit: 3, Status: []CallStatus{CallStatusBusy, CallStatusFailed}, Duration: new(0), StartAt: time.Unix(1, 0), From: "+1",
	})
	if err != nil || len(calls.Results) != 1 || !calls.Results[0].Status.Final() {
		t.Errorf("%+v, %v", calls, err)
	}
	if err := c.DeleteRecording(ctx, "r"); err != nil {
		t.Error(err)
	}
	if text, err := c.GetTranscriptionText(ctx, "t"); err != nil || string(text) != "hello" {
		t.Errorf("%s, %v", text, err)
	}
	if r, err := c.GetRecording(ctx, "x/y?z"); err != nil || r.ID != "odd" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Receipt(ctx, "r"); err != nil || !r.Complete || len(r.Tracks) != 1 || r.Tracks[0].Side != 1 || len(r.Raw) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Receipt(ctx, "no"); err == nil {
		t.Error("half a receipt was taken for one")
	}
	if _, err := c.GetRecording(ctx, "html"); err == nil {
		t.Error("HTML was taken for an answer")
	}
	all := strings.Join(s.asked, "\n") + "\n"
	for _, want := range []string{
		`POST /channels {"inbound":{"callFlow":[{"command":"say","options":{"text":"hello"},"conditions":[{"operator":"eq","value":"","variable":"keys"}]},{"command":"answer","options":{}}]},"number":"*"}`,
		`PATCH /channels/ch {"codecs":[],"name":""}`,
		`POST /channels/ch/calls/a/recordings {"stereo":true}`,
		`POST /channels/ch/calls/a/bridge {"hangupAfterBridge":false,"to":"sip:x"}`,
		`POST /channels/ch/calls/a/hangup {}`,
		`DELETE /recordings/r`,
	} {
		if !strings.Contains(all, want+"\n") {
			t.Errorf("was not asked: %s\n%s", want, all)
		}
	}
}

// TestNoIds: an id that is none asks for something else, so nothing is asked.
func TestNoIds(t *testing.T) {
	c, s := play(t, nil)
	for _, id := range []string{"", ".", ".."} {
		if err := c.DeleteRecording(t.Context(), id); err == nil || !strings.Contains(err.Error(), "recordingId") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if s.count() > 0 {
		t.Errorf("asked was %q", s.asked)
	}
}

func TestRefusals(t *testing.T) {
	c, s := play(t, map[string][]string{
		"/channels/ch/calls/z/recordings": {`422 {"code":"validation_failed","message":"no","details":{"maxLength":["wrong","odd"]}}`},
	})
	s.header = http.Header{"X-Request-Id": {"abc"}}
	_, err := c.RecordCallSession(t.Context(), "ch", "z", RecordCall{})
	var e *Error
	if !errors.As(err, &e) || e.Status != 422 || CodeOf(err) != CodeValidationFailed || len(e.Details["maxLength"]) != 2 || e.RequestID != "abc" {
		t.Errorf("%+v", err)
	}
	if want := "POST /channels/ch/calls/z/recordings: 422 validation_failed: no; maxLength wrong; maxLength odd"; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := c.GetRecording(t.Context(), "none"); !errors.As(err, &e) || e.Status != 404 || e.Code != "" || !strings.Contains(err.Error(), "GET /recordings/none: 404 Not Found: \"no such thing\"") {
		t.Errorf("an answer that is not ours: %v", err)
	}
	if CodeOf(io.EOF) != "" || s.count() != 2 {
		t.Errorf("asked %d times", s.count())
	}
}

// TestAgain: what is sent again, and what is not.
func TestAgain(t *testing.T) {
	const refused = `503 {"code":"unavailable","message":"no room"}`
	record := func(c *Client) error {
		_, err := c.RecordCallSession(t.Context(), "ch", "a", RecordCall{})
		return err
	}
	channel := func(c *Client) error {
		_, err := c.CreateChannel(t.Context(), CreateChannel{Number: "1"})
		return err
	}
	patch := func(c *Client) error {
		_, err := c.UpdateCall(t.Context(), "ch", "a", PatchCall{CallFlow: &[]Step{}})
		return err
	}
	remove := func(c *Client) error { return c.DeleteMedia(t.Context(), "m") }
	const gone = `404 {"code":"not_found","message":"media not found"}`
	get := func(c *Client) error { _, err := c.GetRecording(t.Context(), "r"); return err }
	for name, c := range map[string]struct {
		path    string
		answers []string
		do      func(*Client) error
		asked   int
		ok      bool
	}{
		"no room, and then some":         {"/channels/ch/calls/a/recordings", []string{refused, refused, `202 {}`}, record, 3, true},
		"too many":                       {"/channels", []string{`429 {"code":"too_many_requests","message":"slow"}`, `201 {}`}, channel, 2, true},
		"no room for ever":               {"/recordings/r", []string{refused}, get, 4, false},
		"cut off with a key":             {"/channels/ch/calls/a/recordings", []string{"0", `202 {}`}, record, 2, true},
		"cut off, reading":               {"/recordings/r", []string{"0", "502 ", "504 ", `200 {}`}, get, 4, true},
		"cut off without a key":          {"/channels", []string{"0", `201 {}`}, channel, 1, false},
		"a proxy's fault without a key":  {"/channels", []string{"502 ", `201 {}`}, channel, 1, false},
		"a call flow may have begun":     {"/channels/ch/calls/a", []string{"0", `202 {}`}, patch, 1, false},
		"deleted, but not told so":       {"/media/m", []string{"0", gone}, remove, 2, true},
		"never there":                    {"/media/m", []string{gone}, remove, 1, false},
		"busy, then not there":           {"/media/m", []string{refused, gone}, remove, 2, false},
		"a fault of the server is final": {"/recordings/r", []string{`500 {"code":"internal","message":"x"}`, `200 {}`}, get, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			api, s := play(t, map[string][]string{c.path: c.answers})
			if err := c.do(api); (err == nil) != c.ok || s.count() != c.asked {
				t.Errorf("%v after %d questions, want %d", err, s.count(), c.asked)
			}
			for _, key := range s.keys {
				if key != s.keys[0] {
					t.Errorf("the keys differ: %q", s.keys)
				}
			}
		})
	}
}

// TestServerAway: where nobody listens, nothing was sent: whatever it is, it is
// tried again.
func TestServerAway(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := New(Options{BaseURL: server.URL, Pause: time.Millisecond, Workspace: "w", Attempts: 3})
	dials := 0
	c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		dials++
		return http.DefaultTransport.RoundTrip(r)
	})
	if _, err := c.CreateChannel(t.Context(), CreateChannel{Number: "1"}); err == nil || dials != 3 {
		t.Errorf("%v after %d tries", err, dials)
	}
	c.o.Pause = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		defer cancel()
		return http.DefaultTransport.RoundTrip(r)
	})
	if _, err := c.CreateChannel(ctx, CreateChannel{Number: "1"}); err == nil {
		t.Error("no error after the context ended")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestKeys: each call has a key of its own, unless the program brings one.
func TestKeys(t *testing.T) {
	c, s := play(t, map[string][]string{"/channels/ch/calls": {`202 {}`}, "/channels": {`201 {}`}})
	for _, ctx := range []context.Context{t.Context(), t.Context(), WithIdempotencyKey(t.Context(), "mine")} {
		if _, err := c.CreateCall(ctx, "ch", CreateCall{To: "sip:x"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.CreateChannel(t.Context(), CreateChannel{Number: "1"}); err != nil {
		t.Error(err)
	}
	if k := s.keys; len(k) != 4 || k[0] == "" || k[0] == k[1] || k[2] != "mine" || k[3] != "" {
		t.Errorf("%q", k)
	}
}

func TestPages(t *testing.T) {
	answers := map[string][]string{
		"/recordings?limit=2&status=available":                {`200 {"results":[{"id":"a"},{"id":"b"}],"nextPageToken":"x y"}`},
		"/recordings?limit=2&pageToken=x+y&status=available":  {`200 {"results":[],"nextPageToken":"z"}`},
		"/recordings?limit=2&pageToken=z&status=available":    {`200 {"results":[{"id":"c"}]}`},
		"/recordings?limit=1":                                 {`200 {"results":[{"id":"a"}],"nextPageToken":"broken"}`},
		"/recordings?limit=1&pageToken=broken":                {`404 {"code":"not_found","message":"gone"}`},
		"/webhook-deliveries?status=failed&subscriptionId=me": {`200 {"results":[{"id":"d"}]}`},
	}
	c, s := play(t, answers)
	p := ListRecordingsParams{Limit: 2, Status: RecordingStatusAvailable}
	all := c.AllRecordings(t.Context(), p)
	for range 2 { // an iterator may be used again
		list, err := Collect(all, 0)
		if err != nil || len(list) != 3 || list[0].ID != "a" || list[2].ID != "c" {
			t.Errorf("%+v, %v", list, err)
		}
	}
	before := s.count()
	if list, err := Collect(all, 2); err != nil || len(list) != 2 || s.count() != before+1 {
		t.Errorf("%+v, %v after %d questions", list, err, s.count()-before)
	}
	if list, err := Collect(c.AllRecordings(t.Context(), ListRecordingsParams{Limit: 1}), 0); CodeOf(err) != CodeNotFound || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := Collect(c.AllWebhookDeliveries(t.Context(), ListWebhookDeliveriesParams{Status: DeliveryStatusFailed, SubscriptionID: "me"}), 0); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWaits(t *testing.T) {
	c, _ := play(t, map[string][]string{
		"/recordings/r":           {`200 {"id":"r","status":"ongoing"}`, `200 {"id":"r","status":"completed"}`, `200 {"id":"r","status":"available","durationMs":7}`},
		"/recordings/r/renders/x": {`200 {"id":"x","status":"accepted"}`, `200 {"id":"x","status":"failed","problem":"p"}`},
		"/transcriptions/t":       {`200 {"id":"t","status":"ongoing"}`, `200 {"id":"t","status":"absent"}`},
		"/recordings/live":        {`200 {"id":"live","status":"ongoing"}`},
	})
	ctx := t.Context()
	if r, err := c.WaitForRecording(ctx, "r"); err != nil || r.Status != RecordingStatusAvailable || r.DurationMs != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.WaitForRender(ctx, "r", "x"); err != nil || r.Problem != "p" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.WaitForTranscription(ctx, "t"); err != nil || r.Status != TranscriptionStatusAbsent {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.WaitForRecording(ctx, "none"); err == nil {
		t.Error("what is not there was waited for")
	}
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.WaitForRecording(ctx, "live"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a recording that goes on: %v", err)
	}
}

func TestErrorTexts(t *testing.T) {
	for name, c := range map[string]struct {
		err  Error
		want string
	}{
		"ours": {Error{Status: 404, Code: "not_found", Message: "no"}, "404 not_found: no"},
		"with faults": {
			Error{Status: 422, Code: "validation_failed", Message: "no", Details: map[string][]string{"b": {"is odd", "is even"}, "a": {"is 1"}}},
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

func TestUpload(t *testing.T) {
	c, s := play(t, map[string][]string{
		"/media?name=a+b": {`201 {"id":"m","name":"a b"}`},
		"/media":          {`415 {"code":"unsupported_media","message":"no audio"}`, "0", `201 [`},
	})
	if m, err := c.UploadMedia(t.Context(), UploadMediaParams{Name: "a b"}, strings.NewReader("RIFF")); err != nil || m.ID != "m" || s.keys[0] == "" {
		t.Errorf("%+v, %v", m, err)
	}
	if s.asked[0] != "POST /media?name=a+b RIFF" {
		t.Errorf("%q", s.asked)
	}
	if _, err := c.UploadMedia(t.Context(), UploadMediaParams{}, strings.NewReader("x")); CodeOf(err) != CodeUnsupportedMedia {
		t.Error(err)
	}
	for range 2 {
		if _, err := c.UploadMedia(t.Context(), UploadMediaParams{}, strings.NewReader("x")); err == nil {
			t.Error("no answer was taken for one")
		}
	}
}
