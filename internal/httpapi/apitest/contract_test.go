package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/auth"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const missing = "0190a1b2-0000-7000-8000-0000000000ab"

func names(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

// row reads a recording's row.
func (n *Node) row(t *testing.T, id string) (r voice.Recording) {
	t.Helper()
	err := n.DB.View(t.Context(), func(tx *store.Tx) (err error) {
		r, err = tx.Recording(n.Workspace, voice.RecordingID(id))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecordAccepted: no body, an empty one, null members: 202 with the
// defaults, in exactly the shape of a single command.
func TestRecordAccepted(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	ids := map[string]bool{}
	for _, body := range []any{nil, "", "{}", " {} ", `{"maxLength":null,"stereo":null}`, `{"maxLength":0,"stereo":false}`} {
		a := n.Do(t, http.MethodPost, p.Path+"/recordings", body)
		if a.Status != http.StatusAccepted || a.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%v: %d %s", body, a.Status, a.Body)
		}
		object := a.JSON(t)
		command, _ := object["command"].(map[string]any)
		if !slices.Equal(names(object), []string{"command", "recordingId"}) || !slices.Equal(names(command), []string{"callId", "command", "id", "status"}) {
			t.Errorf("%v: members %v and %v", body, names(object), names(command))
		}
		if Text(command, "status") != "accepted" || Text(command, "command") != "record-call" || Text(command, "callId") != string(p.ID) {
			t.Errorf("%v: %s", body, a.Body)
		}
		for _, id := range []string{Text(object, "recordingId"), Text(command, "id")} {
			if _, err := voice.CanonicalID(id); err != nil || ids[id] {
				t.Errorf("%v: id %q: %v", body, id, err)
			}
			ids[id] = true
		}
		r := n.row(t, Text(object, "recordingId"))
		if r.Stereo || r.MaxLength != 4*time.Hour || r.Origin != voice.OriginCommandRecordCall {
			t.Errorf("%v: recording %+v", body, r)
		}
	}
	// However Content-Type is, the body is read as JSON.
	for _, kind := range []string{"", "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "application/vnd.x+json"} {
		a := n.Do(t, http.MethodPost, p.Path+"/recordings", `{"stereo":true}`, With("Content-Type", kind))
		if a.Status != http.StatusAccepted || !n.row(t, Text(a.JSON(t), "recordingId")).Stereo {
			t.Errorf("Content-Type %q: %d %s", kind, a.Status, a.Body)
		}
	}
	// Ids are the same in upper case.
	upper := strings.Replace(p.Path, string(p.ID), strings.ToUpper(string(p.ID)), 1)
	if a := n.Do(t, http.MethodPost, upper+"/recordings", nil); a.Status != http.StatusAccepted || Text(a.JSON(t), "command", "callId") != string(p.ID) {
		t.Errorf("id in upper case: %d %s", a.Status, a.Body)
	}
	n.Hangup(t, p)
}

func TestMaxLength(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	for body, want := range map[string]time.Duration{
		`{"maxLength":7}`:                      7 * time.Second,
		`{"maxLength":7.0}`:                    7 * time.Second,
		`{"maxLength":14400}`:                  4 * time.Hour,
		`{"maxLength":14401}`:                  4 * time.Hour,
		`{"maxLength":9223372036854775807}`:    4 * time.Hour,
		`{"maxLength":1180591620717411303424}`: 4 * time.Hour,
	} {
		if got := n.row(t, n.Record(t, p, body)).MaxLength; got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	id := n.Record(t, p, `{"maxLength":1,"stereo":true}`)
	r := n.Await(t, n.WorkspacePath()+"/recordings/"+id, "available")
	if Text(r, "endCause") != "max-length" || r["durationMs"] != 1000.0 || r["duration"] != 1.0 {
		t.Errorf("recording of one second: %v", r)
	}
	// 44 bytes of header, one second of 8000 samples in two channels.
	a := n.Do(t, http.MethodGet, n.WorkspacePath()+"/recordings/"+id+".wav", nil)
	if at := bytes.Index(a.Body, []byte("data")); a.Status != http.StatusOK || at < 0 || len(a.Body)-at-8 != 2*2*8000 {
		t.Errorf("file of one second: %d, %d bytes", a.Status, len(a.Body))
	}
	n.Hangup(t, p)
}

// TestCallStates: a call that is not answered yet, one that ended, and two
// recordings on one call.
func TestCallStates(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)

	p := n.Dial(t)
	id := n.Record(t, p, `{"stereo":true}`)
	if r := n.Get(t, p.Path+"/recordings/"+id); Text(r, "status") != "accepted" || r["stereo"] != true || r["startedAt"] != nil {
		t.Errorf("recording of a call that rings: %v", r)
	}
	n.Hangup(t, p)
	r := n.Await(t, n.WorkspacePath()+"/recordings/"+id, "absent")
	if Text(r, "endCause") != "not-answered" || r["url"] != nil {
		t.Errorf("recording of a call that was not answered: %v", r)
	}

	p = n.Dial(t)
	early := n.Record(t, p, nil)
	if a := n.Do(t, http.MethodPost, p.Path+"/answer", nil); a.Status != http.StatusAccepted {
		t.Fatalf("answer: %d %s", a.Status, a.Body)
	}
	n.Await(t, p.Path+"/recordings/"+early, "ongoing")
	other := n.Record(t, p, `{"stereo":true,"maxLength":3600}`)
	n.Await(t, p.Path+"/recordings/"+other, "ongoing")
	if a := n.Do(t, http.MethodPatch, p.Path+"/recordings/"+early, `{"status":"completed"}`); a.Status != http.StatusAccepted {
		t.Errorf("stop: %d %s", a.Status, a.Body)
	}
	n.Await(t, n.WorkspacePath()+"/recordings/"+early, "available")
	n.Await(t, p.Path+"/recordings/"+other, "ongoing")
	n.Hangup(t, p)
	if r := n.Await(t, n.WorkspacePath()+"/recordings/"+other, "available"); Text(r, "endCause") != "call-ended" {
		t.Errorf("recording of a call that ended: %v", r)
	}
	n.Do(t, http.MethodPost, p.Path+"/recordings", nil).Problem(t, 400, voice.CodeCallNotActive)
}

func TestRefusedBodies(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	path := p.Path + "/recordings"
	for _, body := range []string{"nonsense", "{", "[]", "null", "1", `"x"`, `{} x`, `{"stereo":true,"stereo":true}`, "\xff"} {
		n.Do(t, http.MethodPost, path, body).Problem(t, 400, voice.CodeInvalidJSON)
	}
	message, _ := n.Do(t, http.MethodPost, path, "stereo=true", With("Content-Type", "application/x-www-form-urlencoded")).Problem(t, 400, voice.CodeInvalidJSON)
	if !strings.Contains(message, "application/x-www-form-urlencoded") {
		t.Errorf("a form: %s", message)
	}
	n.Do(t, http.MethodPost, path, `{"x":"`+strings.Repeat("x", 64<<10)+`"}`).Problem(t, 413, voice.CodeBodyTooLarge)
	for body, want := range map[string][]string{
		`{"beep":true}`:       {"beep"},
		`{"maxLength":-1}`:    {"maxLength"},
		`{"maxLength":1.5}`:   {"maxLength"},
		`{"maxLength":"1"}`:   {"maxLength"},
		`{"maxLength":1e400}`: {"maxLength"},
		`{"stereo":"true"}`:   {"stereo"},
		`{"stereo":0,"maxLength":-1,"a":1,"b":{"c":1}}`: {"a", "b", "maxLength", "stereo"},
	} {
		_, details := n.Do(t, http.MethodPost, path, body).Problem(t, 422, voice.CodeValidationFailed)
		if got := slices.Sorted(maps.Keys(details)); !slices.Equal(got, want) {
			t.Errorf("%s: faults in %v, want %v", body, got, want)
		}
		for member, reasons := range details {
			if len(reasons) == 0 || slices.Contains(reasons, "") {
				t.Errorf("%s: %s has no reason: %q", body, member, reasons)
			}
		}
	}
	list := n.Get(t, path)
	if results, ok := list["results"].([]any); !ok || len(results) != 0 {
		t.Errorf("refused requests left recordings: %v", list)
	}
	n.Hangup(t, p)
}

func TestWrongPaths(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	ws, ch, call := string(n.Workspace), string(n.Channel), string(p.ID)
	path := func(ws, ch, call string) string {
		return "/workspaces/" + ws + "/channels/" + ch + "/calls/" + call + "/recordings"
	}
	for _, bad := range []string{"x", "1", missing + "0", "{" + missing + "}", strings.ReplaceAll(missing, "-", ""), "%20", "..;"} {
		for _, path := range []string{path(bad, ch, call), path(ws, bad, call), path(ws, ch, bad)} {
			n.Do(t, http.MethodPost, path, nil).Problem(t, 400, voice.CodeInvalidParameter)
		}
	}
	created := n.Do(t, http.MethodPost, n.WorkspacePath()+"/channels", `{"number":"2000"}`).JSON(t)
	otherWS, otherCh := n.Tenant(t, "3000")
	for _, test := range []struct{ path, what string }{
		{path(missing, ch, call), "workspace"},
		{path(string(otherWS), ch, call), "workspace"},
		{path(string(otherWS), string(otherCh), call), "workspace"},
		{path(ws, missing, call), "channel"},
		{path(ws, string(otherCh), call), "channel"},
		{path(ws, ch, missing), "call"},
		{path(ws, Text(created, "id"), call), "call"},
	} {
		message, _ := n.Do(t, http.MethodPost, test.path, nil).Problem(t, 404, voice.CodeNotFound)
		if want := "The requested resource does not exist: " + test.what + " not found"; message != want {
			t.Errorf("%s: %q, want %q", test.path, message, want)
		}
	}
	n.Do(t, http.MethodGet, "/nowhere", nil).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodGet, "/", nil).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodGet, p.Path+"/recordings/", nil).Problem(t, 404, voice.CodeNotFound)
	for path, allowed := range map[string]string{
		p.Path + "/recordings": "GET, HEAD, POST", n.WorkspacePath() + "/recordings/" + missing: "GET, HEAD, DELETE", "/healthz": "GET, HEAD",
	} {
		a := n.Do(t, http.MethodPut, path, nil)
		a.Problem(t, 405, voice.CodeMethodNotAllowed)
		if got := a.Header.Get("Allow"); got != allowed {
			t.Errorf("%s allows %s, want %s", path, got, allowed)
		}
	}
	n.Hangup(t, p)
}

func TestAccess(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	path := p.Path + "/recordings"
	withKey := func(key string) Option { return With("Authorization", "AccessKey "+key) }

	id, revoked := n.Key(t, n.Workspace, auth.AllRights(n.Workspace)...)
	if a := n.Do(t, http.MethodGet, path, nil, withKey(revoked)); a.Status != http.StatusOK {
		t.Fatalf("a good key: %d %s", a.Status, a.Body)
	}
	if err := n.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeKey(n.Workspace, id, time.Now().UTC()) }); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() bool {
		return n.Do(t, http.MethodGet, path, nil, withKey(revoked)).Status == http.StatusUnauthorized
	})
	for name, header := range map[string]string{
		"none": "", "no key": "AccessKey ", "unknown": "AccessKey " + strings.Repeat("A", 43), "other scheme": "Bearer " + n.AccessKey,
		"no scheme": n.AccessKey, "revoked": "AccessKey " + revoked,
	} {
		// Whatever else is wrong: who is not known learns nothing.
		for _, path := range []string{path, "/workspaces/x/channels/y/calls/z/recordings", "/nowhere", n.WorkspacePath() + "/recordings"} {
			a := n.Do(t, http.MethodPost, path, "{nonsense", With("Authorization", header))
			a.Problem(t, 401, voice.CodeUnauthorized)
			if got := a.Header.Get("WWW-Authenticate"); got != "AccessKey" {
				t.Errorf("%s: WWW-Authenticate is %q", name, got)
			}
		}
	}

	_, reader := n.Key(t, n.Workspace, voice.Policy{
		Effect: voice.Allow, Actions: []voice.Action{voice.ActionView}, Resources: []string{"/workspaces/" + string(n.Workspace) + "/**"},
	})
	if a := n.Do(t, http.MethodGet, path, nil, withKey(reader)); a.Status != http.StatusOK {
		t.Errorf("a key that may look: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodPost, path, "{nonsense", withKey(reader)).Problem(t, 403, voice.CodeForbidden)
	_, none := n.Key(t, n.Workspace)
	n.Do(t, http.MethodGet, path, nil, withKey(none)).Problem(t, 403, voice.CodeForbidden)

	// A foreign workspace looks like one that does not exist.
	ws, ch := n.Tenant(t, "3000")
	_, foreign := n.Key(t, ws, auth.AllRights(ws)...)
	if a := n.Do(t, http.MethodGet, "/workspaces/"+string(ws)+"/channels/"+string(ch), nil, withKey(foreign)); a.Status != http.StatusOK {
		t.Errorf("the other tenant's own channel: %d %s", a.Status, a.Body)
	}
	there := n.Do(t, http.MethodPost, path, nil, withKey(foreign))
	nowhere := n.Do(t, http.MethodPost, strings.Replace(path, string(n.Workspace), missing, 1), nil, withKey(foreign))
	there.Problem(t, 404, voice.CodeNotFound)
	if !bytes.Equal(there.Body, nowhere.Body) || there.Status != nowhere.Status {
		t.Errorf("a foreign workspace answers %s, an unknown one %s", there.Body, nowhere.Body)
	}
	n.Hangup(t, p)
}

// TestNoRoom: a disk below its low-water mark takes no new recording.
func TestNoRoom(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t, "TAPEDECK_RECORDING_MIN_FREE=1024TiB")
	p := n.Answered(t)
	a := n.Do(t, http.MethodPost, p.Path+"/recordings", nil)
	a.Problem(t, 503, voice.CodeUnavailable)
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if call := n.Get(t, p.Path); Text(call, "status") != "ongoing" {
		t.Errorf("the call: %v", call)
	}
	ready := n.Do(t, http.MethodGet, "/readyz", nil, With("Authorization", ""))
	if ready.Status != http.StatusServiceUnavailable || Text(ready.JSON(t), "checks", "recorder") == "" {
		t.Errorf("readyz: %d %s", ready.Status, ready.Body)
	}
	n.Hangup(t, p)
}

func TestIdempotency(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	path := p.Path + "/recordings"
	key := func(key string) Option { return With("Idempotency-Key", key) }

	first := n.Do(t, http.MethodPost, path, `{"stereo":true,"maxLength":60}`, key("a"))
	again := n.Do(t, http.MethodPost, path, ` {"maxLength": 6e1, "stereo": true} `, key("a"))
	if first.Status != http.StatusAccepted || again.Status != first.Status || !bytes.Equal(first.Body, again.Body) {
		t.Errorf("first %d %s, again %d %s", first.Status, first.Body, again.Status, again.Body)
	}
	n.Do(t, http.MethodPost, path, `{"stereo":false}`, key("a")).Problem(t, 422, voice.CodeIdempotencyKeyReused)
	n.Do(t, http.MethodPost, p.Path+"/bridge", map[string]any{"to": n.Called()}, key("a")).Problem(t, 422, voice.CodeIdempotencyKeyReused)
	if other := n.Do(t, http.MethodPost, path, `{"stereo":true,"maxLength":60}`, key("b")); other.Status != http.StatusAccepted || bytes.Equal(first.Body, other.Body) {
		t.Errorf("another key: %d %s", other.Status, other.Body)
	}
	// What was refused is not kept: the key is free for a better body.
	n.Do(t, http.MethodPost, path, `{"stereo":1}`, key("c")).Problem(t, 422, voice.CodeValidationFailed)
	if a := n.Do(t, http.MethodPost, path, `{}`, key("c")); a.Status != http.StatusAccepted {
		t.Errorf("a key of a refused request: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodPost, path, nil, key(strings.Repeat("k", 256))).Problem(t, 400, voice.CodeInvalidParameter)

	var wg sync.WaitGroup
	bodies := make(chan string, 16) // each goroutine sends one; there is room for all
	for range cap(bodies) {
		wg.Go(func() { bodies <- string(n.Do(t, http.MethodPost, path, `{"maxLength":9}`, key("at once")).Body) })
	}
	wg.Wait()
	close(bodies)
	distinct := map[string]bool{}
	for body := range bodies {
		distinct[body] = true
	}
	if len(distinct) != 1 {
		t.Errorf("one request sent 16 times at once has %d answers", len(distinct))
	}
	list := n.Get(t, path)
	if results, _ := list["results"].([]any); len(results) != 4 { // a, b, c, at once
		t.Errorf("%d recordings, want 4", len(results))
	}
	n.Hangup(t, p)
	late := n.Do(t, http.MethodPost, path, `{"stereo":true,"maxLength":60}`, key("a"))
	if late.Status != http.StatusAccepted || !bytes.Equal(first.Body, late.Body) {
		t.Errorf("after the call's end: %d %s", late.Status, late.Body)
	}
}

// TestRequestIDs: every answer has one, and a sane one of the client's is kept.
func TestRequestIDs(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	for _, path := range []string{"/healthz", "/openapi.json", "/nowhere", n.WorkspacePath() + "/channels"} {
		if got := n.Do(t, http.MethodGet, path, nil, With("X-Request-Id", "trace-1")).Header.Get("X-Request-Id"); got != "trace-1" {
			t.Errorf("%s: request id %q", path, got)
		}
		got := n.Do(t, http.MethodGet, path, nil, With("X-Request-Id", "no good")).Header.Get("X-Request-Id")
		if _, err := voice.CanonicalID(got); err != nil {
			t.Errorf("%s: request id %q: %v", path, got, err)
		}
	}
}

// TestHead: HEAD is answered wherever GET is, with its header and no body.
func TestHead(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	for _, path := range []string{
		"/healthz", "/readyz", "/openapi.json", n.WorkspacePath() + "/channels", n.ChannelPath(), n.WorkspacePath() + "/channels/calls",
		n.WorkspacePath() + "/recordings", n.WorkspacePath() + "/recordings/" + missing, n.WorkspacePath() + "/recordings/" + missing + ".wav",
	} {
		get, head := n.Do(t, http.MethodGet, path, nil), n.Do(t, http.MethodHead, path, nil)
		if head.Status != get.Status || len(head.Body) != 0 || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %d %v %q, GET %d %v", path, head.Status, head.Header, head.Body, get.Status, get.Header)
		}
	}
	for _, method := range []string{http.MethodOptions, http.MethodPut, "BREW"} {
		a := n.Do(t, method, n.ChannelPath(), nil)
		a.Problem(t, 405, voice.CodeMethodNotAllowed)
		if got := a.Header.Get("Allow"); got != "GET, HEAD, PATCH, DELETE" {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
}

// TestErrorsAreJSON: an error body is one JSON object, so that a client never
// has to guess.
func TestErrorsAreJSON(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	for _, path := range []string{"/%zz", "/workspaces//channels", "/workspaces/" + strings.Repeat("a", 4000), "//", "/workspaces/%2e%2e/channels"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		r.Header.Set("Authorization", "AccessKey "+n.AccessKey)
		if path == "/%zz" {
			continue // net/http refuses it before there is a request
		}
		a := n.send(t, r)
		if a.Status < 400 || a.Status > 499 || !json.Valid(a.Body) {
			t.Errorf("%.40s: %d %s", path, a.Status, a.Body)
		}
	}
	var object map[string]any
	if err := json.Unmarshal(n.Do(t, http.MethodGet, "/nowhere", nil).Body, &object); err != nil || fmt.Sprint(names(object)) != "[code message]" {
		t.Errorf("error body: %v %v", object, err)
	}
}
