package voice

import "time"

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
