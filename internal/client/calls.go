package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"tapedeck/internal/voice"
)

// Call is what a client wants to know of a call.
type Call struct {
	ID            voice.CallID       `json:"id"`
	Channel       voice.ChannelID    `json:"channelId"`
	Parent        voice.CallID       `json:"parentId"`
	From          string             `json:"from"`
	To            string             `json:"to"`
	Direction     voice.Direction    `json:"direction"`
	Status        voice.CallStatus   `json:"status"`
	Reason        string             `json:"reason"`
	HangupSource  voice.HangupSource `json:"hangupSource"`
	HangupSIPCode string             `json:"hangupSipCode"`
}

// Recording is what a client wants to know of a recording.
type Recording struct {
	ID         voice.RecordingID        `json:"id"`
	Status     voice.RecordingStatus    `json:"status"`
	EndCause   voice.EndCause           `json:"endCause"`
	Problem    string                   `json:"problem"`
	Call       voice.CallID             `json:"sourceId"`
	Stereo     bool                     `json:"stereo"`
	DurationMs int64                    `json:"durationMs"`
	Size       int64                    `json:"size"`
	SHA256     string                   `json:"sha256"`
	Channels   []voice.RecordingChannel `json:"channels"`

	Channel    voice.ChannelID       `json:"channelId"`
	Origin     voice.RecordingOrigin `json:"origin"`
	Direction  voice.Direction       `json:"direction"`
	Originator Identifier            `json:"originator"`
	Receiver   Identifier            `json:"receiver"`
	CreatedAt  time.Time             `json:"createdAt"`
	StartedAt  *time.Time            `json:"startedAt"`
	EndedAt    *time.Time            `json:"endedAt"`
}

// Identifier is a party of a call.
type Identifier struct {
	Number struct {
		Number string `json:"number"`
	} `json:"number"`
}

// Channel is what a client says of a channel that it makes.
type Channel struct {
	ID      voice.ChannelID `json:"id,omitempty"`
	Name    string          `json:"name,omitempty"`
	Number  string          `json:"number,omitempty"`
	Trunk   *voice.Trunk    `json:"trunk,omitempty"`
	Inbound *voice.Inbound  `json:"inbound,omitempty"`
}

func callPath(ch voice.ChannelID, call voice.CallID) string {
	return "/channels/" + string(ch) + "/calls/" + string(call)
}

// CreateChannel makes a channel.
func (c *Client) CreateChannel(ctx context.Context, in Channel) (out Channel, err error) {
	return out, c.Do(ctx, "POST", "/channels", in, &out)
}

// Call reads a call.
func (c *Client) Call(ctx context.Context, ch voice.ChannelID, id voice.CallID) (out Call, err error) {
	return out, c.Do(ctx, "GET", callPath(ch, id), nil, &out)
}

// CallFrom waits until a channel has a call from a number or user, and returns it.
func (c *Client) CallFrom(ctx context.Context, ch voice.ChannelID, from string) (call Call, err error) {
	path := "/channels/" + string(ch) + "/calls?from=" + url.QueryEscape(from)
	err = Poll(ctx, func() (bool, error) {
		var list struct{ Results []Call }
		if err := c.Do(ctx, "GET", path, nil, &list); err != nil || len(list.Results) == 0 {
			return false, err
		}
		call = list.Results[0]
		return true, nil
	})
	if err != nil {
		return call, fmt.Errorf("wait for a call from %s: %w", from, err)
	}
	return call, nil
}

// Command sends a command without options to a call: answer, ringing, hangup.
func (c *Client) Command(ctx context.Context, ch voice.ChannelID, id voice.CallID, kind voice.CommandKind) error {
	return c.Do(ctx, "POST", callPath(ch, id)+"/"+string(kind), nil, nil)
}

// Bridge connects a call with a second party and returns the new call.
func (c *Client) Bridge(ctx context.Context, ch voice.ChannelID, id voice.CallID, b voice.Bridge) (Call, error) {
	var out struct {
		Call Call `json:"bridgedCall"`
	}
	err := c.Do(ctx, "POST", callPath(ch, id)+"/bridge", b, &out)
	return out.Call, err
}

// Record starts a recording of a call session.
func (c *Client) Record(ctx context.Context, ch voice.ChannelID, id voice.CallID, r voice.RecordCall) (voice.RecordingID, error) {
	var out struct {
		ID voice.RecordingID `json:"recordingId"`
	}
	err := c.Do(ctx, "POST", callPath(ch, id)+"/recordings", r, &out)
	return out.ID, err
}

// Recording reads a recording.
func (c *Client) Recording(ctx context.Context, id voice.RecordingID) (out Recording, err error) {
	return out, c.Do(ctx, "GET", "/recordings/"+string(id), nil, &out)
}

// Recordings reads the newest recordings, 99 at most.
func (c *Client) Recordings(ctx context.Context) ([]Recording, error) {
	var list struct{ Results []Recording }
	return list.Results, c.Do(ctx, "GET", "/recordings?limit=99", nil, &list)
}

// AllRecordings reads every recording of the workspace, newest first.
func (c *Client) AllRecordings(ctx context.Context) (all []Recording, err error) {
	for token := ""; ; {
		var page struct {
			Results []Recording
			Next    string `json:"nextPageToken"`
		}
		if err := c.Do(ctx, "GET", "/recordings?limit=99&pageToken="+url.QueryEscape(token), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Results...)
		if token = page.Next; token == "" {
			return all, nil
		}
	}
}

// Finished waits until nothing will be made of a recording any more. It is no
// error of Finished that the recording is not available then.
func (c *Client) Finished(ctx context.Context, id voice.RecordingID) (r Recording, err error) {
	err = Poll(ctx, func() (bool, error) {
		r, err = c.Recording(ctx, id)
		return r.Status.Terminal(), err
	})
	if err != nil {
		return r, fmt.Errorf("wait for recording %s, which is %s: %w", id, r.Status, err)
	}
	return r, nil
}

// WAV fetches the audio.
func (c *Client) WAV(ctx context.Context, id voice.RecordingID) (out []byte, err error) {
	return out, c.Do(ctx, "GET", "/recordings/"+string(id)+".wav", nil, &out)
}

// Receipt fetches the account of a recording.
func (c *Client) Receipt(ctx context.Context, id voice.RecordingID) (r Receipt, err error) {
	if err := c.Do(ctx, "GET", "/recordings/"+string(id)+"/receipt", nil, &r.Raw); err != nil {
		return r, err
	}
	if err := json.Unmarshal(r.Raw, &r); err != nil {
		return r, fmt.Errorf("receipt of %s: %w", id, err)
	}
	return r, nil
}

// Receipt is what a client wants to know of the account of a recording.
type Receipt struct {
	Raw      []byte         `json:"-"`
	EndCause voice.EndCause `json:"endCause"`
	Complete bool           `json:"complete"`
	Rate     int            `json:"sampleRate"`
	Channels int            `json:"channels"`
	Samples  int64          `json:"samples"`
	Software string         `json:"software"`
	Tracks   []TrackReceipt `json:"tracks"`
	Gaps     []struct {
		Lost uint64 `json:"lost"`
	} `json:"gaps"`
	File struct {
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"file"`
	Journal struct {
		CorruptParts int64 `json:"corruptParts"`
		TornBytes    int64 `json:"tornBytes"`
	} `json:"journal"`
}

// TrackReceipt is the account of one party. Counts are packets.
type TrackReceipt struct {
	Call        voice.CallID `json:"callId"`
	Party       string       `json:"party"`
	Role        voice.Role   `json:"role"`
	Side        int          `json:"channel"`
	NoMedia     bool         `json:"no_media"`
	Received    int64        `json:"received"`
	Lost        int64        `json:"lost"`
	Late        int64        `json:"late"`
	Duplicate   int64        `json:"duplicate"`
	Stray       int64        `json:"stray"`
	ConcealedMs int64        `json:"concealedMs"`
	SilenceMs   int64        `json:"silenceMs"`
	DriftPPM    float64      `json:"driftPpm"`
}
