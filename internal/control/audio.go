package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"tapedeck/internal/voice"
)

// Audio is a file of audio that is open for reading. Close it.
type Audio struct {
	io.ReadSeekCloser
	Name    string // that of the file, with its extension
	Format  voice.AudioFormat
	SHA256  string    // of this very file: of a running recording the next one has another
	ModTime time.Time // zero = not known
}

// Audio opens the audio of a recording in a format: the whole file when it is
// available, and what there is so far while it runs or is being made. Another
// format than WAV is made first, which may be voice.CodeNotReady.
func (s *Service) Audio(ctx context.Context, who voice.Principal, t Target, format voice.AudioFormat) (*Audio, error) {
	if err := s.authorize(who, voice.ActionView, t, format.Extension()); err != nil {
		return nil, err
	}
	var out *Audio
	err := s.whenever(ctx, t,
		func(r voice.Recording) (err error) { out, err = s.soFar(ctx, r, format); return err },
		func(r voice.Recording) (err error) { out, err = s.whole(ctx, r, format); return err })
	return out, err
}

// whenever gives what a recording holds to one of two functions: soFar while it
// runs or is being made, whole when it is available.
func (s *Service) whenever(ctx context.Context, t Target, soFar, whole func(voice.Recording) error) error {
	r, err := s.recording(ctx, t)
	if err != nil {
		return err
	}
	switch r.Status {
	case voice.RecordingOngoing, voice.RecordingPaused, voice.RecordingCompleted:
		err := soFar(r)
		if err == nil {
			return nil
		}
		// The file may have been finished meanwhile, and its journal gone.
		again, errAgain := s.recording(ctx, t)
		if errAgain != nil || again.Status == r.Status {
			return said(r, err)
		}
		r = again
	}
	if r.Status != voice.RecordingAvailable {
		return noAudio(r)
	}
	if err := whole(r); err != nil {
		// It may have been deleted meanwhile.
		again, errAgain := s.recording(ctx, t)
		if errAgain == nil && again.Status != r.Status {
			return noAudio(again)
		}
		return said(r, err)
	}
	return nil
}

// said is an error as the asker is told of it.
func said(r voice.Recording, err error) error {
	var known *voice.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return noAudio(r)
	}
	return fmt.Errorf("open the audio of recording %s: %w", r.ID, err)
}

func (s *Service) soFar(ctx context.Context, r voice.Recording, format voice.AudioFormat) (*Audio, error) {
	f, sum, err := s.files.Live(ctx, r, format)
	if err != nil {
		return nil, err
	}
	return &Audio{ReadSeekCloser: f, Name: string(r.ID) + format.Extension(), Format: format, SHA256: sum}, nil
}

func (s *Service) whole(ctx context.Context, r voice.Recording, format voice.AudioFormat) (*Audio, error) {
	out := &Audio{Name: string(r.ID) + format.Extension(), Format: format, SHA256: r.SHA256}
	if format == voice.FormatWAV {
		content, info, err := s.archive.Open(ctx, r)
		out.ReadSeekCloser, out.ModTime = content, info.ModTime
		return out, err
	}
	made, err := s.files.Format(ctx, r, format)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, made, out.Name)
}

// open opens the file of a render.
func (s *Service) open(ctx context.Context, r voice.Render, name string) (*Audio, error) {
	content, info, err := s.archive.OpenRender(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Audio{ReadSeekCloser: content, Name: name, Format: r.Format, SHA256: r.SHA256, ModTime: info.ModTime}, nil
}

// Peaks returns the least and the greatest samples of a recording's audio in so
// many stretches, or fewer when it is shorter. Final says that it is the whole
// recording, which will never change.
func (s *Service) Peaks(ctx context.Context, who voice.Principal, t Target, points int) (out voice.Peaks, final bool, err error) {
	if err := s.authorize(who, voice.ActionView, t, "/peaks"); err != nil {
		return out, false, err
	}
	err = s.whenever(ctx, t,
		func(r voice.Recording) (err error) { out, err = s.files.LivePeaks(ctx, r, points); return err },
		func(r voice.Recording) (err error) {
			final = true
			out, err = s.files.Peaks(ctx, r, points)
			return err
		})
	return out, final, err
}

// noAudio says why a recording has no audio to give.
func noAudio(r voice.Recording) *voice.Error {
	why := "the recording is " + string(r.Status)
	switch {
	case r.Status == voice.RecordingAccepted:
		why = "the recording has no audio yet, capture has not begun"
	case r.Status == voice.RecordingOngoing || r.Status == voice.RecordingPaused:
		why = "the recording has no audio yet, nothing of it has reached the disk"
	case r.EndCause == voice.EndDeleted:
		why = "the audio of the recording was deleted"
	case r.Status == voice.RecordingFailed && r.Problem != "":
		why += " (" + r.Problem + ") and has no audio"
	case r.EndCause != "":
		why += " (" + string(r.EndCause) + ") and has no audio"
	default:
		why += " and has no audio here"
	}
	return &voice.Error{Code: voice.CodeNotFound, Message: "The requested resource does not exist: " + why}
}

// Receipt returns the receipt of a recording as it was stored.
func (s *Service) Receipt(ctx context.Context, who voice.Principal, t Target) ([]byte, error) {
	if err := s.authorize(who, voice.ActionView, t, "/receipt"); err != nil {
		return nil, err
	}
	r, err := s.recording(ctx, t)
	if err != nil {
		return nil, err
	}
	if r.Receipt == "" {
		return nil, &voice.Error{Code: voice.CodeNotFound, Message: "The requested resource does not exist: the recording is " + string(r.Status) + " and has no receipt"}
	}
	receipt, err := s.archive.Receipt(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read the receipt of recording %s: %w", r.ID, err)
	}
	return receipt, nil
}
