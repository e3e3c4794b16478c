package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"tapedeck/internal/voice"
)

// Filter selects recordings. Zero members select everything.
type Filter struct {
	Channel      voice.ChannelID
	Call         voice.CallID
	Status       voice.RecordingStatus
	Direction    voice.Direction
	From, To     string    // parties of the call
	Since, Until time.Time // of its creation
}

// query is the filter as the API has it.
func (f Filter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"channelId": string(f.Channel), "sourceId": string(f.Call), "status": string(f.Status),
		"direction": string(f.Direction), "from": f.From, "to": f.To,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"startAt": f.Since, "endAt": f.Until} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return q
}

// maxPage is the most that the API gives at once.
const maxPage = 99

// FindRecordings reads the newest recordings that the filter selects, limit at
// most, page by page.
func (c *Client) FindRecordings(ctx context.Context, f Filter, limit int) ([]Recording, error) {
	q := f.query()
	out := []Recording{}
	for limit > len(out) {
		q.Set("limit", strconv.Itoa(min(limit-len(out), maxPage)))
		var page struct {
			Results       []Recording
			NextPageToken string
		}
		if err := c.Do(ctx, "GET", "/recordings?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Results...)
		if page.NextPageToken == "" {
			break
		}
		q.Set("pageToken", page.NextPageToken)
	}
	return out, nil
}

// DeleteRecording deletes the audio of a recording; its receipt stays.
func (c *Client) DeleteRecording(ctx context.Context, id voice.RecordingID) error {
	return c.Do(ctx, "DELETE", "/recordings/"+string(id), nil, nil)
}

// ReceiptKey is the public key that receipts are verified with.
type ReceiptKey struct {
	Algorithm string `json:"algorithm"`
	KeyID     string `json:"keyId"`
	PublicKey string `json:"publicKey"` // base64
	PEM       string `json:"pem"`
}

// ReceiptKey reads the public key of the server.
func (c *Client) ReceiptKey(ctx context.Context) (out ReceiptKey, err error) {
	return out, c.do(ctx, "GET", c.root+"/receipt-key", nil, &out)
}

// Rendering says what is to be made of a recording's journal.
type Rendering struct {
	Stereo *bool             `json:"stereo,omitempty"` // nil = as the recording was asked for
	Swap   bool              `json:"swap,omitempty"`
	Format voice.AudioFormat `json:"format,omitempty"`
}

// Render is a file that was made of a recording beside its master.
type Render struct {
	ID         string            `json:"id"`
	Recording  voice.RecordingID `json:"recordingId"`
	Status     string            `json:"status"` // accepted, available, failed
	Problem    string            `json:"problem,omitempty"`
	Stereo     bool              `json:"stereo"`
	Swap       bool              `json:"swap"`
	Format     voice.AudioFormat `json:"format"`
	DurationMs int64             `json:"durationMs,omitempty"`
	Size       int64             `json:"size,omitempty"`
	SHA256     string            `json:"sha256,omitempty"`
}

// Path is where a render is, below the workspace.
func (r *Render) Path() string { return "/recordings/" + string(r.Recording) + "/renders/" + r.ID }

// Render asks for a recording to be rendered again.
func (c *Client) Render(ctx context.Context, id voice.RecordingID, in Rendering) (out Render, err error) {
	return out, c.Do(ctx, "POST", "/recordings/"+string(id)+"/renders", in, &out)
}

// Rendered waits until a render is made or has failed. It is no error of
// Rendered that it has.
func (c *Client) Rendered(ctx context.Context, r Render) (Render, error) {
	err := Poll(ctx, func() (bool, error) {
		var now Render
		if err := c.Do(ctx, "GET", r.Path(), nil, &now); err != nil {
			return false, err
		}
		r = now
		return r.Status != string(voice.RenderAccepted), nil
	})
	return r, err
}
