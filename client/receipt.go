package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// Receipt is the account of what a recording holds: what programs read of it most.
// All of it is in Raw; docs/format/receipt.md describes it.
type Receipt struct {
	Raw      []byte         `json:"-"` // as it was signed, byte for byte
	EndCause EndCause       `json:"endCause"`
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
	Call        CallID               `json:"callId"`
	Party       string               `json:"party"`
	Role        RecordingChannelRole `json:"role"`
	Side        int                  `json:"channel"`
	NoMedia     bool                 `json:"no_media"`
	Received    int64                `json:"received"`
	Lost        int64                `json:"lost"`
	Late        int64                `json:"late"`
	Duplicate   int64                `json:"duplicate"`
	Stray       int64                `json:"stray"`
	ConcealedMs int64                `json:"concealedMs"`
	SilenceMs   int64                `json:"silenceMs"`
	DriftPPM    float64              `json:"driftPpm"`
}

// Receipt fetches the account of a recording.
func (c *Client) Receipt(ctx context.Context, id RecordingID) (*Receipt, error) {
	raw, err := c.GetRecordingReceipt(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &Receipt{Raw: raw}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("receipt of %s: %w", id, err)
	}
	return r, nil
}
