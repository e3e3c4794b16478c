package voice

import (
	"fmt"
	"strings"
	"time"
)

// RenderID names a file that was made of a recording beside its master.
type RenderID string

// RenderStatus is where such a file stands.
type RenderStatus string

// A render is accepted until its file is whole and safe, or cannot be made.
const (
	RenderAccepted  RenderStatus = "accepted"
	RenderAvailable RenderStatus = "available"
	RenderFailed    RenderStatus = "failed"
)

// RenderStatuses lists every render status.
func RenderStatuses() []RenderStatus {
	return []RenderStatus{RenderAccepted, RenderAvailable, RenderFailed}
}

// RenderKind says what a render is made from, and for what.
type RenderKind string

// The kinds of renders.
const (
	// RenderAgain is asked for by name: made from the journal, with a receipt of
	// its own.
	RenderAgain RenderKind = "again"
	// RenderFormat is the master in another format.
	RenderFormat RenderKind = "format"
	// RenderPeaks is the picture of the master: its loudness over time.
	RenderPeaks RenderKind = "peaks"
)

// Render is a file that is made of a recording beside its master, and erased
// with it.
type Render struct {
	ID        RenderID
	Workspace WorkspaceID
	Recording RecordingID
	Kind      RenderKind
	Status    RenderStatus
	Problem   string // what went wrong, for people; empty unless it failed or is tried again

	Stereo bool        // two sides; RenderAgain only
	Swap   bool        // left and right changed over; RenderAgain only
	Format AudioFormat // empty for RenderPeaks

	File     string        // blob key; empty = not made
	Receipt  string        // blob key; empty = none
	Size     int64         // bytes
	SHA256   string        // hexadecimal
	Duration time.Duration // RenderAgain only

	CreatedAt, UpdatedAt time.Time
}

// FormatRender is the id of the recording's master in another format: there is
// one at most, so that it needs no id of its own.
func FormatRender(id RecordingID, f AudioFormat) RenderID {
	return RenderID(string(id) + f.Extension())
}

// PeaksRender is the id of the picture of a recording's master.
func PeaksRender(id RecordingID) RenderID { return RenderID(string(id) + ".peaks") }

// Peaks are the least and the greatest samples of a recording's audio in
// stretches of equal length: what a picture of it is drawn of.
type Peaks struct {
	SampleRate int   // of the audio, Hz
	Samples    int64 // of the audio, per channel
	Sides      []PeakSide
}

// PeakSide is one channel of Peaks: as many minima as maxima.
type PeakSide struct{ Min, Max []int16 }

// JobRender makes a render. Its reference is Ref of the render.
const JobRender = "render"

// Ref names the render for a job, with its workspace and recording.
func (r *Render) Ref() string {
	return string(r.Workspace) + "/" + string(r.Recording) + "/" + string(r.ID)
}

// SplitRenderRef takes a reference apart.
func SplitRenderRef(ref string) (WorkspaceID, RecordingID, RenderID, error) {
	ws, rest, _ := strings.Cut(ref, "/")
	rec, id, _ := strings.Cut(rest, "/")
	if ws == "" || rec == "" || id == "" {
		return "", "", "", fmt.Errorf("%q does not name a render", ref)
	}
	return WorkspaceID(ws), RecordingID(rec), RenderID(id), nil
}
