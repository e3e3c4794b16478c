package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tapedeck/client"
	"tapedeck/internal/server"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// TestWebhookCommands: an operator subscribes, sees what became of an event, has
// it again, and unsubscribes.
func TestWebhookCommands(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	came := make(chan string, 8) // the id of each event that came
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { came <- r.Header.Get("webhook-id") }))
	t.Cleanup(receiver.Close)
	dir := t.TempDir()
	cfg, err := server.LoadConfig(server.Source{Flags: map[string]string{
		"data": dir, "http": "127.0.0.1:0", "sip": "127.0.0.1:0", "drain-timeout": "5s", "allow-private-urls": "true",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: cfg, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // sent to once, by Run
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	do := func(code int, args ...string) string {
		t.Helper()
		out, errs, got := execute(t, append(append([]string{"webhook"}, args...), "--data", dir, "--server", "http://"+s.Ready().HTTP)...)
		if got != code {
			t.Fatalf("%v: exit %d, want %d:\n%s%s", args, got, code, out, errs)
		}
		return out + errs
	}
	t.Setenv("TAPEDECK_SIGNING_KEY", "s3cret")
	var sub client.WebhookSubscription
	if err := json.Unmarshal([]byte(do(0, "create", "voice.inbound", receiver.URL, "--status", "ringing", "--json")), &sub); err != nil || sub.SigningKey != "" {
		t.Fatalf("%+v %v", sub, err)
	}
	wants(t, "list", do(0, "list"), sub.ID, receiver.URL, "status=ringing")
	wants(t, "a fault", do(1, "create", "voice.lost", receiver.URL), "422", "event")
	wants(t, "another", do(0, "create", "voice.outbound", receiver.URL), "signed", "true")

	ring(t, dir)
	first := testkit.Receive(t, 30*time.Second, came)
	var log []client.WebhookDelivery
	testkit.Eventually(t, 30*time.Second, func() bool {
		err := json.Unmarshal([]byte(do(0, "deliveries", "--json", "--status", "delivered", "--subscription", sub.ID)), &log)
		return err == nil && len(log) == 1
	})
	wants(t, "deliveries", do(0, "deliveries"), log[0].ID, "voice.inbound", "delivered")
	wants(t, "replay", do(0, "replay", log[0].ID), log[0].ID, "pending")
	if again := testkit.Receive(t, 30*time.Second, came); again != first || first != log[0].EventID {
		t.Errorf("event %s came again as %s", first, again)
	}
	wants(t, "replay nothing", do(1, "replay", store.NewID()), "404")
	wants(t, "replay no id", do(1, "replay", "x"), "UUID")
	wants(t, "no deliveries", do(1, "deliveries", "--limit", "0"), "--limit")
	do(0, "delete", sub.ID)
	wants(t, "delete again", do(1, "delete", sub.ID), "404")
}

// ring writes down a call that rings, as the server in the directory does.
func ring(t *testing.T, dir string) {
	t.Helper()
	boot, err := server.ReadBootstrap(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{URL: store.PathIn(dir), MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	call := voice.Call{
		ID: voice.CallID(store.NewID()), Workspace: boot.Workspace, Channel: boot.Channel, From: "+1555", To: "1000",
		Direction: voice.Incoming, Type: voice.CallPSTN, Status: voice.CallRinging, CreatedAt: at, UpdatedAt: at,
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCall(call) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
