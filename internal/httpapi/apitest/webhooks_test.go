package apitest

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// hook is a webhook as it came.
type hook struct {
	header  http.Header
	body    []byte
	event   string
	payload map[string]any
}

// receiver takes webhooks.
type receiver struct {
	url string

	mu     sync.Mutex // guards the rest
	came   []hook
	refuse int // so many are refused
}

func receive(t testing.TB) *receiver {
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var shape struct {
			Event   string         `json:"event"`
			Payload map[string]any `json:"payload"`
		}
		if err == nil {
			err = json.Unmarshal(body, &shape)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil || r.refuse > 0 {
			r.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.came = append(r.came, hook{q.Header.Clone(), body, shape.Event, shape.Payload})
	}))
	t.Cleanup(s.Close)
	r.url = s.URL + "/hooks?a=b"
	return r
}

func (r *receiver) hooks() []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came)
}

// wait waits for so many webhooks.
func (r *receiver) wait(t testing.TB, n int) []hook {
	t.Helper()
	testkit.Eventually(t, patience, func() bool { return len(r.hooks()) >= n })
	return r.hooks()
}

// Subscribe subscribes to an event.
func (n *Node) Subscribe(t testing.TB, event, url, key string) (id string) {
	t.Helper()
	body := map[string]any{"service": "channels", "event": event, "url": url}
	if key != "" {
		body["signingKey"] = key
	}
	a := n.Do(t, http.MethodPost, n.WorkspacePath()+"/webhook-subscriptions", body)
	if a.Status != http.StatusCreated {
		t.Fatalf("subscribe to %s: %d %s", event, a.Status, a.Body)
	}
	return Text(a.JSON(t), "id")
}

// delivered is a delivery of a subscription that arrived.
func (n *Node) delivered(t testing.TB, subscription string) (id string) {
	t.Helper()
	path := n.WorkspacePath() + "/webhook-deliveries?status=delivered&subscriptionId=" + subscription
	testkit.Eventually(t, patience, func() bool {
		list, _ := n.Get(t, path)["results"].([]any)
		if len(list) > 0 {
			id = Text(list[0].(map[string]any), "id")
		}
		return id != ""
	})
	return id
}

// TestWebhooks: a receiver is told of a call and its recording, in order, once
// for each event, and can verify who tells.
func TestWebhooks(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	const key = "whsec_c2VjcmV0IG9mIHRoZSByZWNlaXZlcg=="
	r := receive(t)
	n := Start(t, "TAPEDECK_ALLOW_PRIVATE_URLS=true")
	for _, event := range []string{"voice.inbound", "recording.started", "recording.completed", "recording.available", "recording.deleted"} {
		n.Subscribe(t, event, r.url, key)
	}
	p := n.Answered(t)
	id := n.Record(t, p, nil)
	n.Await(t, p.Path+"/recordings/"+id, "ongoing")
	n.Hangup(t, p)
	n.Await(t, n.WorkspacePath()+"/recordings/"+id, "available")
	n.Do(t, http.MethodDelete, n.WorkspacePath()+"/recordings/"+id, nil)
	var told []string
	seen := map[string]bool{}
	all := r.wait(t, 8)
	for _, h := range all {
		told = append(told, h.event+" "+Text(h.payload, "status"))
		h.verify(t, key, r.url)
		eventID := h.header.Get("Webhook-Id")
		if seen[eventID] {
			t.Errorf("%s came twice", eventID)
		}
		seen[eventID] = true
		if len(h.payload["id"].(string)) != 36 || h.payload["createdAt"] == nil {
			t.Errorf("payload %v", h.payload)
		}
	}
	want := []string{
		"voice.inbound starting", "voice.inbound ringing", "voice.inbound ongoing", "recording.started ongoing",
	}
	if len(told) < 4 || !slices.Equal(told[:4], want) {
		t.Errorf("told %q, to begin with %q", told, want)
	}
	at := func(what string) int { return slices.Index(told, what) }
	if at("voice.inbound completed") < 4 || !(at("recording.completed completed") < at("recording.available available") && at("recording.available available") < at("recording.deleted absent")) {
		t.Errorf("told %q", told)
	}

	// The same is there for who reads on by itself.
	page := n.Get(t, n.WorkspacePath()+"/events?limit=1000")
	list := page["results"].([]any)
	var read []string
	for _, e := range list {
		e := e.(map[string]any)
		read = append(read, Text(e, "event")+" "+Text(e, "payload", "status"))
		if !seen[Text(e, "id")] && Text(e, "event") != "recording.accepted" {
			t.Errorf("%v was not delivered", e)
		}
	}
	if !slices.Equal(read, told) {
		t.Errorf("read %q, told %q", read, told)
	}
	after := strconv.FormatFloat(page["after"].(float64), 'f', 0, 64)
	rest := n.Get(t, n.WorkspacePath()+"/events?type=voice.inbound&after="+after)
	if len(rest["results"].([]any)) != 0 || strconv.FormatFloat(rest["after"].(float64), 'f', 0, 64) != after {
		t.Errorf("after %s: %v", after, rest)
	}
	// Who asks for what has not come is behind all that came, all the same: it is not
	// told later on that something is gone.
	rest = n.Get(t, n.WorkspacePath()+"/events?type=transcription.failed")
	if len(rest["results"].([]any)) != 0 || rest["after"] != page["after"] {
		t.Errorf("of another type: %v", rest)
	}
	n.Do(t, http.MethodGet, n.WorkspacePath()+"/events", nil, With("Accept", "text/event-stream"), With("Last-Event-ID", "-1")).Problem(t, 400, voice.CodeInvalidParameter)
}

// verify checks both signatures as a receiver would.
func (h *hook) verify(t *testing.T, key, url string) {
	t.Helper()
	sum := func(key []byte, parts ...[]byte) string {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	hash := sha256.Sum256(h.body)
	if want := sum([]byte(key), []byte(h.header.Get("messagebird-request-timestamp")+"\n"+url+"\n"), hash[:]); h.header.Get("messagebird-signature") != want {
		t.Errorf("messagebird-signature is %q, want %q", h.header.Get("messagebird-signature"), want)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	want := "v1," + sum(raw, []byte(h.header.Get("webhook-id")+"."+h.header.Get("webhook-timestamp")+"."), h.body)
	if got := h.header.Get("webhook-signature"); got != want {
		t.Errorf("webhook-signature is %q, want %q", got, want)
	}
	if h.header.Get("messagebird-request-id") == "" || h.header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", h.header)
	}
}

// TestReplay: the log says what became of each delivery, and one can be had again.
func TestReplay(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := receive(t)
	n := Start(t, "TAPEDECK_ALLOW_PRIVATE_URLS=true")
	sub := n.Subscribe(t, "voice.inbound", r.url, "")
	p := n.Dial(t)
	id := n.delivered(t, sub)
	first := r.wait(t, 1)[0]
	path := n.WorkspacePath() + "/webhook-deliveries/" + id
	d := n.Get(t, path)
	if d["attempts"] != 1.0 || d["responseStatus"] != 200.0 || Text(d, "callId") != string(p.ID) || Text(d, "deliveredAt") == "" || d["nextAttemptAt"] != nil {
		t.Errorf("delivered: %v", d)
	}
	if first.header.Get("messagebird-signature") != "" || first.header.Get("webhook-signature") != "" {
		t.Error("signed without a key")
	}
	n.Do(t, http.MethodPost, n.WorkspacePath()+"/webhook-deliveries/"+missing+"/replay", nil).Problem(t, 404, voice.CodeNotFound)
	before := len(r.hooks())
	if a := n.Do(t, http.MethodPost, path+"/replay", nil); a.Status != http.StatusAccepted {
		t.Fatalf("replay: %d %s", a.Status, a.Body)
	}
	testkit.Eventually(t, patience, func() bool {
		d := n.Get(t, path)
		return d["attempts"] == 2.0 && Text(d, "status") == "delivered"
	})
	event := Text(d, "eventId")
	if again := count(r.hooks(), event); again != 2 {
		t.Errorf("event %s came %d times; %d webhooks before", event, again, before)
	}
	n.Do(t, http.MethodDelete, n.WorkspacePath()+"/webhook-subscriptions/"+sub, nil)
	n.Do(t, http.MethodPost, path+"/replay", nil).Problem(t, 409, voice.CodeConflict)
	n.Hangup(t, p)
}

func count(hooks []hook, event string) (n int) {
	for _, h := range hooks {
		if h.header.Get("webhook-id") == event {
			n++
		}
	}
	return n
}

// TestSubscriptionFaults: what cannot be right is refused when it is asked for.
func TestSubscriptionFaults(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	all := n.WorkspacePath() + "/webhook-subscriptions"
	for body, members := range map[string][]string{
		`{}`: {"service", "event", "url"},
		`{"service":"numbers","event":"voice.gone","url":"","x":1}`:                                                                                                    {"service", "event", "url", "x"},
		`{"service":"channels","event":"voice.inbound","url":"http://example.com/"}`:                                                                                   {"url"},
		`{"service":"channels","event":"voice.inbound","url":"https://127.0.0.1/"}`:                                                                                    {"url"},
		`{"service":"channels","event":"voice.inbound","url":"https://[::ffff:10.0.0.1]:80"}`:                                                                          {"url"},
		`{"service":"channels","event":"voice.inbound","url":"https://localhost/"}`:                                                                                    {"url"},
		`{"service":"channels","event":"voice.inbound","url":"example.com"}`:                                                                                           {"url"},
		`{"service":"channels","event":"voice.inbound","url":"https://example.com/","eventFilters":[{"key":"status","value":"lost"},{"key":"channelId","value":"x"}]}`: {"eventFilters.0.value", "eventFilters.1.value"},
	} {
		_, details := n.Do(t, http.MethodPost, all, body).Problem(t, 422, voice.CodeValidationFailed)
		for _, m := range members {
			if len(details[m]) == 0 || len(details) != len(members) {
				t.Errorf("%s: faults %v, want %v", body, details, members)
			}
		}
	}
	body := `{"service":"channels","event":"voice.inbound","url":"https://example.com/","eventFilters":null,"signingKey":"k"}`
	same := With("Idempotency-Key", "s")
	first := n.Do(t, http.MethodPost, all, body, same).JSON(t)
	if again := n.Do(t, http.MethodPost, all, body, same).JSON(t); Text(again, "id") != Text(first, "id") || Text(first, "organizationId") != string(n.Workspace) || Text(first, "signingKey") != "k" {
		t.Errorf("first %v, again %v", first, again)
	}
	for range 4 {
		n.Do(t, http.MethodPost, all, body)
	}
	n.Do(t, http.MethodPost, all, body).Problem(t, 409, voice.CodeConflict)
	one := all + "/" + Text(first, "id")
	changed := n.Do(t, http.MethodPatch, one, `{"eventFilters":[{"key":"status","value":"busy"}],"url":"https://example.org/","signingKey":""}`).JSON(t)
	if Text(changed, "url") != "https://example.org/" || changed["signingKey"] != nil || len(changed["eventFilters"].([]any)) != 1 || Text(changed, "event") != "voice.inbound" {
		t.Errorf("changed: %v", changed)
	}
	n.Do(t, http.MethodPatch, one, `{"url":"https://10.0.0.1/"}`).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPatch, one, `{"service":"channels"}`).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPost, all, body) // in its place
	n.Do(t, http.MethodPatch, one, `{"eventFilters":[]}`).Problem(t, 409, voice.CodeConflict)
	if a := n.Do(t, http.MethodDelete, one, nil); a.Status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.Status, a.Body)
	}
	n.Do(t, http.MethodGet, one, nil).Problem(t, 404, voice.CodeNotFound)
	if list := results(t, n.Get(t, all)); len(list) != 5 {
		t.Errorf("%d are left", len(list))
	}
	n.Do(t, http.MethodGet, n.WorkspacePath()+"/events?after=-1&limit=0&type=voice.gone", nil).Problem(t, 422, voice.CodeValidationFailed)
}

// TestEventStream: who listens hears of what happens at once, goes on where it
// was cut off, and is let go when the server ends.
func TestEventStream(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	if a := n.Do(t, http.MethodHead, n.WorkspacePath()+"/events", nil, With("Accept", "text/event-stream")); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", a.Status, a.Header)
	}
	listener := n.listen(t, "?type=voice.inbound")
	p := n.Answered(t)
	first := listener.next(t)
	if first["event"] != "voice.inbound" || !strings.Contains(first["data"], string(p.ID)) {
		t.Errorf("heard %v", first)
	}
	listener.close()
	again := n.listen(t, "?type=voice.inbound", With("Last-Event-ID", first["id"]))
	n.Hangup(t, p)
	for last := first["id"]; ; {
		e := again.next(t)
		if len(e["id"]) < len(last) || len(e["id"]) == len(last) && e["id"] <= last {
			t.Fatalf("after %s came %v", last, e)
		}
		if last = e["id"]; strings.Contains(e["data"], `"status":"completed"`) {
			break
		}
	}
	_, stranger := n.Key(t, n.Workspace, voice.Policy{Effect: voice.Allow, Actions: []voice.Action{voice.ActionView}, Resources: []string{"/workspaces/*/recordings/**"}})
	n.Do(t, http.MethodGet, n.WorkspacePath()+"/events", nil, With("Accept", "text/event-stream"), With("Authorization", "AccessKey "+stranger)).Problem(t, 403, voice.CodeForbidden)
	// The stream is open when the server ends: see Start.
}

type listener struct {
	lines *bufio.Scanner
	close func()
}

// listen opens a stream of events. It is closed by the test, or with the server.
func (n *Node) listen(t *testing.T, query string, options ...Option) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+n.WorkspacePath()+"/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(options, With("Authorization", "AccessKey "+n.AccessKey), With("Accept", "text/event-stream")) {
		o(r)
	}
	transport := &http.Transport{}
	res, err := transport.RoundTrip(r) // close closes it
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("listen: %v %v", res, err)
	}
	l := &listener{lines: bufio.NewScanner(res.Body), close: sync.OnceFunc(func() {
		cancel()
		if err := res.Body.Close(); err != nil {
			t.Errorf("close the stream: %v", err)
		}
		transport.CloseIdleConnections()
	})}
	t.Cleanup(l.close)
	return l
}

// next is the next event.
func (l *listener) next(t *testing.T) map[string]string {
	t.Helper()
	e := map[string]string{}
	for l.lines.Scan() {
		if l.lines.Text() == "" && e["data"] != "" {
			return e
		}
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		e[name] = value
	}
	t.Fatalf("the stream ended: %v", l.lines.Err())
	return nil
}
