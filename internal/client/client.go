package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/voice"
)

// Options say whom to call.
type Options struct {
	Address   string // of the server, host:port or URL
	Key       string // access key
	Workspace voice.WorkspaceID
	// Timeout of one request; of a download: how long nothing may come. Default 30 s.
	Timeout time.Duration
	// Pause before a download goes on after a fault, or asks again for a file that
	// is being made. Default 1 s.
	Pause time.Duration
}

// Client calls the API of one workspace.
type Client struct {
	http  *http.Client
	files *http.Client // without a limit for the whole
	o     Options
	base  string // of the workspace, without a slash at the end
	root  string
	key   string
}

// New makes a client. It connects when it is first used.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	root := strings.TrimSuffix(o.Address, "/")
	if !strings.Contains(root, "://") {
		root = "http://" + root
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, Proxy: http.ProxyFromEnvironment}
	return &Client{
		http: &http.Client{Timeout: o.Timeout, Transport: transport}, files: &http.Client{Transport: transport}, o: o,
		root: root, base: root + "/workspaces/" + string(o.Workspace), key: o.Key,
	}
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer of the server that is no success.
type Error struct {
	Status  int
	Code    voice.Code     `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
	Body    []byte         `json:"-"`
}

// maxShown is how much is shown of an answer that is not ours: enough to tell
// whose it is.
const maxShown = 200

// Error says what was asked and what came, with what is wrong with each member
// of the request.
func (e *Error) Error() string {
	if e.Code == "" {
		body := bytes.TrimSpace(e.Body)
		if len(body) > maxShown {
			body = append(body[:maxShown:maxShown], "…"...)
		}
		return fmt.Sprintf("%s: %q", strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))), body)
	}
	text := fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
	for _, member := range slices.Sorted(maps.Keys(e.Details)) {
		faults, ok := e.Details[member].([]any) // as the contract has it
		if !ok {
			faults = []any{e.Details[member]}
		}
		for _, fault := range faults {
			text += fmt.Sprintf("; %s %v", member, fault)
		}
	}
	return text
}

// maxBody is the most that is read of an answer that is kept in memory.
const maxBody = 1 << 30

// Do sends a request below the workspace, such as POST /channels/…, and reads
// the answer into out. In and out may be nil; an in of []byte is sent as it is.
// An answer of 400 or more is an *Error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.do(ctx, method, c.base+path, in, out)
}

func (c *Client) do(ctx context.Context, method, url string, in, out any) error {
	var body []byte
	switch in := in.(type) {
	case nil:
	case []byte:
		body = in
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = b
	}
	status, answer, err := c.send(ctx, method, url, body)
	if err != nil {
		return err
	}
	if status >= 400 {
		return fmt.Errorf("%s %s: %w", method, strings.TrimPrefix(url, c.base), refusal(status, answer))
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = answer
		return nil
	default:
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("%s %s: the answer is no JSON of ours: %w", method, url, err)
		}
		return nil
	}
}

// refusal reads an answer that is no success.
func refusal(status int, answer []byte) *Error {
	e := &Error{Status: status, Body: answer}
	if err := json.Unmarshal(answer, e); err != nil {
		e.Code = "" // not an answer of ours: the body says what there is to say
	}
	return e
}

func (c *Client) send(ctx context.Context, method, url string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "AccessKey "+c.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, answer, err
}

// every is how often a thing that takes time is looked at.
const every = 10 * time.Millisecond

// Poll calls look until it reports true or fails, or ctx ends.
func Poll(ctx context.Context, look func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := look()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
