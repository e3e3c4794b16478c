package voice

import (
	"fmt"
	"strings"
	"time"
)

// MaxMediaSize is the largest file that is played, in bytes.
const MaxMediaSize = 64 << 20

// Media is an audio file that was uploaded, to be played to calls.
type Media struct {
	ID          MediaID
	Workspace   WorkspaceID
	Name        string // as the uploader calls it; may be empty
	ContentType string // audio/wav, audio/mpeg, audio/ogg, audio/flac, as found in its bytes
	Size        int64
	SHA256      string // hexadecimal
	Duration    time.Duration
	File        string // blob key
	CreatedAt   time.Time
}

// JobMedia is the kind of the job that deletes an uploaded file which has no row
// (any more). Its reference is Media.Ref.
const JobMedia = "media"

// Ref names the file for a job, with its workspace.
func (m *Media) Ref() string { return string(m.Workspace) + "/" + string(m.ID) }

// SplitMediaRef takes a reference apart.
func SplitMediaRef(ref string) (WorkspaceID, MediaID, error) {
	ws, id, found := strings.Cut(ref, "/")
	if !found || ws == "" || id == "" {
		return "", "", fmt.Errorf("%q does not name an uploaded file", ref)
	}
	return WorkspaceID(ws), MediaID(id), nil
}
