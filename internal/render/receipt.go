package render

import (
	"slices"
	"time"

	"tapedeck/internal/journal"
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
	Masked   bool           `json:"digitsMasked,omitempty"` // no key that a party pressed is in the journal
	Complete bool           `json:"complete"`               // capture was stopped and nothing of the journal is damaged or missing

	SampleRate int                      `json:"sampleRate"`
	Channels   int                      `json:"channels"`
	Samples    int64                    `json:"samples"` // per channel
	DurationMs int64                    `json:"durationMs"`
	Swapped    bool                     `json:"swapped,omitempty"` // left and right are exchanged against the usual
	Parties    []voice.RecordingChannel `json:"parties"`

	Tracks []TrackReceipt `json:"tracks"`
	Pauses []PauseSpan    `json:"pauses,omitempty"`
	Gaps   []GapSpan      `json:"gaps,omitempty"`

	MorePauses int64 `json:"morePauses,omitempty"` // not listed
	MoreGaps   int64 `json:"moreGaps,omitempty"`

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
	// Uncertain: what says whose track this is was in a damaged part of the journal.
	Uncertain bool `json:"attribution_uncertain,omitempty"`

	Received    int64 `json:"received"`    // of audio, each counted once
	Lost        int64 `json:"lost"`        // by sequence number, never arrived
	Late        int64 `json:"late"`        // arrived after a later one, and were put in their place
	Duplicate   int64 `json:"duplicate"`   // arrived again, dropped
	Stray       int64 `json:"stray"`       // belong to no stream of this track, dropped
	Undecodable int64 `json:"undecodable"` // no decoder, or not decodable
	// Unheard counts what came to the party's ports and was no packet of its; nil =
	// nothing, or the journal does not say.
	Unheard *journal.Unheard `json:"unheard,omitempty"`
	Other   int64            `json:"other"` // carry no audio: digits, comfort noise

	ConcealedMs int64   `json:"concealedMs"`
	OverlaidMs  int64   `json:"overlaidMs,omitempty"` // received, and gave way to what was received for the same time
	AudioMs     int64   `json:"audioMs"`              // of the file that hold this track's audio
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
	// SilenceComfortNoise: the party described its silence, and noise stands for it.
	SilenceComfortNoise SilenceReason = "comfort-noise"
	// SilenceNotRecorded: packets may have come that the recorder did not keep, or
	// whose bytes in the journal are damaged. See Receipt.Gaps.
	SilenceNotRecorded SilenceReason = "not-recorded"
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
	Damaged bool   `json:"damaged,omitempty"` // the bytes of the journal are damaged; how many packets were in them is not known
	Tail    bool   `json:"tail,omitempty"`    // capture went on after the file's end, and nothing of it reached the disk
}

// FileDigest identifies the audio file.
type FileDigest struct {
	Format voice.AudioFormat `json:"format,omitempty"` // absent for WAV
	Size   int64             `json:"size"`
	SHA256 string            `json:"sha256"`
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

// receipt makes the account of what was written.
func (r *renderer) receipt() Receipt {
	p := r.plan
	length := p.End - p.Begin
	out := Receipt{
		Version:    ReceiptVersion,
		Recording:  voice.RecordingID(p.header.Recording),
		Workspace:  voice.WorkspaceID(p.header.Workspace),
		Channel:    voice.ChannelID(p.header.Channel),
		Call:       voice.CallID(p.header.Call),
		Software:   p.layout.Software,
		Start:      p.Wall,
		End:        p.Wall.Add(length),
		EndCause:   p.EndCause,
		Masked:     p.header.Masked,
		SampleRate: p.SampleRate,
		Channels:   p.Channels,
		Swapped:    p.Swapped,
		Samples:    r.file,
		DurationMs: (r.file*1000 + int64(p.SampleRate)/2) / int64(p.SampleRate),
		Parties:    []voice.RecordingChannel{},
		Tracks:     []TrackReceipt{},
		Journal:    p.digest,
	}
	for _, v := range r.voices {
		out.Tracks = append(out.Tracks, v.finish())
		out.party(v.plan)
	}
	for _, pause := range p.Pauses {
		out.pause(p, pause)
	}
	for _, g := range p.Gaps {
		if len(out.Gaps) >= maxListed {
			out.MoreGaps++
			continue
		}
		out.Gaps = append(out.Gaps, GapSpan{
			StartMs: max(0, p.sinceBegin(g.From)), EndMs: max(0, p.sinceBegin(g.To)), Lost: g.Lost, Damaged: g.Damaged, Tail: g.Tail,
		})
	}
	out.Complete = p.Stopped && p.digest.CorruptParts == 0 && p.digest.TornBytes == 0 && len(p.Gaps) == 0
	return out
}

// party lists whose voice a side of the file holds, each once.
func (r *Receipt) party(t *TrackPlan) {
	c := voice.RecordingChannel{Channel: t.Side, Party: t.Party, Call: t.Call, Role: t.Role}
	if !slices.Contains(r.Parties, c) && len(r.Parties) < maxListed {
		r.Parties = append(r.Parties, c)
	}
}

func (r *Receipt) pause(p *Plan, pause Pause) {
	if len(r.Pauses) >= maxListed {
		r.MorePauses++
		return
	}
	from, to := p.session(pause.From), p.session(pause.To)
	s := PauseSpan{
		StartMs: p.sinceBegin(pause.From), EndMs: p.sinceBegin(pause.To),
		Sample: p.fileSample(from), Behavior: pause.Behavior, Open: pause.Open,
	}
	if pause.Behavior != voice.PauseSkip {
		s.Length = min(to-from, max(0, p.Samples-s.Sample))
	}
	r.Pauses = append(r.Pauses, s)
}

func (p *Plan) sinceBegin(at time.Duration) int64 { return (at - p.Begin).Milliseconds() }
