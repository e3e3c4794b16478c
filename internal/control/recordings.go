package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Recordings lists the recordings of a workspace, newest first.
func (s *Service) Recordings(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, f voice.RecordingFilter) ([]voice.Recording, string, error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: ws}, "/recordings"); err != nil {
		return nil, "", err
	}
	f.Workspace = ws
	var list []voice.Recording
	var next string
	err := s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.Recordings(f)
		return err
	})
	return list, next, listed(err)
}

// Recording returns a recording of the workspace.
func (s *Service) Recording(ctx context.Context, who voice.Principal, t Target) (voice.Recording, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Recording{}, err
	}
	return s.recording(ctx, t)
}

func (s *Service) recording(ctx context.Context, t Target) (r voice.Recording, err error) {
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		r, err = tx.Recording(t.Workspace, t.Recording)
		return err
	})
	return r, err
}

// DeleteRecording deletes the audio of a recording that has come to its end.
// The recording stays with status absent and end cause deleted, and so does
// its receipt, which proves what there was. Deleting it again does nothing.
func (s *Service) DeleteRecording(ctx context.Context, who voice.Principal, t Target) error {
	if err := s.authorize(who, voice.ActionDelete, t, ""); err != nil {
		return err
	}
	_, err := act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.erase(ctx, t)
	})
	return err
}

// erase marks the recording first and forgets where its file is last: after a
// crash in between, the audio is out of reach and the same request finishes
// the work.
func (s *Service) erase(ctx context.Context, t Target) error {
	var r voice.Recording
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Recording(t.Workspace, t.Recording); err != nil {
			return err
		}
		if !r.Status.Terminal() {
			return &voice.Error{Code: voice.CodeRecordingNotActive, Message: "The recording is " + string(r.Status) +
				": only one that has come to its end (available, absent, failed) can be deleted"}
		}
		if r.Status == voice.RecordingAbsent {
			return nil
		}
		r.Status, r.EndCause, r.UpdatedAt = voice.RecordingAbsent, voice.EndDeleted, now()
		return tx.PutRecording(r)
	})
	if err != nil {
		return err
	}
	if err := s.forget(ctx, r.ID); err != nil {
		return fmt.Errorf("delete recording %s: %w", r.ID, err)
	}
	if r.File == "" {
		return nil
	}
	audio := r
	audio.Receipt = "" // stays
	if err := s.archive.Erase(ctx, audio); err != nil {
		return fmt.Errorf("delete recording %s: %w", r.ID, err)
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Recording(t.Workspace, t.Recording)
		if err != nil {
			return err
		}
		r.File, r.Size, r.UpdatedAt = "", 0, now()
		return tx.PutRecording(r)
	})
}

// Audio is a WAV file that is open for reading. Close it.
type Audio struct {
	io.ReadSeekCloser
	Recording voice.Recording
	Final     bool      // the whole file, which will never change
	ModTime   time.Time // zero = not known
}

// Audio opens the audio of a recording: the whole file when it is available,
// and what there is so far while it runs or is being made.
func (s *Service) Audio(ctx context.Context, who voice.Principal, t Target) (*Audio, error) {
	if err := s.authorize(who, voice.ActionView, t, ".wav"); err != nil {
		return nil, err
	}
	r, err := s.recording(ctx, t)
	if err != nil {
		return nil, err
	}
	switch r.Status {
	case voice.RecordingOngoing, voice.RecordingPaused, voice.RecordingCompleted:
		a, err := s.soFar(ctx, r)
		if err == nil {
			return a, nil
		}
		// The file may have been finished meanwhile, and its journal gone.
		again, errAgain := s.recording(ctx, t)
		if errAgain != nil || again.Status == r.Status {
			return nil, err
		}
		r = again
	}
	if r.Status != voice.RecordingAvailable {
		return nil, noAudio(r)
	}
	content, info, err := s.archive.Open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("open the audio of recording %s: %w", r.ID, err)
	}
	return &Audio{ReadSeekCloser: content, Recording: r, Final: true, ModTime: info.ModTime}, nil
}

func (s *Service) soFar(ctx context.Context, r voice.Recording) (*Audio, error) {
	select {
	case s.rendering <- struct{}{}:
		defer func() { <-s.rendering }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := s.live(ctx, r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noAudio(r)
	}
	if err != nil {
		return nil, fmt.Errorf("make the audio of recording %s so far: %w", r.ID, err)
	}
	return &Audio{ReadSeekCloser: f, Recording: r}, nil
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
