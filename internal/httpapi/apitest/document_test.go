package apitest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"tapedeck/internal/render"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// witness validates answers against a document.
type witness struct{ router routers.Router }

func newWitness(t *testing.T, text []byte) *witness {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil
	// The seed names no path parameters, which kin wants declared.
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{router}
}

// check holds an answer against the operation of the document. Every member
// that the schema of the answer does not name is a fault as well.
func (w *witness) check(t *testing.T, method, path string, a Answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://node"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	route, values, err := w.router.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s is not in the document: %v", method, path, err)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route, PathParams: values},
		Status:                 a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s answers %d, which is not as the document has it: %v\n%s", method, path, a.Status, err, a.Body)
	}
}

// strict closes every object schema of the document that does not say itself
// what else may stand in it: a member that the document does not name is then
// found in the answers.
func strict(t *testing.T, text []byte) []byte {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	var closeIt func(s *openapi3.SchemaRef)
	seen := map[*openapi3.Schema]bool{}
	closeIt = func(s *openapi3.SchemaRef) {
		if s == nil || s.Value == nil || seen[s.Value] {
			return
		}
		seen[s.Value] = true
		if v := s.Value; len(v.Properties) > 0 && v.AdditionalProperties.Has == nil && v.AdditionalProperties.Schema == nil {
			v.AdditionalProperties.Has = &closed
		}
		for _, p := range s.Value.Properties {
			closeIt(p)
		}
		closeIt(s.Value.Items)
	}
	for _, s := range doc.Components.Schemas {
		closeIt(s)
	}
	out, err := doc.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEveryOperation sends a request to every operation of the document that
// the server hands out, and holds each answer against it. No operation may be
// without a route or a handler.
func TestEveryOperation(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	hooks := receive(t)
	n := Start(t, "TAPEDECK_ALLOW_PRIVATE_URLS=true")
	text := n.Do(t, http.MethodGet, "/openapi.json", nil, With("Authorization", "")).Body
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t, strict(t, text))

	hook := n.Subscribe(t, "recording.completed", hooks.url, "")
	spareHook := n.Subscribe(t, "recording.completed", hooks.url, "")
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	done := n.Record(t, p, `{"maxLength":1}`)
	n.Await(t, n.WorkspacePath()+"/recordings/"+done, "available")
	again := n.Do(t, http.MethodPost, n.WorkspacePath()+"/recordings/"+done+"/renders", nil).JSON(t)
	spare := n.Do(t, http.MethodPost, n.WorkspacePath()+"/channels", `{"number":"7000"}`).JSON(t)

	hookIDs := func(operation string) *strings.Replacer {
		if operation == "deleteWebhookSubscription" {
			return strings.NewReplacer("{subscriptionId}", spareHook)
		}
		return strings.NewReplacer("{subscriptionId}", hook, "{deliveryId}", n.delivered(t, hook))
	}

	tone := n.upload(t)
	ids := strings.NewReplacer("{mediaId}", n.upload(t), "{transcriptionId}", n.transcribed(t, done))
	bodies := map[string]any{
		"uploadMedia": waveFile(), "transcribeRecording": map[string]any{"locale": "en-US"},
		"createWebhookSubscription": map[string]any{"service": "channels", "event": "voice.inbound", "url": hooks.url},
		"updateWebhookSubscription": map[string]any{"template": "t"},
		"createChannel":             map[string]any{"number": "8000"}, "updateChannel": map[string]any{"name": "renamed"},
		"createCall": map[string]any{"to": n.Called()}, "updateCall": map[string]any{},
		"bridgeCall": map[string]any{"to": n.Called()}, "updateCallRecording": map[string]any{"status": "paused"},
		"playbackCall": map[string]any{"media": []string{"media:" + n.upload(t)}}, "sayCall": map[string]any{"text": "Hello."},
		"gatherCall": map[string]any{"maxNumKeys": 1}, "recordMessage": map[string]any{"maxLength": 1, "beep": true},
	}
	expect := map[string]int{
		"createWebhookSubscription": 201, "deleteWebhookSubscription": 204,
		"createChannel": 201, "deleteChannel": 204, "deleteRecording": 204,
		"uploadMedia": 201, "deleteMedia": 204, "transcribeRecording": n.canTranscribe(t, done),
		"answerCall": 400, "ringCall": 400, // the call is answered
		"sayCall": n.canSay(t, p),
	}
	alone := []string{"playbackCall", "sayCall", "gatherCall", "recordMessage"} // a bridged call takes none of them
	for name, format := range map[string]voice.AudioFormat{"Flac": voice.FormatFLAC, "Mp3": voice.FormatMP3, "Ogg": voice.FormatOgg} {
		if !slices.Contains(render.Formats(), format) { // a library is missing on this machine
			expect["getRecording"+name], expect["headRecording"+name] = 501, 501
		}
	}
	walk := func(this func(name string) bool) {
		for _, path := range doc.Paths.InMatchingOrder() {
			for method, operation := range doc.Paths.Value(path).Operations() {
				name := operation.OperationID
				if !this(name) {
					continue
				}
				at := path
				if name == "deleteMedia" { // the other one is still asked for
					at = strings.Replace(path, "{mediaId}", tone, 1)
				}
				at = fill(at, name, n, p, id, done, Text(spare, "id"), Text(again, "id"))
				n.walk(t, w, method, ids.Replace(hookIDs(name).Replace(at)), bodies[name], expect[name])
			}
		}
	}
	last := []string{"hangupCall", "deleteRecording"} // they end what the others need
	walk(func(name string) bool { return slices.Contains(alone, name) })
	walk(func(name string) bool { return !slices.Contains(alone, name) && !slices.Contains(last, name) })
	base := n.WorkspacePath() + "/recordings/" + done
	n.walk(t, w, http.MethodDelete, base, nil, expect["deleteRecording"])
	n.walk(t, w, http.MethodPost, p.Path+"/hangup", nil, 0)
}

// fill puts ids into a path of the document.
func fill(path, operation string, n *Node, p *Party, live, done, spare, render string) string {
	channel, recording := string(n.Channel), live
	if operation == "deleteChannel" {
		channel = spare
	}
	if strings.HasPrefix(path, "/workspaces/{workspaceId}/recordings/") {
		recording = done
	}
	return strings.NewReplacer("{workspaceId}", string(n.Workspace), "{channelId}", channel,
		"{callId}", string(p.ID), "{recordingId}", recording, "{renderId}", render).Replace(path)
}

func (n *Node) walk(t *testing.T, w *witness, method, path string, body any, status int) {
	t.Helper()
	a := n.Do(t, method, path, body)
	switch {
	case status != 0 && a.Status != status:
		t.Errorf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
	case status == 0 && a.Status >= 300:
		t.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if kind := a.Header.Get("Content-Type"); method != http.MethodHead && (kind == "" || strings.HasPrefix(kind, "application/json")) {
		w.check(t, method, path, a)
	}
}

// TestSeedDocument holds real answers against the document that the product
// was born from, itself.
func TestSeedDocument(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "api", "testdata", "record-call-session.openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t, text)
	n := Start(t)
	p := n.Answered(t)
	path := p.Path + "/recordings"
	statuses := map[int]bool{}
	for _, body := range []string{``, `{}`, `{"maxLength":5,"stereo":true}`, `{`, `[]`, `{"maxLength":"x","y":1}`} {
		a := n.Do(t, http.MethodPost, path, body)
		statuses[a.Status] = true
		w.check(t, http.MethodPost, path, a)
	}
	for _, other := range []string{"x", missing} {
		path := n.ChannelPath() + "/calls/" + other + "/recordings"
		a := n.Do(t, http.MethodPost, path, nil)
		statuses[a.Status] = true
		w.check(t, http.MethodPost, path, a)
	}
	n.Hangup(t, p)
	w.check(t, http.MethodPost, path, n.Do(t, http.MethodPost, path, nil))
	for _, status := range []int{202, 400, 404, 422} {
		if !statuses[status] {
			t.Errorf("no answer with status %d was held against the seed", status)
		}
	}
}
