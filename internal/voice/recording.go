package voice

import (
	"fmt"
	"strings"
	"time"
)

// RecordingStatus is where a recording stands.
type RecordingStatus string

// The states of a recording:
//
//	accepted → ongoing ⇄ paused → completed → available | absent | failed
//
// Completed means that capture ended and the file is being made. The last
// three are final, but for the deletion of a file, which makes it absent.
const (
	RecordingAccepted  RecordingStatus = "accepted"
	RecordingOngoing   RecordingStatus = "ongoing"
	RecordingPaused    RecordingStatus = "paused"
	RecordingCompleted RecordingStatus = "completed"
	RecordingAvailable RecordingStatus = "available"
	RecordingAbsent    RecordingStatus = "absent"
	RecordingFailed    RecordingStatus = "failed"
)

// RecordingStatuses lists every recording status.
func RecordingStatuses() []RecordingStatus {
	return []RecordingStatus{
		RecordingAccepted, RecordingOngoing, RecordingPaused, RecordingCompleted,
		RecordingAvailable, RecordingAbsent, RecordingFailed,
	}
}

// Terminal reports whether nothing will be made of the recording any more.
func (s RecordingStatus) Terminal() bool {
	return s == RecordingAvailable || s == RecordingAbsent || s == RecordingFailed
}

// Capturing reports whether the recording may still take audio.
func (s RecordingStatus) Capturing() bool {
	return s == RecordingAccepted || s == RecordingOngoing || s == RecordingPaused
}

// RecordingEvent moves a recording from one status to the next.
type RecordingEvent string

// The events in a recording's life.
const (
	RecordingStart   RecordingEvent = "start"   // capture began
	RecordingPause   RecordingEvent = "pause"   // the gate was shut
	RecordingResume  RecordingEvent = "resume"  // the gate was opened again
	RecordingEnd     RecordingEvent = "end"     // capture ended with something to render
	RecordingPublish RecordingEvent = "publish" // the file is safe
	RecordingLose    RecordingEvent = "lose"    // there is nothing to make a file of
	RecordingFail    RecordingEvent = "fail"    // the file cannot be made
	RecordingDelete  RecordingEvent = "delete"  // the audio was deleted
)

// RecordingEvents lists every event.
func RecordingEvents() []RecordingEvent {
	return []RecordingEvent{
		RecordingStart, RecordingPause, RecordingResume, RecordingEnd,
		RecordingPublish, RecordingLose, RecordingFail, RecordingDelete,
	}
}

// Next is the whole state machine of a recording. An event that does not fit
// the status is an error and leaves the recording where it is.
func (s RecordingStatus) Next(e RecordingEvent) (RecordingStatus, error) {
	switch e {
	case RecordingStart:
		if s == RecordingAccepted {
			return RecordingOngoing, nil
		}
	case RecordingPause:
		if s == RecordingOngoing {
			return RecordingPaused, nil
		}
	case RecordingResume:
		if s == RecordingPaused {
			return RecordingOngoing, nil
		}
	case RecordingEnd:
		if s == RecordingOngoing || s == RecordingPaused {
			return RecordingCompleted, nil
		}
	case RecordingPublish:
		if s == RecordingCompleted {
			return RecordingAvailable, nil
		}
	case RecordingLose:
		if s == RecordingAccepted || s == RecordingCompleted {
			return RecordingAbsent, nil
		}
	case RecordingFail:
		if !s.Terminal() {
			return RecordingFailed, nil
		}
	case RecordingDelete:
		if s.Terminal() {
			return RecordingAbsent, nil
		}
	}
	return s, fmt.Errorf("recording is %s: it cannot %s", s, e)
}

// RecordingOrigin says what asked for a recording.
type RecordingOrigin string

// The origins of a recording.
const (
	OriginCommandRecord     RecordingOrigin = "call-command-record"
	OriginCommandRecordCall RecordingOrigin = "call-command-record-call"
	OriginCreateCall        RecordingOrigin = "create-call"
	OriginBridgeCall        RecordingOrigin = "bridge-call"
)

// EndCause says why a recording ended. The list is closed.
type EndCause string

// The causes of a recording's end.
const (
	EndCallEnded     EndCause = "call-ended"
	EndMaxLength     EndCause = "max-length"
	EndStopped       EndCause = "stopped"
	EndNotAnswered   EndCause = "not-answered"
	EndNoMedia       EndCause = "no-media"
	EndNodeLost      EndCause = "node-lost"
	EndStorageFailed EndCause = "storage-failed"
	EndDeleted       EndCause = "deleted"
)

// EndCauses lists every end cause.
func EndCauses() []EndCause {
	return []EndCause{
		EndCallEnded, EndMaxLength, EndStopped, EndNotAnswered,
		EndNoMedia, EndNodeLost, EndStorageFailed, EndDeleted,
	}
}

// PauseBehavior says what a paused span becomes in the file.
type PauseBehavior string

// A paused span is silence of the same length, or it is left out.
const (
	PauseSilence PauseBehavior = "silence"
	PauseSkip    PauseBehavior = "skip"
)

// Role is the part that a party plays in a recording.
type Role string

// The roles. System is the server itself (prompts, silence).
const (
	RoleCaller Role = "caller"
	RoleCallee Role = "callee"
	RoleSystem Role = "system"
)

// RecordingChannel says whose voice one side of the file holds.
type RecordingChannel struct {
	Channel int    `json:"channel"` // 0 = first (left)
	Party   string `json:"party"`
	Call    CallID `json:"callId,omitempty"`
	Role    Role   `json:"role"`
}

// Recording is one request to keep a call's audio.
type Recording struct {
	ID        RecordingID `json:",omitzero"`
	Workspace WorkspaceID `json:",omitzero"`
	Channel   ChannelID   `json:",omitzero"`
	Call      CallID      `json:",omitzero"`

	Status    RecordingStatus `json:",omitzero"`
	Origin    RecordingOrigin `json:",omitzero"`
	Stereo    bool            `json:",omitzero"`
	MaxLength time.Duration   `json:",omitzero"`
	EndCause  EndCause        `json:",omitzero"` // empty until it ended
	Problem   string          `json:",omitzero"` // what went wrong, for status failed; else empty

	Direction Direction `json:",omitzero"` // of the call
	From, To  string    `json:",omitzero"` // of the call

	Duration time.Duration      `json:",omitzero"` // of the file; zero until it is made
	Channels []RecordingChannel `json:",omitzero"` // one or two, once the file is made

	File    string `json:",omitzero"` // blob key of the WAV master; empty = none
	Receipt string `json:",omitzero"` // blob key of the receipt; empty = none
	Size    int64  `json:",omitzero"` // bytes of the WAV master
	SHA256  string `json:",omitzero"` // hexadecimal, of the WAV master

	// Transcribe is the locale in which a transcription is made as soon as the
	// file is there; empty = none was asked for. Transcribed: there is one.
	Transcribe  string `json:",omitzero"`
	Transcribed bool   `json:",omitzero"`

	CreatedAt, UpdatedAt time.Time `json:",omitzero"`
	StartedAt, EndedAt   time.Time `json:",omitzero"`
}

// RecordingFilter selects recordings for a list. Zero members select everything.
type RecordingFilter struct {
	Workspace WorkspaceID
	Channel   ChannelID
	Call      CallID
	Status    RecordingStatus
	Direction Direction
	From, To  string
	StartAt   time.Time // created at or after
	EndAt     time.Time // created before or at
	Live      bool      // only recordings that can still take audio or are being made
	Page
}

// The kinds of the jobs that follow a recording. Their reference is Ref.
const (
	JobPublish = "publish" // make the file out of the journal
	JobSweep   = "sweep"   // delete the journal that is not needed any more
)

// Ref names the recording for a job, with its workspace.
func (r *Recording) Ref() string { return string(r.Workspace) + "/" + string(r.ID) }

// SplitRef takes a reference apart.
func SplitRef(ref string) (WorkspaceID, RecordingID, error) {
	ws, id, found := strings.Cut(ref, "/")
	if !found || ws == "" || id == "" {
		return "", "", fmt.Errorf("%q does not name a recording", ref)
	}
	return WorkspaceID(ws), RecordingID(id), nil
}
