package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const patience = 20 * time.Second

// config is that of a server on free ports over a directory.
func configOf(t *testing.T, dir string, more ...string) *Config {
	t.Helper()
	flags := map[string]string{
		"data": dir, "http": "127.0.0.1:0", "sip": "127.0.0.1:0", "rtp-ports": "33500-33599",
		"drain-timeout": "4s", "recording-min-free": "1MiB",
	}
	for i := 0; i+1 < len(more); i += 2 {
		flags[more[i]] = more[i+1]
	}
	c, err := LoadConfig(Source{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// running is a server that runs.
type running struct {
	*Server
	t     *testing.T
	boot  Bootstrap
	stop  context.CancelFunc
	ended chan error // sent to once, by Run's goroutine
}

func serve(t *testing.T, c *Config) *running {
	t.Helper()
	s, err := New(t.Context(), Options{Config: c, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Server: s, t: t, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop = stop
	go func() { r.ended <- s.Run(ctx) }()
	if r.boot, err = ReadBootstrap(c.Data); err != nil {
		t.Fatal(err)
	}
	return r
}

// end stops the server and tells how long it took.
func (r *running) end() time.Duration {
	r.t.Helper()
	at := time.Now()
	r.stop()
	if err := testkit.Receive(r.t, patience, r.ended); err != nil {
		r.t.Errorf("the server ended with %v", err)
	}
	return time.Since(at)
}

// do asks the API, and reads the answer into out if that is not nil.
func (r *running) do(method, path, body string, want int, out any) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.Ready().HTTP+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "AccessKey "+r.boot.AccessKey)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := io.ReadAll(res.Body)
	if closing := res.Body.Close(); err != nil || closing != nil {
		r.t.Fatal(err, closing)
	}
	if res.StatusCode != want {
		r.t.Fatalf("%s %s gives %d %s, want %d", method, path, res.StatusCode, data, want)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			r.t.Fatal(err)
		}
	}
}

// A party that answers nothing any more, not even a BYE, does not hold up a
// shutdown, and its recording is a file when the server has ended.
func TestDrainWithASilentParty(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	dir := t.TempDir()
	r := serve(t, configOf(t, dir))
	r.do(http.MethodGet, "/readyz", "", http.StatusOK, nil)

	party := siptest.NewCaller(siptest.New(t, r.SIP()), r.SIP(), "silent")
	party.Send(party.Request("INVITE", siptest.SDP, "Content-Type: application/sdp"))
	party.Learn(party.Expect("180 INVITE"))
	calls := "/workspaces/" + string(r.boot.Workspace) + "/channels/" + string(r.boot.Channel) + "/calls"
	var list struct{ Results []struct{ ID string } }
	testkit.Eventually(t, patience, func() bool {
		r.do(http.MethodGet, calls+"?status=ringing", "", http.StatusOK, &list)
		return len(list.Results) == 1
	})
	call := calls + "/" + list.Results[0].ID
	r.do(http.MethodPost, call+"/answer", "", http.StatusAccepted, nil)
	party.Expect("200 INVITE")
	party.Send(party.Request("ACK", ""))
	var made struct{ RecordingID voice.RecordingID }
	r.do(http.MethodPost, call+"/recordings", `{"stereo":true}`, http.StatusAccepted, &made)

	if took := r.end(); took > 4*time.Second+2*time.Second {
		t.Errorf("the server took %v to end, its drain timeout is 4 s", took)
	}
	party.Expect("BYE")

	db, err := store.Open(t.Context(), store.Options{URL: store.PathIn(dir)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = db.View(t.Context(), func(tx *store.Tx) error {
		rec, err := tx.Recording(r.boot.Workspace, made.RecordingID)
		if err == nil && (rec.Status != voice.RecordingAvailable || rec.EndCause != voice.EndCallEnded) {
			t.Errorf("the recording is %s, ended by %s", rec.Status, rec.EndCause)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A store that hangs does not hold the drain up beyond its deadline.
func TestEndOfSessionsIsBounded(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	r := serve(t, configOf(t, t.TempDir()))
	party := siptest.NewCaller(siptest.New(t, r.SIP()), r.SIP(), "waiting")
	party.Send(party.Request("INVITE", siptest.SDP, "Content-Type: application/sdp"))
	party.Expect("180 INVITE")
	hangs, release := make(chan struct{}), make(chan struct{}) // closed, both
	written := make(chan error, 1)                             // sent to once
	r.db.Queue(func(*store.Tx) error { close(hangs); <-release; return nil }, func(err error) { written <- err })
	<-hangs
	deadline, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	back := make(chan struct{}) // closed when endSessions has returned
	go func() {
		defer close(back)
		r.endSessions(deadline)
	}()
	select {
	case <-back:
	case <-time.After(patience):
		t.Error("the end of the sessions was waited for without bound")
	}
	close(release)
	<-back
	party.Expect("503 INVITE")
	if err := testkit.Receive(t, patience, written); err != nil {
		t.Error(err)
	}
	r.end()
}

// What stands in the way of a start is said, and nothing is left open.
func TestNewSaysWhatIsWrong(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	dir := t.TempDir()
	r := serve(t, configOf(t, dir))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		config *Config
		says   string
	}{
		"directory in use":    {configOf(t, dir), "is used by another server"},
		"no directory":        {configOf(t, filepath.Join(file, "data")), "cannot be made"},
		"http port taken":     {configOf(t, t.TempDir(), "http", r.Ready().HTTP), "give another address with --http"},
		"sip port taken":      {configOf(t, t.TempDir(), "sip", r.Ready().SIP), "address already in use"},
		"storage of no build": {configOf(t, t.TempDir(), "storage", "s3://bucket"), "this build keeps recordings in a folder"},
	} {
		s, err := New(t.Context(), Options{Config: tt.config})
		if err == nil {
			t.Errorf("%s: a server was made, and closed with %v", name, s.Close())
		} else if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: the error is %q, want %q in it", name, err, tt.says)
		}
	}
	r.end()
}

// The second start on a directory makes nothing anew.
func TestSecondStart(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	dir := t.TempDir()
	first := serve(t, configOf(t, dir))
	first.end()
	if info, err := os.Stat(filepath.Join(dir, BootstrapName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", BootstrapName, info, err)
	}
	second := serve(t, configOf(t, dir))
	if first.boot != second.boot {
		t.Errorf("%+v became %+v", first.boot, second.boot)
	}
	second.do(http.MethodGet, "/workspaces/"+string(second.boot.Workspace)+"/channels", "", http.StatusOK, nil)
	second.end()
}

func TestListenFamily(t *testing.T) {
	for address, want := range map[string]string{"0.0.0.0:80": "tcp4", "127.0.0.1:0": "tcp4", "[::]:80": "tcp", ":80": "tcp", "localhost:80": "tcp"} {
		if got := family(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
