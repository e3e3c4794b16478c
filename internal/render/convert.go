package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"tapedeck/internal/codec/opus"
	"tapedeck/internal/flac"
	"tapedeck/internal/mp3"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// ErrFormatUnavailable means that this machine cannot make the format: a system
// library is missing. The error that wraps it names the library and the package
// to install.
var ErrFormatUnavailable = errors.New("the audio format is not available on this machine")

// Formats lists the formats that Convert can make on this machine.
func Formats() []voice.AudioFormat {
	return slices.DeleteFunc(voice.AudioFormats(), func(f voice.AudioFormat) bool { return libraries{}.available(f) != nil })
}

// Available is nil when Convert can make the format on this machine; else the
// error, an ErrFormatUnavailable, says what is missing and which package has it.
func Available(format voice.AudioFormat) error { return libraries{}.available(format) }

// Convert makes a file of the format out of a WAV file, which it reads once from
// front to back in pieces, so that memory does not grow with the length. It
// writes to w from w's start and may seek back to complete the header at the
// end. Progress, when not nil, is called now and then with the samples per
// channel that are done, and that there are in all. A format that this machine
// cannot make is ErrFormatUnavailable, told before anything is written; a WAV
// file that is broken is wav.ErrFormat or io.ErrUnexpectedEOF. What is in w after
// an error is of no use.
func Convert(ctx context.Context, src io.Reader, w io.WriteSeeker, format voice.AudioFormat, progress func(done, total int64)) error {
	return libraries{}.convert(ctx, src, w, format, progress)
}

// libraries makes formats with the libraries of the system, or as if there were
// none.
type libraries struct{ absent bool }

func (l libraries) available(format voice.AudioFormat) error {
	var err error
	switch format {
	case voice.FormatWAV, voice.FormatFLAC:
		return nil
	case voice.FormatMP3:
		err = mp3.Available(mp3.Options{Absent: l.absent})
	case voice.FormatOgg:
		err = opus.Available(opus.Options{Absent: l.absent})
	default:
		return fmt.Errorf("%w: there is no format %q", ErrFormatUnavailable, format)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormatUnavailable, format, err)
	}
	return nil
}

func (l libraries) convert(ctx context.Context, src io.Reader, w io.WriteSeeker, format voice.AudioFormat, progress func(done, total int64)) error {
	if err := l.available(format); err != nil {
		return err
	}
	in, err := wav.NewReader(src)
	if err != nil {
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	out, err := newSink(w, in.Format(), in.Frames(), format)
	if err != nil {
		return fmt.Errorf("convert to %s: %w", format, err)
	}
	if err := pump(ctx, in, out, progress); err != nil {
		_ = out.Close() // the file is given up; what Close finds wrong with it is no news
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
	case voice.FormatFLAC:
		return flac.NewWriter(w, flac.Format{SampleRate: f.SampleRate, Channels: f.Channels})
	case voice.FormatMP3:
		return mp3.NewWriter(w, mp3.Options{SampleRate: f.SampleRate, Channels: f.Channels})
	case voice.FormatOgg:
		return newOggOpus(w, f)
	}
	return wav.NewWriter(w, f, frames)
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
