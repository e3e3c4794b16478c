package render

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/wav"
)

// TestWAVPeaks: the peaks of a finished file are those that were made with it,
// byte for byte, and a file that is cut short has none.
func TestWAVPeaks(t *testing.T) {
	var with, after bytes.Buffer
	j, err := journal.Open(conversation(10 * time.Second).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	plan, err := Make(j, Layout{Stereo: true, Peaks: &with})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.wav")
	if _, err := plan.File(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WAVPeaks(t.Context(), bytes.NewReader(file), &after); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(with.Bytes(), after.Bytes()) {
		t.Error("the peaks of the file are not those that were made with it")
	}
	if err := WAVPeaks(t.Context(), bytes.NewReader(file[:len(file)-2]), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that is cut short: %v", err)
	}
	if err := WAVPeaks(t.Context(), bytes.NewReader(file[:20]), io.Discard); !errors.Is(err, wav.ErrFormat) {
		t.Errorf("half a header: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WAVPeaks(gone, bytes.NewReader(file), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
