package client

import (
	"context"
	"encoding/json"
	"fmt"

	"tapedeck/internal/receipt"
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

// Verify proves that the receipt is signed with the server's key, byte for byte,
// and that the file which was fetched is the one of which it speaks. The key
// should be known from before (GetReceiptKey): who could change the receipt could
// bring another. That the sound is what the packets held is proved by `tapedeck
// recording verify`.
func (r *Receipt) Verify(key *ReceiptKey, file Downloaded) error {
	public, err := receipt.ParsePublicKey([]byte(key.PEM))
	if err != nil {
		return fmt.Errorf("the server's key: %w", err)
	}
	signed, err := receipt.Parse(r.Raw)
	if err != nil {
		return fmt.Errorf("the receipt: %w", err)
	}
	if err := signed.VerifyBy(public); err != nil {
		return fmt.Errorf("the receipt: %w", err)
	}
	var said Receipt // what is signed, whoever changed the fields
	if err := json.Unmarshal(signed.Document, &said); err != nil {
		return fmt.Errorf("the receipt: %w", err)
	}
	if file.Size != said.File.Size || file.SHA256 != said.File.SHA256 {
		return fmt.Errorf("%w: %d bytes with the SHA-256 %s, the receipt is of %d with %s", ErrDamaged, file.Size, file.SHA256, said.File.Size, said.File.SHA256)
	}
	return nil
}
