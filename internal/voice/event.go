package voice

import "time"

// EventType says what happened.
type EventType string

// The events. The first two come once for every status that a call takes.
const (
	EventInbound  EventType = "voice.inbound"
	EventOutbound EventType = "voice.outbound"
	EventAMD      EventType = "voice.amd" // a call's amdResult is there

	EventRecordingStarted   EventType = "recording.started"
	EventRecordingPaused    EventType = "recording.paused"
	EventRecordingResumed   EventType = "recording.resumed"
	EventRecordingCompleted EventType = "recording.completed"
	EventRecordingAvailable EventType = "recording.available"
	EventRecordingAbsent    EventType = "recording.absent"
	EventRecordingFailed    EventType = "recording.failed"
	EventRecordingDeleted   EventType = "recording.deleted"

	EventTranscriptionAvailable EventType = "transcription.available"
	EventTranscriptionFailed    EventType = "transcription.failed"
)

// EventTypes lists every event.
func EventTypes() []EventType {
	return []EventType{
		EventInbound, EventOutbound, EventAMD,
		EventRecordingStarted, EventRecordingPaused, EventRecordingResumed, EventRecordingCompleted,
		EventRecordingAvailable, EventRecordingAbsent, EventRecordingFailed, EventRecordingDeleted,
		EventTranscriptionAvailable, EventTranscriptionFailed,
	}
}

// Event is something that happened, kept in the order in which it was stored.
// What it is about is there as it was then: one of Subject's members.
type Event struct {
	Seq       int64 // its place in the stream of the whole installation; later is larger
	ID        EventID
	Workspace WorkspaceID
	Type      EventType
	Channel   ChannelID
	Call      CallID // whose recording or transcription it is, too
	Status    string // of the subject
	NotifyURL string // of the call, where it asked to be told; empty = nobody
	At        time.Time
	Subject   Subject
}

// Subject is what an event is about. One member is not nil.
type Subject struct {
	Call          *Call          `json:"call,omitempty"`
	Recording     *Recording     `json:"recording,omitempty"`
	Transcription *Transcription `json:"transcription,omitempty"`
}

// CallEvent is the event that tells of a call's status.
func CallEvent(d Direction) EventType {
	if d == Incoming {
		return EventInbound
	}
	return EventOutbound
}

// RecordingEventOf is the event that tells that a recording went from one status
// to another; empty when nobody is told: while it waits, and where nothing
// changed.
func RecordingEventOf(from, to RecordingStatus, cause EndCause) EventType {
	if from == to {
		return ""
	}
	switch to {
	case RecordingOngoing:
		if from == RecordingPaused {
			return EventRecordingResumed
		}
		return EventRecordingStarted
	case RecordingPaused:
		return EventRecordingPaused
	case RecordingCompleted:
		return EventRecordingCompleted
	case RecordingAvailable:
		return EventRecordingAvailable
	case RecordingAbsent:
		if cause == EndDeleted {
			return EventRecordingDeleted
		}
		return EventRecordingAbsent
	case RecordingFailed:
		return EventRecordingFailed
	}
	return ""
}

// TranscriptionEventOf is the event that tells of a transcription's status;
// empty when nobody is told.
func TranscriptionEventOf(from, to TranscriptionStatus) EventType {
	switch {
	case from == to:
		return ""
	case to == TranscriptionAvailable:
		return EventTranscriptionAvailable
	case to == TranscriptionFailed:
		return EventTranscriptionFailed
	}
	return ""
}

// EventFilter selects events for a stream, the oldest first.
type EventFilter struct {
	Workspace WorkspaceID // empty = all, for who delivers them
	After     int64       // the Seq of the last one seen; 0 = from the oldest that is kept
	Types     []EventType // empty = all
	Limit     int
	Heads     bool // without their subjects
}
