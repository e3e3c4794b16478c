package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// UploadMedia is POST /workspaces/{workspaceId}/media: it uploads an audio file
// (WAV, MP3, Ogg or FLAC) to be played as "media:" and its id. It is tried once.
func (c *Client) UploadMedia(ctx context.Context, params UploadMediaParams, audio io.Reader) (out *Media, err error) {
	r := request{method: http.MethodPost, path: "/workspaces/{workspaceId}/media", ids: []string{c.workspace}}
	r.query("name", params.Name)
	to, err := r.address(c.root)
	if err != nil {
		return nil, err
	}
	ctx, alive, stop := c.watch(ctx)
	defer func() { err = stop(err) }()
	req, err := http.NewRequestWithContext(ctx, r.method, to, io.NopCloser(&watched{audio, alive}))
	if err != nil {
		return nil, err
	}
	c.header(req)
	req.Header.Set("Content-Type", "application/octet-stream") // the server looks what it is
	req.Header.Set("Idempotency-Key", rand.Text())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.called(r.method, to), err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("%s: %w", c.called(r.method, to), refusal(resp))
	}
	out = &Media{}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("%s: the answer is no JSON of ours: %w", c.called(r.method, to), err)
	}
	return out, nil
}

// watched tells that something is read.
type watched struct {
	io.Reader
	alive func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.alive()
	return w.Reader.Read(p)
}
