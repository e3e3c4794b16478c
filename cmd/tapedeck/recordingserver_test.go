package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/client"
	"tapedeck/internal/journal"
	"tapedeck/internal/server"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// recorded is a server with one finished recording.
type recorded struct {
	t   *testing.T
	dir string // of the server
	url string
	id  string
}

// newRecorded starts a server in a directory with a journal that a crash left.
// The server makes the recording of it.
func newRecorded(t *testing.T) *recorded {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	r := &recorded{t: t, dir: t.TempDir(), id: store.NewID()}
	r.serve(func(*server.Server) {}) // the first start makes workspace, channel and keys
	boot, err := server.ReadBootstrap(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	call := voice.Call{
		ID: voice.CallID(store.NewID()), Workspace: boot.Workspace, Channel: boot.Channel, From: "+1555", To: "1000",
		Direction: voice.Incoming, Type: voice.CallPSTN, Status: voice.CallCompleted, CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC(),
	}
	db, err := store.Open(t.Context(), store.Options{URL: store.PathIn(r.dir)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCall(call) }), db.Close()); err != nil {
		t.Fatal(err)
	}
	r.journal(&call)
	return r
}

// serve runs a server around fn.
func (r *recorded) serve(fn func(*server.Server)) {
	r.t.Helper()
	cfg, err := server.LoadConfig(server.Source{Flags: map[string]string{
		"data": r.dir, "http": "127.0.0.1:0", "sip": "127.0.0.1:0", "drain-timeout": "5s", "recording-min-free": "0",
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := server.New(r.t.Context(), server.Options{Config: cfg, Version: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.url = "http://" + s.Ready().HTTP
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // sent to once, by Run
	go func() { ended <- s.Run(ctx) }()
	fn(s)
	cancel()
	if err := <-ended; err != nil {
		r.t.Error(err)
	}
}

// journal writes a second of a party, without an end.
func (r *recorded) journal(call *voice.Call) {
	r.t.Helper()
	w, err := journal.Create(filepath.Join(r.dir, "journals", r.id+".journal"), journal.Header{
		Recording: r.id, Workspace: string(call.Workspace), Channel: string(call.Channel), Call: string(call.ID),
		SampleRate: 8000, Stereo: true, Wall: time.Now(),
	}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	control := func(e journal.Entry) { err = errors.Join(err, w.Control(e), w.Flush()) }
	control(journal.Entry{Kind: journal.KindTrackOpened, Detail: journal.Detail{Call: string(call.ID), Party: call.From, Role: "caller"}})
	control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: time.Now()}})
	for i := range 50 {
		err = errors.Join(err, w.Packet(time.Duration(i+1)*20*time.Millisecond, 0, &journal.Packet{
			Seq: uint16(i), Time: uint32(160 * i), SSRC: 1, Payload: bytes.Repeat([]byte{byte(i)}, 160),
		}))
	}
	if err = errors.Join(err, w.Flush(), w.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a command about recordings and wants it to succeed, unless code says
// otherwise.
func (r *recorded) run(code int, args ...string) string {
	r.t.Helper()
	out, errs, got := execute(r.t, append([]string{"recording"}, append(args, "--data", r.dir, "--server", r.url)...)...)
	if got != code {
		r.t.Fatalf("%v: exit %d, want %d:\n%s%s", args, got, code, out, errs)
	}
	return out + errs
}

func wants(t *testing.T, what, said string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("%s: %q is missing in\n%s", what, w, said)
		}
	}
}

// TestRecordingCommands: an operator finds a recording, fetches it, proves it
// and deletes it.
func TestRecordingCommands(t *testing.T) {
	r := newRecorded(t)
	r.serve(func(*server.Server) {
		boot, err := server.ReadBootstrap(r.dir)
		if err != nil {
			t.Fatal(err)
		}
		api := client.New(client.Options{BaseURL: r.url, AccessKey: boot.AccessKey, Workspace: string(boot.Workspace)})
		defer api.Close()
		if made, err := api.WaitForRecording(t.Context(), r.id); err != nil || made.Status != client.RecordingStatusAvailable {
			t.Fatalf("%+v, %v", made, err)
		}
		r.look()
		r.fetchAndProve()
		r.refusals()
		r.run(0, "delete", r.id)
		wants(t, "show deleted", r.run(0, "show", r.id), "absent", "deleted")
		wants(t, "download deleted", r.run(1, "download", r.id, "--out", filepath.Join(r.dir, "x.wav")), "404")
		r.run(0, "receipt", r.id) // proves what there was
	})
}

// look lists and shows.
func (r *recorded) look() {
	t := r.t
	list := r.run(0, "list")
	wants(t, "list", list, r.id, "available", "+1555", "1000", "node-lost", " 1s ")
	wants(t, "list", r.run(0, "list", "--from", "+1555", "--to", "1000", "--status", "available", "--direction", "incoming", "--since", "2020-01-01T00:00:00Z"), r.id)
	if none := r.run(0, "list", "--from", "nobody"); strings.Contains(none, r.id) {
		t.Errorf("the filter lets through:\n%s", none)
	}
	var listed []client.Recording
	if err := json.Unmarshal([]byte(r.run(0, "list", "--json", "--limit", "5")), &listed); err != nil || len(listed) != 1 || listed[0].ID != r.id {
		t.Errorf("%+v, %v", listed, err)
	}
	wants(t, "show", r.run(0, "show", strings.ToUpper(r.id)), r.id, "caller +1555", "SHA-256", "node-lost")
}

// fetchAndProve downloads, and verifies offline.
func (r *recorded) fetchAndProve() {
	t := r.t
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	wants(t, "download", r.run(0, "download", r.id, "--out", in("a.wav")), in("a.wav"), "as the server has it")
	wants(t, "download again", r.run(1, "download", r.id, "--out", in("a.wav")), "--force")
	wants(t, "download over it", r.run(0, "download", "--json", r.id, "-o", in("a.wav"), "--force"), `"proved": true`)
	r.run(0, "receipt", r.id, "--out", in("a.json"))
	wants(t, "receipt again", r.run(1, "receipt", r.id, "--out", in("a.json")), "--force")
	printed := r.run(0, "receipt", r.id)
	if saved, err := os.ReadFile(in("a.json")); err != nil || string(saved) != printed {
		t.Errorf("the receipt is printed otherwise than it is saved: %v", err)
	}
	key, _, code := administer(t, r.dir, "receipt-key", "--as", "base64")
	if code != 0 {
		t.Fatal("no key")
	}
	out, errs, code := execute(t, "recording", "verify", "--key", strings.TrimSpace(key), in("a.wav"), in("a.json"))
	if code != 0 {
		t.Errorf("exit %d:\n%s%s", code, out, errs)
	}
	wants(t, "verify", out, "VERIFIED", "left, caller +1555: 50 packets, none lost", "NOT complete", "the server went down")
}

// refusals are errors that a person can understand.
func (r *recorded) refusals() {
	t := r.t
	other := store.NewID()
	wants(t, "unknown", r.run(1, "show", other), "404", "recording not found")
	for _, id := range []string{"x", "", "../" + other, other + "?x=1", other + "/renders/" + other, other + ".wav"} {
		for _, command := range []string{"show", "download", "receipt", "render", "delete"} {
			wants(t, "no id", r.run(1, command, id), "no id of a recording")
		}
	}
	wants(t, "filter", r.run(1, "list", "--status", "odd"), "422", "must be one of accepted")
	wants(t, "none", r.run(1, "list", "--limit", "0"), "1 or more")
	wants(t, "one name", r.run(1, "render", r.id, "--out", "same", "--receipt", "./same"), "two names")
	two := testkit.WriteFile(t, t.TempDir(), "key", "one\nsecret")
	if said := r.run(1, "list", "--access-key", two); !strings.Contains(said, "no key") || strings.Contains(said, "secret") {
		t.Errorf("a key of two lines: %s", said)
	}
	for name, args := range map[string][]string{
		"no server":    {"list", "--data", r.dir, "--server", "127.0.0.1:1"},
		"no bootstrap": {"list", "--data", t.TempDir(), "--server", r.url},
		"other key":    {"list", "--data", r.dir, "--server", r.url, "--access-key", testkit.WriteFile(t, t.TempDir(), "key", "nonsense\n")},
		"empty key":    {"list", "--data", r.dir, "--server", r.url, "--access-key", testkit.WriteFile(t, t.TempDir(), "key", "\n")},
		"other server": {"list", "--data", r.dir, "--server", "http://192.0.2.1:8080"}, // nobody: RFC 5737
		"no key file":  {"list", "--data", r.dir, "--server", r.url, "--access-key", filepath.Join(r.dir, "none")},
	} {
		want := map[string]string{"no server": "is the server running there? --server", "no bootstrap": "--access-key", "other key": "--access-key or", "empty key": "no key in it", "other server": "no access key for http://192.0.2.1:8080", "no key file": "none"}[name]
		out, errs, code := execute(t, append([]string{"recording"}, args...)...)
		if code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, want %q: %s%s", name, code, want, out, errs)
		}
	}
}

// TestServerThatLies: what a server answers does not say where a file goes, and
// does not reach the terminal as a command.
func TestServerThatLies(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".wav"):
			w.Header().Set("Etag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("RIFF"))
		case strings.HasSuffix(r.URL.Path, "/recordings"):
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, `{"code": "odd", "message": "\u001b[2Jgone"}`)
		default:
			fmt.Fprint(w, `{"id": "../../escaped", "status": "\u001b[31mred\nred", "originator": {"number": {"number": "\u009b2J"}}}`)
		}
	}))
	defer server.Close()
	outer := t.TempDir()
	inner := filepath.Join(outer, "a", "b")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	t.Setenv("TAPEDECK_ACCESS_KEY", "key")
	id := store.NewID()
	for _, args := range [][]string{{"download", id}, {"show", id}, {"list"}} {
		out, errs, _ := execute(t, append(append([]string{"recording"}, args...), "--server", server.URL, "--workspace", "w")...)
		if strings.ContainsAny(out+errs, "\x1b\u009b") {
			t.Errorf("%s: %q", args[0], out+errs)
		}
	}
	if _, err := os.Stat(filepath.Join(inner, id+".wav")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outer, "escaped.wav")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the server chose the name: %v", err)
	}
}
