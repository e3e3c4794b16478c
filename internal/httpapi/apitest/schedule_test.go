package apitest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// A call that waits for its time shows so, can be given another flow and taken back,
// and takes no commands.
func TestScheduledCalls(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	w := newWitness(t, strict(t, n.Do(t, http.MethodGet, "/openapi.json", nil, With("Authorization", "")).Body))
	all := n.ChannelPath() + "/calls"
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	body := map[string]any{
		"to": n.Called(), "scheduledFor": at, "sendKeys": "12#", "flowStart": "from-ringing", "tags": []string{"later"},
		"amdSettings": map[string]any{"enabled": true, "wordCount": 3}, "callFlow": []any{map[string]any{"command": "hangup"}},
	}
	a := n.Do(t, http.MethodPost, all, body, With("Idempotency-Key", "s"))
	w.check(t, http.MethodPost, all, a)
	call := a.JSON(t)
	if a.Status != http.StatusAccepted || Text(call, "status") != "scheduled" || Text(call, "scheduledFor") != at {
		t.Fatalf("scheduled: %d %s", a.Status, a.Body)
	}
	path := all + "/" + Text(call, "id")
	if again := n.Do(t, http.MethodPost, all, body, With("Idempotency-Key", "s")).JSON(t); Text(again, "id") != Text(call, "id") {
		t.Errorf("the same request scheduled another call: %v", again)
	}
	if got := results(t, n.Get(t, all+"?status=scheduled&tag=later&direction=outgoing")); len(got) != 1 || Text(got[0], "id") != Text(call, "id") {
		t.Errorf("scheduled calls: %v", got)
	}
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPost, "/answer", ``}, {http.MethodPost, "/hangup", ``}, {http.MethodPost, "/bridge", `{"to":"sip:a@127.0.0.1"}`},
		{http.MethodPost, "/recordings", ``}, {http.MethodPatch, "", `{}`},
	} {
		message, _ := n.Do(t, request.method, path+request.path, request.body).Problem(t, 400, voice.CodeCallNotInState)
		if !strings.Contains(message, "waits until") {
			t.Errorf("%s %s: %s", request.method, request.path, message)
		}
	}
	if a := n.Do(t, http.MethodPatch, path, `{"callFlow":[{"command":"pause","options":{"length":2}}]}`); a.Status != http.StatusAccepted {
		t.Errorf("another flow: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodPatch, path, `{"callFlow":[{"command":"answer"}]}`).Problem(t, 422, voice.CodeValidationFailed)
	a = n.Do(t, http.MethodPatch, path, `{"status":"completed"}`)
	w.check(t, http.MethodPatch, path, a)
	if call = n.Get(t, path); Text(call, "status") != "cancelled" || Text(call, "hangupSource") != "api" {
		t.Errorf("taken back: %v", call)
	}
	n.Do(t, http.MethodPatch, path, `{"status":"completed"}`).Problem(t, 400, voice.CodeCallNotActive)
}

// Every fault in what a call is to do is told, by its member.
func TestCallOptionFaults(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	for member, option := range map[string]any{
		"sendKeys":                         "1A",
		"flowStart":                        "soon",
		"recordStart":                      "soon",
		"scheduledFor":                     time.Now().Add(-time.Hour).Format("2006-01-02T15:04:05Z07:00"),
		"amdSettings.wordCount":            map[string]any{"wordCount": 101},
		"amdSettings.ifMachineNotifyAfter": map[string]any{"ifMachineNotifyAfter": "never"},
		"notification.url":                 map[string]any{},
		"callFlow":                         make([]map[string]any, 21),
	} {
		top, _, _ := strings.Cut(member, ".")
		_, details := n.Do(t, http.MethodPost, n.ChannelPath()+"/calls", map[string]any{"to": n.Called(), top: option}).Problem(t, 422, voice.CodeValidationFailed)
		if len(details[member]) == 0 {
			t.Errorf("%s: %v", member, details)
		}
	}
	for _, at := range []time.Duration{-2 * time.Minute, 31 * 24 * time.Hour} {
		_, details := n.Do(t, http.MethodPost, n.ChannelPath()+"/calls", map[string]any{
			"to": n.Called(), "scheduledFor": time.Now().Add(at).UTC().Format("2006-01-02T15:04:05Z"),
		}).Problem(t, 422, voice.CodeValidationFailed)
		if len(details["scheduledFor"]) == 0 {
			t.Errorf("%s ahead: %v", at, details)
		}
	}
	for _, url := range []string{"http://example.com/hook", "https://127.0.0.1/hook", "https://localhost/hook", "nowhere"} {
		_, details := n.Do(t, http.MethodPost, n.ChannelPath()+"/calls", map[string]any{
			"to": n.Called(), "notification": map[string]any{"url": url},
		}).Problem(t, 422, voice.CodeValidationFailed)
		if len(details["notification.url"]) == 0 {
			t.Errorf("a notification to %s: %v", url, details)
		}
	}
	p := n.Answered(t)
	_, details := n.Do(t, http.MethodPost, p.Path+"/bridge", map[string]any{"to": n.Called(), "ringTone": "xx"}).Problem(t, 422, voice.CodeValidationFailed)
	if len(details["ringTone"]) == 0 {
		t.Errorf("an unknown ring tone: %v", details)
	}
	n.Hangup(t, p)
}
