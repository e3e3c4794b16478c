package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Options say whom to call, and who calls.
type Options struct {
	BaseURL   string // of the server; host:port alone is http
	AccessKey string
	Workspace WorkspaceID
	// Timeout of one attempt; of a stream or a download: how long nothing may come.
	// Default 30 s.
	Timeout time.Duration
	// Attempts is how often a request is sent at most, when the server has no room
	// or cannot be reached and sending it again does nothing twice. Default 4.
	Attempts int
	// Pause before the second attempt; each further one is twice as long. The
	// server's Retry-After takes its place. Default 500 ms.
	Pause time.Duration
	// Transport carries the requests. Default: one of its own, that goes through the
	// proxies of the environment.
	Transport http.RoundTripper
	UserAgent string // default tapedeck-client
}

// Client calls the API of one workspace.
type Client struct {
	o         Options
	http      *http.Client // its requests end by their context
	root      string       // without a slash at the end
	workspace string
}

// New makes a client. It connects when it is first used.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.Pause == 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.UserAgent == "" {
		o.UserAgent = "tapedeck-client"
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConnsPerHost: 16, Proxy: http.ProxyFromEnvironment}
	}
	root := strings.TrimSuffix(o.BaseURL, "/")
	if !strings.Contains(root, "://") {
		root = "http://" + root
	}
	return &Client{o: o, http: &http.Client{Transport: o.Transport}, root: root, workspace: o.Workspace}
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// header sets what every request carries.
func (c *Client) header(r *http.Request) {
	r.Header.Set("Authorization", "AccessKey "+c.o.AccessKey)
	r.Header.Set("User-Agent", c.o.UserAgent)
}

// called is a request as errors name it: without what all have in common.
func (c *Client) called(method, url string) string {
	url = strings.TrimPrefix(url, c.root)
	if rest, ok := strings.CutPrefix(url, "/workspaces/"+c.workspace); ok {
		url = rest
	}
	return method + " " + url
}

// every and seldom are how often a thing that takes time is looked at, at first
// and later on.
const (
	every  = 10 * time.Millisecond
	seldom = 250 * time.Millisecond
)

// Poll calls look until it reports true or fails, or ctx ends: often at first,
// four times a second later on.
func Poll(ctx context.Context, look func() (bool, error)) error {
	for wait := every; ; wait = min(wait+wait/4, seldom) {
		ok, err := look()
		if ok || err != nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// WaitForRecording waits until nothing will become of a recording any more. It is
// no error of WaitForRecording that it is not available then.
func (c *Client) WaitForRecording(ctx context.Context, id RecordingID) (r *Recording, err error) {
	err = Poll(ctx, func() (bool, error) {
		now, err := c.GetRecording(ctx, id)
		if err == nil {
			r = now
		}
		return err == nil && now.Status.Final(), err
	})
	if err != nil && r != nil {
		return r, fmt.Errorf("wait for recording %s, which is %s: %w", id, r.Status, err)
	}
	return r, err
}

// WaitForRender waits until a render is made or has failed.
func (c *Client) WaitForRender(ctx context.Context, recording RecordingID, id RenderID) (r *Render, err error) {
	err = Poll(ctx, func() (bool, error) {
		r, err = c.GetRender(ctx, recording, id)
		return err == nil && r.Status != RenderStatusAccepted, err
	})
	return r, err
}

// WaitForTranscription waits until a transcription has its text or never will.
func (c *Client) WaitForTranscription(ctx context.Context, id TranscriptionID) (t *Transcription, err error) {
	err = Poll(ctx, func() (bool, error) {
		t, err = c.GetTranscription(ctx, id, GetTranscriptionParams{})
		return err == nil && t.Status.Final(), err
	})
	return t, err
}

// Final reports that nothing more becomes of a recording, but that its audio may
// be deleted.
func (s RecordingStatus) Final() bool {
	return s == RecordingStatusAvailable || s == RecordingStatusAbsent || s == RecordingStatusFailed
}

// Final reports that nothing more becomes of a transcription.
func (s TranscriptionStatus) Final() bool {
	return s == TranscriptionStatusAvailable || s == TranscriptionStatusAbsent || s == TranscriptionStatusFailed
}

// Final reports that a call has ended.
func (s CallStatus) Final() bool {
	switch s {
	case CallStatusCompleted, CallStatusNoAnswer, CallStatusBusy, CallStatusFailed, CallStatusCancelled:
		return true
	}
	return false
}
