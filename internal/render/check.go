package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"tapedeck/internal/wav"
)

// ErrMismatch means that a file is not the one of which the receipt speaks.
var ErrMismatch = errors.New("file and receipt do not agree")

// Check reads a written file from disk and compares it with its receipt: header,
// number of samples, size and SHA-256. It believes the bytes only.
func Check(path string, r Receipt) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check the file: %w", err)
	}
	defer f.Close()
	if err := check(f, &r); err != nil {
		return fmt.Errorf("check the file %s: %w", path, err)
	}
	return nil
}

func check(f io.Reader, r *Receipt) error {
	hash := sha256.New()
	counted := &counter{r: io.TeeReader(f, hash)}
	w, err := wav.NewReader(counted)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	got, want := w.Format(), wav.Format{SampleRate: r.SampleRate, Channels: r.Channels}
	if got != want {
		return fmt.Errorf("%w: the file has %+v, the receipt says %+v", ErrMismatch, got, want)
	}
	if w.Frames() != r.Samples {
		return fmt.Errorf("%w: the file's header says %d samples, the receipt %d", ErrMismatch, w.Frames(), r.Samples)
	}
	head := counted.n
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return err
	}
	if audio := counted.n - head; audio != r.Samples*int64(2*r.Channels) {
		return fmt.Errorf("%w: %d bytes of audio are no %d samples", ErrMismatch, audio, r.Samples)
	}
	if counted.n != r.File.Size {
		return fmt.Errorf("%w: the file has %d bytes, the receipt says %d", ErrMismatch, counted.n, r.File.Size)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != r.File.SHA256 {
		return fmt.Errorf("%w: SHA-256 is %s, the receipt says %s", ErrMismatch, sum, r.File.SHA256)
	}
	return nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
