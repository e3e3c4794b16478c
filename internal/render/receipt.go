package render

import (
	"time"

	"tapedeck/internal/voice"
)

// ReceiptVersion is the version of the receipt's shape.
const ReceiptVersion = 1

// Receipt is the account of what a file holds and what it lacks. Its JSON is
// described in docs/format/receipt.md. Positions are samples of the file, per
// channel; a paused span that was left out has no samples.
type Receipt struct {
	Version   int               `json:"version"`
	Recording voice.RecordingID `json:"recordingId"`
	Workspace voice.WorkspaceID `json:"workspaceId,omitempty"`
	Channel   voice.ChannelID   `json:"channelId,omitempty"`
	Call      voice.CallID      `json:"callId"`
	Software  string            `json:"software,omitempty"`

	Start    time.Time      `json:"start"` // wall time of the first sample
	End      time.Time      `json:"end"`   // wall time at which capture ended
	EndCause voice.EndCause `json:"endCause,omitempty"`
	Complete bool           `json:"complete"` // capture was stopped and nothing of the journal is damaged or missing

	SampleRate int                      `json:"sampleRate"`
	Channels   int                      `json:"channels"`
	Samples    int64                    `json:"samples"` // per channel
	DurationMs int64                    `json:"durationMs"`
	Parties    []voice.RecordingChannel `json:"parties"`

	Tracks []TrackReceipt `json:"tracks"`
	Pauses []PauseSpan    `json:"pauses,omitempty"`
	Gaps   []GapSpan      `json:"gaps,omitempty"`

	File    FileDigest    `json:"file"`
	Journal JournalDigest `json:"journal"`
}

// Duration is the length of the file.
func (r *Receipt) Duration() time.Duration { return time.Duration(r.DurationMs) * time.Millisecond }

// TrackReceipt is the account of one track: what one party said. Counts are
// packets.
type TrackReceipt struct {
	Track   int          `json:"track"`
	Call    voice.CallID `json:"callId"`
	Party   string       `json:"party"`
	Role    voice.Role   `json:"role"`
	Side    int          `json:"channel"` // of the file; 0 = first (left)
	NoMedia bool         `json:"no_media"`

	Received    int64 `json:"received"`    // of audio, each once
	Lost        int64 `json:"lost"`        // by sequence number, never arrived
	Late        int64 `json:"late"`        // arrived after a later one, and were put in their place
	Duplicate   int64 `json:"duplicate"`   // arrived again, dropped
	Stray       int64 `json:"stray"`       // belong to no stream of this track, dropped
	Undecodable int64 `json:"undecodable"` // no decoder, or not decodable
	OtherAudio  int64 `json:"otherPackets"`

	ConcealedMs int64   `json:"concealedMs"`
	AudioMs     int64   `json:"audioMs"` // of the file that hold this track's audio
	SilenceMs   int64   `json:"silenceMs"`
	DriftPPM    float64 `json:"driftPpm"` // of the sender's clock against ours; of the longest stream

	Silence     []SilenceSpan `json:"silence,omitempty"`
	MoreSilence int64         `json:"moreSilence,omitempty"` // spans not listed
	Streams     []Stream      `json:"streams,omitempty"`     // SSRC changes and new anchors
	MoreStreams int64         `json:"moreStreams,omitempty"`
	Codecs      []CodecChange `json:"codecs,omitempty"`
	MoreCodecs  int64         `json:"moreCodecs,omitempty"`
}

// SilenceReason says why a span of a track is silent in the file.
type SilenceReason string

// The reasons.
const (
	SilenceNoPackets   SilenceReason = "no-packets"
	SilencePaused      SilenceReason = "paused"
	SilenceNotBridged  SilenceReason = "not-bridged"
	SilenceUndecodable SilenceReason = "undecodable"
)

// SilenceSpan is a silent part of a track.
type SilenceSpan struct {
	Start  int64         `json:"start"`  // sample
	Length int64         `json:"length"` // samples
	Reason SilenceReason `json:"reason"`
}

// Stream is a run of packets on one RTP clock.
type Stream struct {
	SSRC     uint32  `json:"ssrc"`
	Start    int64   `json:"start"` // sample
	Packets  int64   `json:"packets"`
	DriftPPM float64 `json:"driftPpm"`
}

// CodecChange is the codec of a track's audio from a sample on.
type CodecChange struct {
	Start       int64  `json:"start"`
	PayloadType uint8  `json:"payloadType"`
	Name        string `json:"name"`
	ClockRate   int    `json:"clockRate"`
}

// PauseSpan is a time in which nothing was recorded, by request.
type PauseSpan struct {
	StartMs  int64               `json:"startMs"`        // since the first sample, by the session's clock
	EndMs    int64               `json:"endMs"`          // likewise
	Sample   int64               `json:"sample"`         // of the file, where the span begins
	Length   int64               `json:"length"`         // samples of silence in the file; 0 when left out
	Behavior voice.PauseBehavior `json:"pauseBehavior"`  //
	Open     bool                `json:"open,omitempty"` // the recording ended paused
}

// GapSpan is a time in which packets arrived that were not kept.
type GapSpan struct {
	StartMs int64  `json:"startMs"`
	EndMs   int64  `json:"endMs"`
	Lost    uint64 `json:"lost"`
}

// FileDigest identifies the audio file.
type FileDigest struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// JournalDigest identifies the journal that the file was made from.
type JournalDigest struct {
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
	Blocks       int64  `json:"blocks"`
	CorruptParts int64  `json:"corruptParts"`
	CorruptBytes int64  `json:"corruptBytes"`
	TornBytes    int64  `json:"tornBytes"`
}
