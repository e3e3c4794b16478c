package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/auth"
	"tapedeck/internal/server"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Node is a running server with what a test needs to use it.
type Node struct {
	server.Bootstrap
	URL   string // of the API, without a slash at the end
	SIP   string // address of the SIP agent
	DB    *store.DB
	http  *http.Client
	agent *agent
}

// Start starts a server in a directory of its own. Env is added to the
// environment that it reads its configuration from.
func Start(t testing.TB, env ...string) *Node {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s, stop, err := Serve(t.Context(), data, logTo(t), env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	n := &Node{Bootstrap: s.Bootstrap, URL: "http://" + s.HTTP, SIP: s.SIP, http: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	t.Cleanup(n.http.CloseIdleConnections)
	if n.DB, err = store.Open(t.Context(), store.Options{URL: filepath.Join(data, store.FileName), MustExist: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.DB.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	n.agent = startAgent(t)
	return n
}

// Running is where a server is, and who may use it.
type Running struct {
	server.Bootstrap
	server.Ready
}

// Serve starts a server on free ports of this machine, in a directory, with env
// added to the environment that it reads its configuration from. Stop ends it.
func Serve(ctx context.Context, data string, log *slog.Logger, env ...string) (r Running, stop func() error, err error) {
	config, err := server.LoadConfig(server.Source{
		Env: append([]string{"TAPEDECK_DRAIN_TIMEOUT=5s"}, env...),
		Flags: map[string]string{
			"data": data, "http": "127.0.0.1:0", "sip": "127.0.0.1:0", "rtp-ports": "20000-29999",
		},
	})
	if err != nil {
		return r, nil, err
	}
	s, err := server.New(ctx, server.Options{Config: config, Version: "test", Logger: log})
	if err != nil {
		return r, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1) // sent to once, by Run's goroutine
	go func() { ended <- s.Run(ctx) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	boot, err := server.ReadBootstrap(data)
	if err != nil {
		return r, nil, errors.Join(err, stop())
	}
	return Running{boot, s.Ready()}, stop, nil
}

// logTo shows the server's log when the test fails.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Key makes an access key with the policies.
func (n *Node) Key(t testing.TB, ws voice.WorkspaceID, policies ...voice.Policy) (voice.KeyID, string) {
	t.Helper()
	var key voice.AccessKey
	var secret string
	err := n.DB.Update(t.Context(), func(tx *store.Tx) (err error) {
		key, secret, err = auth.CreateKey(tx, ws, t.Name(), policies, time.Now().UTC())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return key.ID, secret
}

// Tenant makes another workspace with a channel.
func (n *Node) Tenant(t testing.TB, number string) (voice.WorkspaceID, voice.ChannelID) {
	t.Helper()
	ws, ch, at := voice.WorkspaceID(store.NewID()), voice.ChannelID(store.NewID()), time.Now().UTC()
	err := n.DB.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertWorkspace(voice.Workspace{ID: ws, Name: "other", CreatedAt: at, UpdatedAt: at}); err != nil {
			return err
		}
		return tx.InsertChannel(voice.Channel{ID: ch, Workspace: ws, Number: number, CreatedAt: at, UpdatedAt: at})
	})
	if err != nil {
		t.Fatal(err)
	}
	return ws, ch
}

// WorkspacePath is the path of the node's workspace.
func (n *Node) WorkspacePath() string { return "/workspaces/" + string(n.Workspace) }

// ChannelPath is the path of the node's first channel.
func (n *Node) ChannelPath() string { return n.WorkspacePath() + "/channels/" + string(n.Channel) }

// Answer is what the API answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Option changes a request before it is sent.
type Option func(*http.Request)

// With sets a header; an empty value removes it.
func With(name, value string) Option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// Do sends a request with the node's key. A body that is not a string is sent
// as JSON.
func (n *Node) Do(t testing.TB, method, path string, body any, options ...Option) Answer {
	t.Helper()
	text, isText := body.(string)
	if body != nil && !isText {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, n.URL+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AccessKey "+n.AccessKey)
	if text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	return n.send(t, r)
}

func (n *Node) send(t testing.TB, r *http.Request) Answer {
	t.Helper()
	res, err := n.http.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer func() {
		if err := res.Body.Close(); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL, err)
	}
	if res.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", r.Method, r.URL)
	}
	return Answer{res.StatusCode, res.Header, text}
}

// Get returns what is at the path, which must be there.
func (n *Node) Get(t testing.TB, path string) map[string]any {
	t.Helper()
	a := n.Do(t, http.MethodGet, path, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	return a.JSON(t)
}

// JSON reads the answer's object.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(a.Body))
	if err := d.Decode(&object); err != nil {
		t.Fatalf("answer %d is no object: %v in %q", a.Status, err, a.Body)
	}
	return object
}

// Problem checks that the answer is an error of this status and code in the
// error shape, and returns its message and details.
func (a Answer) Problem(t testing.TB, status int, code voice.Code) (message string, details map[string][]string) {
	t.Helper()
	var body struct {
		Code    voice.Code          `json:"code"`
		Message string              `json:"message"`
		Details map[string][]string `json:"details"`
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatalf("answer %d is not in the error shape: %v in %q", a.Status, err, a.Body)
	}
	if a.Status != status || body.Code != code || body.Message == "" || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("answer is %d %s %q, want %d %s", a.Status, a.Header.Get("Content-Type"), a.Body, status, code)
	}
	if (body.Details != nil) != (code == voice.CodeValidationFailed) {
		t.Errorf("details %v with code %s", body.Details, code)
	}
	return body.Message, body.Details
}

// Text returns a string member of an object, by the names on the way to it.
func Text(object map[string]any, names ...string) string {
	var value any = object
	for _, name := range names {
		inner, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = inner[name]
	}
	text, _ := value.(string)
	return text
}
