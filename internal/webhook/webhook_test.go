package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/fetch"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const (
	ws      = voice.WorkspaceID("0192f0a0-0000-7000-8000-000000000001")
	channel = voice.ChannelID("0192f0a0-0000-7000-8000-000000000002")
)

// request is one that a receiver had.
type request struct {
	path, event, body string // event = the id
	header            http.Header
	at                time.Time // of the rig's clock
}

// rig is a sender with a database, a receiver and a clock of its own.
type rig struct {
	*Sender
	t    *testing.T
	db   *store.DB
	path string // of the database
	url  string // of the receiver

	mu     sync.Mutex // guards the rest
	now    time.Time
	came   []request
	answer func(request) int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := &rig{t: t, now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), path: filepath.Join(t.TempDir(), "t.db")}
	r.answer = func(request) int { return http.StatusNoContent }
	s := httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(s.Close)
	r.url = s.URL
	r.open()
	t.Cleanup(func() { r.close() })
	r.update(func(tx *store.Tx) error {
		return tx.InsertWorkspace(voice.Workspace{ID: ws, Name: "w", CreatedAt: r.now, UpdatedAt: r.now})
	})
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.db, err = store.Open(r.t.Context(), store.Options{URL: r.path}); err != nil {
		r.t.Fatal(err)
	}
	r.Sender, err = New(Options{
		DB: r.db, Client: fetch.New(fetch.Options{AllowPrivate: true}), Now: r.clock, Spread: func() float64 { return 0.5 },
		Keep: 24 * time.Hour,
		Body: func(e voice.Event) ([]byte, error) { return []byte(string(e.Type) + " " + e.Status), nil },
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) close() {
	r.o.Client.Close()
	if err := r.db.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) receive(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	one := request{q.URL.Path, q.Header.Get("webhook-id"), string(body), q.Header.Clone(), r.now}
	r.came = append(r.came, one)
	w.WriteHeader(r.answer(one))
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) say(answer func(request) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *rig) had() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came)
}

func (r *rig) update(fn func(*store.Tx) error) {
	r.t.Helper()
	if err := r.db.Update(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) subscribe(event voice.EventType, path, key string) voice.Subscription {
	r.t.Helper()
	s := voice.Subscription{
		ID: voice.SubscriptionID(store.NewID()), Workspace: ws, Service: voice.ServiceChannels, Event: event, URL: r.url + path,
		SigningKey: key, Status: voice.SubscriptionActive, CreatedAt: r.now, UpdatedAt: r.now,
	}
	r.update(func(tx *store.Tx) error { return tx.PutSubscription(s) })
	return s
}

// call takes a call through some statuses.
func (r *rig) call(id int, notify string, statuses ...voice.CallStatus) voice.CallID {
	r.t.Helper()
	c := voice.Call{
		ID: voice.CallID(fmt.Sprintf("0192f0a0-0000-7000-8000-0000000001%02d", id)), Workspace: ws, Channel: channel, From: "1", To: "2",
		Direction: voice.Incoming, Type: voice.CallPSTN, NotificationURL: notify, CreatedAt: r.clock(),
	}
	for _, s := range statuses {
		c.Status, c.UpdatedAt = s, r.clock()
		r.update(func(tx *store.Tx) error { return tx.PutCall(c) })
	}
	return c.ID
}

// settle makes attempts until none is due, and returns when the next one is.
func (r *rig) settle() time.Time {
	r.t.Helper()
	for {
		due, next := r.look(r.t.Context())
		if len(due) == 0 {
			return next
		}
		for _, d := range due {
			r.deliver(r.t.Context(), d)
		}
	}
}

// pass lets time pass until there is nothing to do any more, at most so long.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.clock().Add(d)
	for {
		next := r.settle()
		r.mu.Lock()
		if next.IsZero() || next.After(end) {
			r.now = end
			r.mu.Unlock()
			return
		}
		r.now = next
		r.mu.Unlock()
	}
}

func (r *rig) log() (out []voice.Delivery) {
	r.t.Helper()
	err := r.db.View(r.t.Context(), func(tx *store.Tx) (err error) {
		out, _, err = tx.Deliveries(voice.DeliveryFilter{Workspace: ws, Page: voice.Page{Limit: 1000}})
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func bodies(list []request) (out []string) {
	for _, q := range list {
		out = append(out, q.body)
	}
	return out
}

// TestDelivers: the event goes to who subscribed to it and to the call's own
// address, and to nobody else.
func TestDelivers(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/in", "k")
	r.subscribe(voice.EventOutbound, "/out", "k")
	narrow := r.subscribe(voice.EventInbound, "/busy", "")
	narrow.Filters = []voice.SubscriptionFilter{{Key: voice.FilterStatus, Value: "busy"}}
	r.update(func(tx *store.Tx) error { return tx.PutSubscription(narrow) })
	r.call(1, r.url+"/call", voice.CallRinging)
	r.settle()
	r.settle()
	got := r.had()
	slices.SortFunc(got, func(a, b request) int { return strings.Compare(a.path, b.path) })
	if len(got) != 2 || got[0].path != "/call" || got[1].path != "/in" || got[0].body != "voice.inbound ringing" {
		t.Fatalf("%+v", got)
	}
	if got[0].header.Get("webhook-signature") != "" || got[1].header.Get("webhook-signature") == "" || got[0].event != got[1].event {
		t.Errorf("%v\n%v", got[0].header, got[1].header)
	}
	for _, d := range r.log() {
		if d.Status != voice.DeliveryDelivered || d.Attempts != 1 || d.Code != 204 || !d.NextAt.IsZero() || !d.DeliveredAt.Equal(r.now) {
			t.Errorf("%+v", d)
		}
	}
}

// TestDownForAnHour: a receiver that is down for an hour gets every event, each
// call's in order, each once, with the time of the first attempt.
func TestDownForAnHour(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "k")
	up := r.now.Add(time.Hour)
	r.say(func(q request) int {
		if q.at.Before(up) {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	first := r.clock().Unix()
	for i := range 3 {
		r.call(i, "", voice.CallStarting, voice.CallRinging, voice.CallOngoing, voice.CallCompleted)
	}
	r.pass(2 * time.Hour)
	var good []request
	tries := map[string][]time.Time{}
	for _, q := range r.had() {
		tries[q.event] = append(tries[q.event], q.at)
		if !q.at.Before(up) {
			good = append(good, q)
		}
	}
	if len(good) != 12 {
		t.Fatalf("%d arrived: %q", len(good), bodies(good))
	}
	of := map[voice.CallID][]string{}
	seen := map[string]bool{}
	for _, q := range good {
		if seen[q.event] || q.header.Get("messagebird-request-timestamp") != fmt.Sprint(first) || q.header.Get("webhook-timestamp") != fmt.Sprint(q.at.Unix()) {
			t.Errorf("%+v", q)
		}
		seen[q.event] = true
	}
	for _, d := range r.log() { // newest first
		for _, q := range good {
			if q.event == string(d.Event) {
				of[d.Call] = append([]string{q.body}, of[d.Call]...)
			}
		}
		if d.Status != voice.DeliveryDelivered || d.Attempts != len(tries[string(d.Event)]) {
			t.Errorf("%+v", d)
		}
	}
	for call := range of {
		at := time.Time{}
		for _, q := range good {
			if i := slices.IndexFunc(r.log(), func(d voice.Delivery) bool { return string(d.Event) == q.event && d.Call == call }); i >= 0 {
				if q.at.Before(at) {
					t.Errorf("call %s: %q came out of order", call, q.body)
				}
				at = q.at
			}
		}
		want := []string{"voice.inbound starting", "voice.inbound ringing", "voice.inbound ongoing", "voice.inbound completed"}
		if !slices.Equal(of[call], want) {
			t.Errorf("call %s: %q", call, of[call])
		}
	}
	for event, list := range tries { // only the first of each call was tried in vain, with growing intervals
		for i := 2; i < len(list); i++ {
			if list[i].Sub(list[i-1]) < list[i-1].Sub(list[i-2]) {
				t.Errorf("event %s was tried at %v", event, list)
			}
		}
	}
}

// TestGivenUp: after 8 hours a delivery is given up with a last attempt, and the
// next one of the call has its own.
func TestGivenUp(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	r.say(func(request) int { return http.StatusGone })
	began := r.clock()
	r.call(1, "", voice.CallRinging, voice.CallCompleted)
	r.pass(7*time.Hour + 50*time.Minute)
	for _, d := range r.log() {
		if d.Status != voice.DeliveryPending {
			t.Errorf("too early: %+v", d)
		}
	}
	r.pass(time.Hour)
	all := r.had()
	if last := all[len(all)-1]; last.at.Sub(began) != voice.RetryFor || last.body != "voice.inbound completed" {
		t.Errorf("the last attempt was %s after, with %q", last.at.Sub(began), last.body)
	}
	for _, d := range r.log() {
		if d.Status != voice.DeliveryFailed || d.Code != http.StatusGone || d.Problem != "the receiver answered 410" || !d.NextAt.IsZero() {
			t.Errorf("%+v", d)
		}
	}
	if next := r.settle(); !next.IsZero() {
		t.Errorf("there is more at %s", next)
	}
}

// TestRestart: what was under way before goes on, nothing of it is made twice.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	r.say(func(q request) int {
		if strings.HasSuffix(q.body, "completed") {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	r.call(1, "", voice.CallRinging, voice.CallCompleted)
	r.settle()
	r.call(2, "", voice.CallRinging) // nobody looked at it
	r.close()
	r.open()
	r.say(func(request) int { return http.StatusOK })
	r.pass(time.Minute)
	want := []string{"voice.inbound ringing", "voice.inbound completed", "voice.inbound ringing", "voice.inbound completed"}
	if got := bodies(r.had()); !slices.Equal(got, want) {
		t.Errorf("came: %q", got)
	}
}

// TestUnreachable: an address that must not be reached is a failure of its
// deliveries, which says so, and of nothing else.
func TestUnreachable(t *testing.T) {
	r := newRig(t)
	r.o.Client.Close()
	r.o.Client = fetch.New(fetch.Options{})
	r.subscribe(voice.EventInbound, "/", "")
	r.call(1, "", voice.CallRinging)
	r.settle()
	if d := r.log()[0]; len(r.had()) != 0 || d.Status != voice.DeliveryPending || d.Code != 0 || !strings.Contains(d.Problem, "not public") {
		t.Errorf("%+v", d)
	}
}

// TestFaultsOfOurs: a body that cannot be written, or a fault on the way to it,
// costs that attempt only.
func TestFaultsOfOurs(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	good := r.o.Body
	r.call(1, "", voice.CallRinging)
	r.o.Body = func(voice.Event) ([]byte, error) { return nil, errors.New("no") }
	r.settle()
	r.o.Body = func(voice.Event) ([]byte, error) { panic("no") }
	r.pass(10 * time.Second)
	if d := r.log()[0]; d.Attempts != 2 || d.Status != voice.DeliveryPending || d.Problem != "the server met a fault of its own" {
		t.Errorf("%+v", d)
	}
	r.o.Body = good
	r.pass(time.Minute)
	if d := r.log()[0]; d.Attempts != 3 || d.Status != voice.DeliveryDelivered || d.Problem != "" {
		t.Errorf("%+v", d)
	}
}

// TestDeleted: who unsubscribes while an attempt is made is not told again.
func TestDeleted(t *testing.T) {
	r := newRig(t)
	s := r.subscribe(voice.EventInbound, "/", "")
	r.call(1, "", voice.CallRinging)
	due, _ := r.look(t.Context())
	r.update(func(tx *store.Tx) error { return tx.DeleteSubscription(ws, s.ID, r.now) })
	r.deliver(t.Context(), due[0])
	r.pass(9 * time.Hour)
	if d := r.log()[0]; len(r.had()) != 0 || d.Status != voice.DeliveryFailed || d.Problem != "the subscription was deleted" {
		t.Errorf("%d came, %+v", len(r.had()), d)
	}
}

// TestReplayMeanwhile: one that is asked for again while it is delivered comes
// again.
func TestReplayMeanwhile(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	r.call(1, "", voice.CallRinging)
	due, _ := r.look(t.Context())
	d := due[0]
	again := d
	again.Since, again.NextAt = d.Since.Add(time.Millisecond), d.Since.Add(time.Millisecond)
	r.update(func(tx *store.Tx) error { return tx.UpdateDelivery(again) })
	r.deliver(t.Context(), d)
	r.pass(time.Second)
	if d := r.log()[0]; len(r.had()) != 2 || d.Attempts != 2 || d.Tries != 1 || d.Status != voice.DeliveryDelivered {
		t.Errorf("%d came, %+v", len(r.had()), d)
	}
}

// TestFairness: an address with much to do does not keep the others waiting, and
// gets no more at once than it may.
func TestFairness(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/slow", "")
	for i := range 20 {
		r.call(i, "", voice.CallRinging)
	}
	if err := r.fanOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.subscribe(voice.EventInbound, "/other", "")
	r.call(20, "", voice.CallRinging)
	r.o.Parallel, r.o.PerAddress = 8, 3
	var urls []string
	for range 3 {
		due, _ := r.look(t.Context())
		for _, d := range due {
			r.sending[d.ID] = d
			urls = append(urls, strings.TrimPrefix(d.URL, r.url))
		}
	}
	if !slices.Equal(urls, []string{"/slow", "/slow", "/slow", "/other"}) {
		t.Errorf("under way: %q", urls)
	}
}

// TestWorkspacesShare: one with many addresses that take long leaves places to the
// others.
func TestWorkspacesShare(t *testing.T) {
	r := newRig(t)
	r.o.Parallel, r.o.Each = 8, 5
	for i := range 20 {
		r.call(i, fmt.Sprintf("%s/slow/%d", r.url, i), voice.CallRinging)
	}
	const quiet = voice.WorkspaceID("0192f0a0-0000-7000-8000-00000000000b")
	r.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertWorkspace(voice.Workspace{ID: quiet, Name: "q", CreatedAt: r.now, UpdatedAt: r.now}),
			tx.PutCall(voice.Call{
				ID: voice.CallID(store.NewID()), Workspace: quiet, Channel: channel, From: "1", To: "2", Direction: voice.Incoming, Type: voice.CallPSTN,
				Status: voice.CallRinging, NotificationURL: r.url + "/quiet", CreatedAt: r.now, UpdatedAt: r.now,
			}))
	})
	of := map[voice.WorkspaceID]int{}
	for range 4 {
		due, _ := r.look(t.Context())
		for _, d := range due {
			r.sending[d.ID] = d
			of[d.Workspace]++
		}
	}
	if of[ws] != 5 || of[quiet] != 1 {
		t.Errorf("under way: %v", of)
	}
}

// TestForgets: old events and what became of them are forgotten, what is still to
// be delivered is not, and what nobody ever came to is given up.
func TestForgets(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	r.call(1, "", voice.CallRinging)
	r.settle()
	r.say(func(request) int { return http.StatusInternalServerError })
	r.call(2, "", voice.CallRinging, voice.CallCompleted)
	r.settle()
	r.mu.Lock()
	r.now = r.now.Add(25 * time.Hour) // in which this server was off
	r.mu.Unlock()
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := r.log()
	if len(left) != 2 || left[0].Status != voice.DeliveryFailed || left[0].Problem != "others for this address took all the time that there was" || left[1].Problem != "the receiver answered 500" {
		t.Errorf("%+v", left)
	}
	err := r.db.View(t.Context(), func(tx *store.Tx) error {
		events, err := tx.Events(voice.EventFilter{Workspace: ws})
		if len(events) != 0 {
			t.Errorf("%d events are kept", len(events))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRun: the engine itself delivers what is committed while it runs, without
// being told, and ends in good order.
func TestRun(t *testing.T) {
	r := newRig(t)
	r.subscribe(voice.EventInbound, "/", "")
	r.o.Poll = time.Hour
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1) // sent to once
	go func() { ended <- r.Run(ctx) }()
	for i := range 5 {
		r.call(i, "", voice.CallRinging, voice.CallOngoing, voice.CallCompleted)
	}
	testkit.Eventually(t, 30*time.Second, func() bool { return len(r.had()) == 15 })
	testkit.Eventually(t, 30*time.Second, func() bool {
		return !slices.ContainsFunc(r.log(), func(d voice.Delivery) bool { return d.Status != voice.DeliveryDelivered })
	})
	s := r.subscribe(voice.EventOutbound, "/late", "")
	at := r.now
	r.update(func(tx *store.Tx) error { // not an event, so that it is Wake that counts
		d := r.log()[0]
		d.Status, d.Since, d.NextAt, d.URL = voice.DeliveryPending, at.Add(time.Second), at, s.URL
		return tx.UpdateDelivery(d)
	})
	r.Wake()
	testkit.Eventually(t, 30*time.Second, func() bool { return len(r.had()) == 16 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestIntervals: they grow, and none is after the end, whatever the spread.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sender{o: Options{Spread: func() float64 { return rapid.Float64Range(0, 1).Draw(t, "spread") }}}
		began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		d := voice.Delivery{Since: began}
		now := began.Add(time.Duration(rapid.Int64Range(0, int64(voice.RetryFor)).Draw(t, "first")))
		for tries := 1; ; tries++ {
			d.Tries = tries
			next, more := s.next(&d, now)
			if !more {
				if now.Sub(began) < voice.RetryFor || now.Sub(began) > voice.RetryFor {
					t.Fatalf("given up after %s", now.Sub(began))
				}
				return
			}
			if !next.After(now) || next.Sub(began) > voice.RetryFor || tries > 30 {
				t.Fatalf("try %d is %s after the one before", tries+1, next.Sub(now))
			}
			now = next
		}
	})
}

// TestSignatures holds both against values that were made with openssl.
func TestSignatures(t *testing.T) {
	const (
		url  = "https://example.com/hooks?a=b"
		body = `{"service":"channels","event":"voice.inbound","payload":{"status":"ringing"}}`
	)
	if got := sign("s3cret", "1777863721", url, []byte(body)); got != "embDq4EDkiw+Wr5jfeFYabANDfXCQwOddwLbpHbqyx0=" {
		t.Errorf("messagebird-signature %s", got)
	}
	for key, want := range map[string]string{
		"s3cret":         "v1,KA/oF21Y504uYKDe2oziBDZYxf1hdMY/jwfjtPwrPSQ=",
		"whsec_czNjcmV0": "v1,KA/oF21Y504uYKDe2oziBDZYxf1hdMY/jwfjtPwrPSQ=", // the same key in base64
		"whsec_~":        "v1,Zq2VsXd3GqGbWwPcyJ8VxxXsYWeEsNTOBEG9jToNx74=", // none: it is taken as it stands
	} {
		if got := signStandard(key, "msg_1", "1777863721", []byte(body)); got != want {
			t.Errorf("webhook-signature with %s: %s", key, got)
		}
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a sender of nothing to nobody")
	}
}
