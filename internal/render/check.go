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
	findings, err := Compare(f, &r)
	for _, found := range findings {
		if !found.Agree {
			err = errors.Join(err, fmt.Errorf("%w: %s", ErrMismatch, found))
		}
	}
	if err != nil {
		return fmt.Errorf("check the file %s: %w", path, err)
	}
	return nil
}

// Finding is one thing in which a file and its receipt agree, or do not.
type Finding struct {
	What  string `json:"what"` // the thing: format, samples, …
	Agree bool   `json:"agree"`
	Says  string `json:"receipt"`        // what the receipt says, for a person
	Is    string `json:"file,omitempty"` // what was found instead; empty when they agree
}

// String says it in a line.
func (f Finding) String() string {
	if f.Agree {
		return f.What + ": " + f.Says
	}
	return fmt.Sprintf("%s: the receipt says %s, found %s", f.What, f.Says, f.Is)
}

// The things that Compare looks at, in its order.
const (
	FindFormat  = "format"
	FindSamples = "samples"
	FindSize    = "size"
	FindHash    = "SHA-256"
)

// Compare reads a WAV file to its end and compares everything that its receipt
// says of it: format, number of samples in the header and in fact, size and
// SHA-256. The error is one of reading.
func Compare(f io.Reader, r *Receipt) ([]Finding, error) {
	hash := sha256.New()
	c := &counter{r: io.TeeReader(f, hash)}
	w, headErr := wav.NewReader(c)
	if c.err != nil {
		return nil, c.err
	}
	head := c.n
	if _, err := io.Copy(io.Discard, c); err != nil {
		return nil, err
	}
	format := equal(FindFormat, describe(wav.Format{SampleRate: r.SampleRate, Channels: r.Channels}), "")
	samples := equal(FindSamples, fmt.Sprint(r.Samples), "")
	if headErr != nil {
		format.Is, format.Agree = headErr.Error(), false
		samples.Is, samples.Agree = "no WAV file", false
	} else {
		format = equal(FindFormat, format.Says, describe(w.Format()))
		samples = equal(FindSamples, samples.Says, fmt.Sprint(w.Frames()))
		if audio := c.n - head; samples.Agree && audio != r.Samples*int64(2*r.Channels) {
			samples.Agree, samples.Is = false, fmt.Sprintf("%d bytes of audio, which are no %d samples", audio, r.Samples)
		}
	}
	return []Finding{
		format, samples,
		equal(FindSize, fmt.Sprintf("%d bytes", r.File.Size), fmt.Sprintf("%d bytes", c.n)),
		equal(FindHash, r.File.SHA256, hex.EncodeToString(hash.Sum(nil))),
	}, nil
}

func describe(f wav.Format) string {
	if f.Channels == 1 {
		return fmt.Sprintf("16-bit PCM, %d Hz, 1 channel", f.SampleRate)
	}
	return fmt.Sprintf("16-bit PCM, %d Hz, %d channels", f.SampleRate, f.Channels)
}

func equal(what, says, is string) Finding {
	if says == is {
		return Finding{What: what, Agree: true, Says: says}
	}
	return Finding{What: what, Says: says, Is: is}
}

// counter counts what is read, and keeps an error of reading apart from one of
// what was read.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
