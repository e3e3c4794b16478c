package apitest

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

func results(t *testing.T, page map[string]any) []map[string]any {
	t.Helper()
	list, ok := page["results"].([]any)
	if !ok {
		t.Fatalf("a page without results: %v", page)
	}
	out := make([]map[string]any, len(list))
	for i, item := range list {
		out[i], _ = item.(map[string]any)
	}
	return out
}

func TestChannels(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	all := n.WorkspacePath() + "/channels"
	a := n.Do(t, http.MethodPost, all, `{"name":"PBX","number":"+15550199",
		"trunk":{"uri":"sip:198.51.100.7:5062;transport=tcp","username":"u","password":"secret-1"},
		"inbound":{"sources":["192.0.2.0/24","198.51.100.9"],"username":"v","password":"secret-2","ringTimeout":12,
			"callFlow":[{"command":"ringing"},{"command":"bridge","options":{"to":"{to}","record":true,"recordStereo":true}},{"command":"pause","options":{"length":2}},{"command":"hangup"}]},
		"codecs":["opus","PCMA","PCMA"]}`)
	if a.Status != http.StatusCreated || bytes.Contains(a.Body, []byte("secret")) {
		t.Fatalf("create: %d %s", a.Status, a.Body)
	}
	created := a.JSON(t)
	path := all + "/" + Text(created, "id")
	got := n.Get(t, path)
	inbound, _ := got["inbound"].(map[string]any)
	flow, _ := inbound["callFlow"].([]any)
	if Text(got, "name") != "PBX" || Text(got, "number") != "+15550199" || Text(got, "trunk", "uri") != "sip:198.51.100.7:5062;transport=tcp" ||
		Text(got, "trunk", "username") != "u" || inbound["ringTimeout"] != 12.0 || len(flow) != 4 {
		t.Errorf("channel: %v", got)
	}
	if sources, _ := inbound["sources"].([]any); len(sources) != 2 || sources[1] != "198.51.100.9/32" {
		t.Errorf("sources: %v", inbound["sources"])
	}
	if codecs, _ := got["codecs"].([]any); len(codecs) != 2 {
		t.Errorf("codecs: %v", got["codecs"])
	}

	// A change leaves alone what it does not name.
	a = n.Do(t, http.MethodPatch, path, `{"name":"","inbound":{"sources":[]},"codecs":null}`)
	if a.Status != http.StatusOK || Text(a.JSON(t), "name") != "" || Text(a.JSON(t), "inbound", "username") != "v" || Text(a.JSON(t), "trunk", "username") != "u" {
		t.Errorf("change: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodPatch, path, `{"number":null}`).JSON(t)
	_, details := n.Do(t, http.MethodPatch, path, `{"trunk":{"uri":"sip:a b"},"inbound":{"ringTimeout":2,"x":1}}`).Problem(t, 422, voice.CodeValidationFailed)
	if len(details) != 3 {
		t.Errorf("faults: %v", details)
	}
	for _, uri := range []string{"sip::5060", "sip:[::1", "sip:a:99999", "sip:a;transport=udp;x"} {
		_, details := n.Do(t, http.MethodPatch, path, map[string]any{"trunk": map[string]any{"uri": uri}}).Problem(t, 422, voice.CodeValidationFailed)
		if len(details["trunk.uri"]) != 1 {
			t.Errorf("%s: faults %v", uri, details)
		}
	}
	for _, uri := range []string{"", "sip:pbx.example.com", "sip:[2001:db8::1]", "sip:[2001:db8::1]:5061", "sip:192.0.2.7:5060;transport=udp"} {
		if a := n.Do(t, http.MethodPatch, path, map[string]any{"trunk": map[string]any{"uri": uri}}); a.Status != http.StatusOK || Text(a.JSON(t), "trunk", "uri") != uri {
			t.Errorf("%q: %d %s", uri, a.Status, a.Body)
		}
	}
	for _, number := range []string{"15550199", "+15550199", n.Number} {
		n.Do(t, http.MethodPost, all, map[string]any{"number": number}).Problem(t, 409, voice.CodeConflict)
	}

	// Newest first, in pages.
	var seen []string
	next := ""
	for {
		page := n.Get(t, all+"?limit=1&pageToken="+next)
		for _, c := range results(t, page) {
			seen = append(seen, Text(c, "number"))
		}
		if next = Text(page, "nextPageToken"); next == "" {
			break
		}
	}
	if strings.Join(seen, " ") != "+15550199 1000" {
		t.Errorf("channels: %v", seen)
	}
	n.Do(t, http.MethodGet, all+"?pageToken=nonsense", nil).Problem(t, 422, voice.CodeValidationFailed)

	if a := n.Do(t, http.MethodDelete, path, nil); a.Status != http.StatusNoContent || len(a.Body) != 0 {
		t.Errorf("delete: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodDelete, path, nil).Problem(t, 404, voice.CodeNotFound)

	p := n.Dial(t)
	n.Do(t, http.MethodDelete, n.ChannelPath(), nil).Problem(t, 409, voice.CodeConflict)
	n.Hangup(t, p)
	if a := n.Do(t, http.MethodDelete, n.ChannelPath(), nil); a.Status != http.StatusNoContent {
		t.Errorf("delete a channel whose calls ended: %d %s", a.Status, a.Body)
	}
	if calls := results(t, n.Get(t, n.WorkspacePath()+"/channels/calls")); len(calls) != 1 || Text(calls[0], "id") != string(p.ID) {
		t.Errorf("calls of a channel that is gone: %v", calls)
	}
}

func TestCalls(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	all := n.ChannelPath() + "/calls"

	a := n.Do(t, http.MethodPost, all, map[string]any{"to": n.Called(), "from": "1234", "tags": []string{"x", "y"}, "record": true, "stereo": true})
	if a.Status != http.StatusAccepted || Text(a.JSON(t), "status") != "accepted" {
		t.Fatalf("create: %d %s", a.Status, a.Body)
	}
	id := Text(a.JSON(t), "id")
	call := n.Await(t, all+"/"+id, "ongoing")
	if Text(call, "direction") != "outgoing" || Text(call, "type") != "sip" || Text(call, "to") != n.Called() || Text(call, "from") != "1234" ||
		Text(call, "receiver", "number", "type") != "sip" || Text(call, "originator", "number", "number") != "1234" || call["endedAt"] != nil {
		t.Errorf("call: %v", call)
	}
	for _, member := range []string{"createdAt", "updatedAt", "answeredAt"} {
		text := Text(call, member)
		if at, err := time.Parse("2006-01-02T15:04:05.000Z", text); err != nil || time.Since(at) > time.Minute {
			t.Errorf("%s is %q: %v", member, text, err)
		}
	}
	recordings := results(t, n.Get(t, all+"/"+id+"/recordings"))
	if len(recordings) != 1 || Text(recordings[0], "origin") != "create-call" || recordings[0]["stereo"] != true {
		t.Errorf("recordings: %v", recordings)
	}

	for query, want := range map[string]int{
		"": 1, "?status=ongoing&status=ringing": 1, "?status=completed": 0, "?type=sip": 1, "?type=pstn": 0, "?direction=outgoing": 1,
		"?from=1234": 1, "?from=1": 0, "?tag=x&tag=y": 1, "?tag=z": 0, "?id=" + strings.ToUpper(id): 1, "?id=" + missing: 0,
		"?startAt=2020-01-01T00:00:00Z": 1, "?endAt=2020-01-01T00:00:00Z": 0, "?limit=1000": 1,
	} {
		for _, path := range []string{all, n.WorkspacePath() + "/channels/calls"} {
			if got := len(results(t, n.Get(t, path+query))); got != want {
				t.Errorf("%s: %d calls, want %d", query, got, want)
			}
		}
	}
	if got := len(results(t, n.Get(t, n.WorkspacePath()+"/channels/calls?channelId="+missing))); got != 0 {
		t.Errorf("%d calls of no channel", got)
	}
	n.Do(t, http.MethodGet, all+"?limit=0&status=x", nil).Problem(t, 422, voice.CodeValidationFailed)

	n.Do(t, http.MethodPost, all+"/"+id+"/answer", nil).Problem(t, 400, voice.CodeCallNotInState)
	n.Do(t, http.MethodPatch, all+"/"+id, map[string]any{"status": "completed", "callFlow": []any{}}).Problem(t, 422, voice.CodeValidationFailed)
	if a := n.Do(t, http.MethodPatch, all+"/"+id, `{"callFlow":[{"command":"pause","options":{"length":3600}}]}`); a.Status != http.StatusAccepted {
		t.Errorf("replace the flow: %d %s", a.Status, a.Body)
	}
	if call := n.Get(t, all+"/"+id); Text(call, "callFlow", "id") == "" {
		t.Errorf("call has no flow: %v", call)
	}
	if a := n.Do(t, http.MethodPatch, all+"/"+id, `{"status":"completed"}`); a.Status != http.StatusAccepted {
		t.Errorf("hang up: %d %s", a.Status, a.Body)
	}
	call = n.Await(t, all+"/"+id, "completed")
	if Text(call, "hangupSource") != "api" || call["hangupCauseCode"] != 16.0 || Text(call, "endedAt") == "" || call["duration"] == nil {
		t.Errorf("ended call: %v", call)
	}
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPatch, "", `{"status":"completed"}`}, {http.MethodPatch, "", `{}`}, {http.MethodPost, "/hangup", ``},
		{http.MethodPost, "/answer", ``}, {http.MethodPost, "/ringing", ``}, {http.MethodPost, "/bridge", `{"to":"sip:a@127.0.0.1"}`},
		{http.MethodPatch, "/recordings/" + Text(recordings[0], "id"), `{"status":"paused"}`},
	} {
		n.Do(t, request.method, all+"/"+id+request.path, request.body).Problem(t, 400, voice.CodeCallNotActive)
	}
	n.Do(t, http.MethodGet, all+"/"+id+"/recordings", nil).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodPost, all, `{"to":"+15550100"}`).Problem(t, 422, voice.CodeValidationFailed) // no trunk
	n.Do(t, http.MethodPost, all, `{"to":"{to}"}`).Problem(t, 422, voice.CodeValidationFailed)
}

func TestBridge(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	body := map[string]any{"to": n.Called(), "record": true, "recordStereo": true}
	first := n.Do(t, http.MethodPost, p.Path+"/bridge", body, With("Idempotency-Key", "b"))
	if first.Status != http.StatusAccepted {
		t.Fatalf("bridge: %d %s", first.Status, first.Body)
	}
	object := first.JSON(t)
	far := n.ChannelPath() + "/calls/" + Text(object, "bridgedCall", "id")
	if Text(object, "command", "command") != "bridge" || Text(object, "bridgedCall", "parentId") != string(p.ID) || Text(object, "bridgedCall", "direction") != "outgoing" {
		t.Errorf("bridge: %s", first.Body)
	}
	n.Await(t, far, "ongoing")
	again := n.Do(t, http.MethodPost, p.Path+"/bridge", body, With("Idempotency-Key", "b"))
	if again.Status != first.Status || !bytes.Equal(again.Body, first.Body) {
		t.Errorf("again: %d %s\nfirst: %s", again.Status, again.Body, first.Body)
	}
	n.Do(t, http.MethodPost, p.Path+"/bridge", body).Problem(t, 400, voice.CodeCallNotInState)
	list := results(t, n.Get(t, p.Path+"/recordings"))
	if len(list) != 1 || Text(list[0], "origin") != "bridge-call" {
		t.Errorf("recordings: %v", list)
	}
	n.Hangup(t, p)
	n.Await(t, far, "completed")
}

func TestPauseResumeStop(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	path := p.Path + "/recordings/" + id
	patch := func(body string) Answer { return n.Do(t, http.MethodPatch, path, body) }
	n.Await(t, path, "ongoing")
	for _, step := range []struct{ body, status string }{
		{`{"status":"paused"}`, "paused"}, {`{"status":"paused"}`, "paused"}, {`{"status":"ongoing"}`, "ongoing"},
		{`{"status":"paused","pauseBehavior":"skip"}`, "paused"}, {`{"status":"ongoing"}`, "ongoing"},
	} {
		if a := patch(step.body); a.Status != http.StatusAccepted || Text(a.JSON(t), "status") != step.status {
			t.Fatalf("%s: %d %s", step.body, a.Status, a.Body)
		}
	}
	patch(`{"status":"ongoing","pauseBehavior":"skip"}`).Problem(t, 422, voice.CodeValidationFailed)
	patch(`{}`).Problem(t, 422, voice.CodeValidationFailed)
	patch(`{"status":"available"}`).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPatch, p.Path+"/recordings/"+missing, `{"status":"paused"}`).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodGet, p.Path+"/recordings/"+missing, nil).Problem(t, 404, voice.CodeNotFound)
	if a := patch(`{"status":"completed"}`); a.Status != http.StatusAccepted {
		t.Fatalf("stop: %d %s", a.Status, a.Body)
	}
	r := n.Await(t, n.WorkspacePath()+"/recordings/"+id, "available")
	if Text(r, "endCause") != "stopped" {
		t.Errorf("recording: %v", r)
	}
	patch(`{"status":"paused"}`).Problem(t, 400, voice.CodeRecordingNotActive)

	// Newest first, in pages.
	second := n.Record(t, p, nil)
	page := n.Get(t, p.Path+"/recordings?limit=1")
	if list := results(t, page); len(list) != 1 || Text(list[0], "id") != second {
		t.Errorf("first page: %v", page)
	}
	page = n.Get(t, p.Path+"/recordings?limit=1&pageToken="+Text(page, "nextPageToken"))
	if list := results(t, page); len(list) != 1 || Text(list[0], "id") != id || Text(page, "nextPageToken") != "" {
		t.Errorf("last page: %v", page)
	}
	n.Do(t, http.MethodGet, p.Path+"/recordings?pageToken=x", nil).Problem(t, 422, voice.CodeValidationFailed)
	n.Hangup(t, p)
}

func TestStoredRecordings(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	all := n.WorkspacePath() + "/recordings"
	path := all + "/" + id
	n.Await(t, path, "ongoing")

	// While it runs: what there is so far, and no deletion.
	var live Answer
	testkit.Eventually(t, patience, func() bool { // until something has reached the disk, there is nothing
		if live = n.Do(t, http.MethodGet, path+".wav", nil); live.Status != http.StatusOK {
			live.Problem(t, 404, voice.CodeNotFound)
		}
		return live.Status == http.StatusOK
	})
	if live.Status != http.StatusOK || !bytes.HasPrefix(live.Body, []byte("RIFF")) || live.Header.Get("ETag") != sumTag(live.Body) || live.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("live audio: %d %v", live.Status, live.Header)
	}
	n.Do(t, http.MethodGet, path+"/receipt", nil).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodDelete, path, nil).Problem(t, 400, voice.CodeRecordingNotActive)
	n.Hangup(t, p)

	r := n.Await(t, path, "available")
	if Text(r, "url") != n.URL+path+".wav" || Text(r, "format") != "wav" || Text(r, "source") != "call" || Text(r, "sourceId") != string(p.ID) ||
		Text(r, "direction") != "incoming" || Text(r, "originator", "number", "number") != p.Number || r["transcription"] != false || r["durationMs"] == nil {
		t.Errorf("recording: %v", r)
	}
	whole := n.Do(t, http.MethodGet, path+".wav", nil)
	etag := `"` + Text(r, "sha256") + `"`
	if whole.Status != http.StatusOK || whole.Header.Get("ETag") != etag || whole.Header.Get("Accept-Ranges") != "bytes" || float64(len(whole.Body)) != r["size"] ||
		whole.Header.Get("Content-Disposition") != `attachment; filename="`+id+`.wav"` || !bytes.HasPrefix(whole.Body, []byte("RIFF")) {
		t.Errorf("audio: %d %v, %d bytes", whole.Status, whole.Header, len(whole.Body))
	}
	head := n.Do(t, http.MethodHead, path+".wav", nil)
	if head.Status != http.StatusOK || len(head.Body) != 0 || head.Header.Get("Content-Length") != whole.Header.Get("Content-Length") || head.Header.Get("ETag") != etag {
		t.Errorf("HEAD: %d %v", head.Status, head.Header)
	}
	part := n.Do(t, http.MethodGet, path+".wav", nil, With("Range", "bytes=4-11"))
	if part.Status != http.StatusPartialContent || !bytes.Equal(part.Body, whole.Body[4:12]) {
		t.Errorf("range: %d %q", part.Status, part.Body)
	}
	n.Do(t, http.MethodGet, path+".wav", nil, With("Range", "bytes=99999999-")).Problem(t, 416, voice.CodeRangeNotSatisfiable)
	if a := n.Do(t, http.MethodGet, path+".wav", nil, With("Range", "lines=1-2")); a.Status != http.StatusOK || !bytes.Equal(a.Body, whole.Body) {
		t.Errorf("a range in another unit: %d, %d bytes", a.Status, len(a.Body))
	}
	if a := n.Do(t, http.MethodGet, path+".wav", nil, With("Range", "Bytes=0-3")); a.Status != http.StatusPartialContent || string(a.Body) != "RIFF" {
		t.Errorf("the unit in upper case: %d %q", a.Status, a.Body)
	}
	n.Do(t, http.MethodGet, path+".wav", nil, With("If-Match", `"other"`)).Problem(t, 412, voice.CodePreconditionFailed)
	if a := n.Do(t, http.MethodGet, path+".wav", nil, With("If-None-Match", etag)); a.Status != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", a.Status)
	}
	receipt := n.Do(t, http.MethodGet, path+"/receipt", nil)
	if receipt.Status != http.StatusOK || !bytes.Contains(receipt.Body, []byte(Text(r, "sha256"))) {
		t.Errorf("receipt: %d %s", receipt.Status, receipt.Body)
	}

	for query, want := range map[string]int{
		"": 1, "?status=available": 1, "?status=absent": 0, "?sourceId=" + string(p.ID): 1, "?id=" + string(p.ID): 1, "?id=" + missing: 0,
		"?id=" + missing + "&sourceId=" + string(p.ID): 0, "?channelId=" + string(n.Channel): 1, "?direction=outgoing": 0,
		"?from=" + strings.Replace(p.Number, "+", "%2B", 1): 1, "?to=" + n.Number: 1, "?to=1": 0, "?endAt=2020-01-01T00:00:00Z": 0, "?limit=99": 1,
	} {
		if got := len(results(t, n.Get(t, all+query))); got != want {
			t.Errorf("%s: %d recordings, want %d", query, got, want)
		}
	}
	_, details := n.Do(t, http.MethodGet, all+"?limit=100&status=gone", nil).Problem(t, 422, voice.CodeValidationFailed)
	if len(details) != 2 {
		t.Errorf("faults: %v", details)
	}

	for range 2 {
		if a := n.Do(t, http.MethodDelete, path, nil); a.Status != http.StatusNoContent || len(a.Body) != 0 {
			t.Fatalf("delete: %d %s", a.Status, a.Body)
		}
	}
	r = n.Get(t, path)
	if Text(r, "status") != "absent" || Text(r, "endCause") != "deleted" || r["url"] != nil || r["durationMs"] == nil {
		t.Errorf("deleted recording: %v", r)
	}
	message, _ := n.Do(t, http.MethodGet, path+".wav", nil).Problem(t, 404, voice.CodeNotFound)
	if !strings.Contains(message, "deleted") {
		t.Errorf("audio of a deleted recording: %s", message)
	}
	if again := n.Do(t, http.MethodGet, path+"/receipt", nil); again.Status != http.StatusOK || !bytes.Equal(again.Body, receipt.Body) {
		t.Errorf("receipt of a deleted recording: %d", again.Status)
	}
	for _, below := range []string{"", ".wav", "/receipt"} {
		n.Do(t, http.MethodGet, all+"/"+missing+below, nil).Problem(t, 404, voice.CodeNotFound)
		n.Do(t, http.MethodGet, all+"/x"+below, nil).Problem(t, 400, voice.CodeInvalidParameter)
	}
}
