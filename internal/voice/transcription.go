package voice

import (
	"fmt"
	"strings"
	"time"
)

// TranscriptionStatus is where a transcription stands.
type TranscriptionStatus string

// The states of a transcription:
//
//	accepted → ongoing → available | absent | failed
//
// Absent is a transcription of a recording that has no audio, or whose audio was
// deleted: its text is gone with it.
const (
	TranscriptionAccepted  TranscriptionStatus = "accepted"
	TranscriptionOngoing   TranscriptionStatus = "ongoing"
	TranscriptionAvailable TranscriptionStatus = "available"
	TranscriptionAbsent    TranscriptionStatus = "absent"
	TranscriptionFailed    TranscriptionStatus = "failed"
)

// TranscriptionStatuses lists every status.
func TranscriptionStatuses() []TranscriptionStatus {
	return []TranscriptionStatus{
		TranscriptionAccepted, TranscriptionOngoing, TranscriptionAvailable, TranscriptionAbsent, TranscriptionFailed,
	}
}

// Terminal reports whether nothing will be made of the transcription any more.
func (s TranscriptionStatus) Terminal() bool {
	return s == TranscriptionAvailable || s == TranscriptionAbsent || s == TranscriptionFailed
}

// MayFollow reports whether a transcription may go from a status to this one.
// One that is being made goes back to accepted when the server restarts.
func (s TranscriptionStatus) MayFollow(from TranscriptionStatus) bool {
	switch from {
	case TranscriptionAccepted:
		return s != TranscriptionAccepted && s != TranscriptionAvailable
	case TranscriptionOngoing:
		return s != TranscriptionOngoing
	case TranscriptionAvailable, TranscriptionFailed:
		return s == TranscriptionAbsent
	}
	return false
}

// Segment is a stretch of speech with its words.
type Segment struct {
	Channel int    `json:"channel"` // 0 = first (left); 0 for a recording with one channel
	StartMs int64  `json:"startMs"` // in the file
	EndMs   int64  `json:"endMs"`
	Text    string `json:"text"`
}

// Transcription is what was said in a recording.
type Transcription struct {
	ID        TranscriptionID     `json:",omitzero"`
	Workspace WorkspaceID         `json:",omitzero"`
	Recording RecordingID         `json:",omitzero"`
	Call      CallID              `json:",omitzero"`
	Channel   ChannelID           `json:",omitzero"`
	Status    TranscriptionStatus `json:",omitzero"`
	Problem   string              `json:",omitzero"` // why it failed, or why it is tried again
	Stereo    bool                `json:",omitzero"` // each side was listened to on its own
	Locale    string              `json:",omitzero"`
	Summary   string              `json:",omitzero"` // the first words of it
	Segments  []Segment           `json:",omitzero"` // by their beginning

	CreatedAt, UpdatedAt time.Time `json:",omitzero"`
}

// NewTranscription is one that is to be made of a recording.
func NewTranscription(id TranscriptionID, r *Recording, locale string, now time.Time) Transcription {
	return Transcription{
		ID: id, Workspace: r.Workspace, Recording: r.ID, Call: r.Call, Channel: r.Channel,
		Status: TranscriptionAccepted, Stereo: r.Stereo, Locale: locale, CreatedAt: now, UpdatedAt: now,
	}
}

// JobTranscribe is the kind of the job that makes a transcription. Its reference
// is Transcription.Ref.
const JobTranscribe = "transcribe"

// Ref names the transcription for a job, with its workspace.
func (t *Transcription) Ref() string { return string(t.Workspace) + "/" + string(t.ID) }

// SplitTranscriptionRef takes a reference apart.
func SplitTranscriptionRef(ref string) (WorkspaceID, TranscriptionID, error) {
	ws, id, found := strings.Cut(ref, "/")
	if !found || ws == "" || id == "" {
		return "", "", fmt.Errorf("%q does not name a transcription", ref)
	}
	return WorkspaceID(ws), TranscriptionID(id), nil
}

// TranscriptionFilter selects transcriptions for a list. Zero members select
// everything.
type TranscriptionFilter struct {
	Workspace WorkspaceID
	Recording RecordingID
	Status    TranscriptionStatus
	Page
}

// TextFormat is a form in which a transcription can be had. The list is closed.
type TextFormat string

// The formats: the segments as JSON, plain text, and the two kinds of subtitles.
const (
	TextJSON  TextFormat = "json"
	TextPlain TextFormat = "txt"
	TextSRT   TextFormat = "srt"
	TextVTT   TextFormat = "vtt"
)

// TextFormats lists every format.
func TextFormats() []TextFormat { return []TextFormat{TextJSON, TextPlain, TextSRT, TextVTT} }

// ParseTextFormat reads a format by its name.
func ParseTextFormat(s string) (TextFormat, error) {
	for _, f := range TextFormats() {
		if string(f) == s {
			return f, nil
		}
	}
	return "", fmt.Errorf("%q is no format of a transcription: it is one of json, txt, srt, vtt", s)
}

// ContentType is the media type of the format. SRT has none that is registered.
func (f TextFormat) ContentType() string {
	switch f {
	case TextJSON:
		return "application/json"
	case TextPlain:
		return "text/plain; charset=utf-8"
	case TextSRT:
		return "application/x-subrip"
	case TextVTT:
		return "text/vtt; charset=utf-8"
	}
	return ""
}
