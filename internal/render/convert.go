package render

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// ErrFormatUnavailable means that this machine cannot make the format: a system
// library is missing. The error that wraps it names the library and the package
// to install.
var ErrFormatUnavailable = errors.New("the audio format is not available on this machine")

// Formats lists the formats that Convert can make on this machine.
func Formats() []voice.AudioFormat {
	return []voice.AudioFormat{voice.FormatWAV}
}

// Convert makes a file of the format out of a WAV file, which it reads once from
// front to back in pieces, so that memory does not grow with the length. It
// writes to w from w's start and may seek back to complete the header at the
// end. Progress, when not nil, is called now and then with the samples per
// channel that are done, and that there are in all. A format that this machine
// cannot make is ErrFormatUnavailable, told before anything is written; a WAV
// file that is broken is wav.ErrFormat or io.ErrUnexpectedEOF. What is in w after
// an error is of no use.
func Convert(ctx context.Context, src io.Reader, w io.WriteSeeker, format voice.AudioFormat, progress func(done, total int64)) error {
	in, err := wav.NewReader(src)
	if err != nil {
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	out, err := newSink(w, in.Format(), in.Frames(), format)
	if err != nil {
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	if err := pump(ctx, in, out, progress); err != nil {
		_ = out.Close() // it has nothing to add: the file is given up
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	return nil
}

// sink takes interleaved samples; Close completes the file.
type sink interface {
	Write(pcm []int16) error
	Close() error
}

func newSink(w io.WriteSeeker, f wav.Format, frames int64, format voice.AudioFormat) (sink, error) {
	switch format {
	case voice.FormatWAV:
		return wav.NewWriter(w, f, frames)
	}
	return nil, fmt.Errorf("%q: %w", format, ErrFormatUnavailable)
}

// pump carries the audio from in to out.
func pump(ctx context.Context, in *wav.Reader, out sink, progress func(done, total int64)) error {
	const piece = 1 << 14 // frames between two looks at ctx
	pcm := make([]int16, piece*in.Format().Channels)
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(pcm)
		if n == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.Write(pcm[:n]); err != nil {
			return err
		}
		done += int64(n / in.Format().Channels)
		if progress != nil {
			progress(done, in.Frames())
		}
	}
}
