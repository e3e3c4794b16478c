package render

import (
	"context"
	"errors"
	"io"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// Layout says what file to make of a journal.
type Layout struct {
	// Stereo puts what the party of the recording's call says left, and what that
	// party hears right. Otherwise all parties are mixed into one channel.
	Stereo    bool
	MaxLength time.Duration // of the file; 0 = no limit

	// EndCause is taken for a journal without an end record: empty while capture
	// goes on, node-lost after a crash.
	EndCause voice.EndCause
	Software string                  // name and version for the receipt
	Progress func(done, total int64) // called now and then by Write, in samples; nil = nobody looks
}

// ErrNotBegun means that capture never began: there is no audio, not even
// silence, to make a file of.
var ErrNotBegun = errors.New("recording never began")

// Plan is what Write will do.
type Plan struct {
	SampleRate int
	Channels   int
	Samples    int64 // per channel
}

// Make reads the journal once and plans the file. It fails with ErrNotBegun when
// capture never began.
func Make(j *journal.Reader, l Layout) (*Plan, error) { return nil, errors.ErrUnsupported }

// Write reads the journal again and writes the WAV file. Memory does not depend
// on the length of the recording.
func (p *Plan) Write(ctx context.Context, w io.WriteSeeker) (Receipt, error) {
	return Receipt{}, errors.ErrUnsupported
}

// Check reads a written file and compares it with its receipt: header, size,
// samples and SHA-256.
func Check(path string, r Receipt) error { return errors.ErrUnsupported }
