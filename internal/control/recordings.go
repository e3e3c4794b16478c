package control

import (
	"context"
	"errors"
	"fmt"

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
// its receipt, which proves what there was; the texts that were made of it go. Deleting it again does nothing.
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
		if err := tx.EraseTranscriptions(r.ID, r.UpdatedAt); err != nil {
			return err
		}
		r.Transcribed = false
		return tx.PutRecording(r)
	})
	if err != nil {
		return err
	}
	if err := s.files.Forget(ctx, r.ID); err != nil {
		return fmt.Errorf("delete recording %s: %w", r.ID, err)
	}
	if r.File == "" {
		return nil
	}
	if err := s.eraseRenders(ctx, r); err != nil {
		return fmt.Errorf("delete recording %s: %w", r.ID, err)
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
		if err := tx.DeleteRenders(r.ID); err != nil {
			return err
		}
		return tx.PutRecording(r)
	})
}

// eraseRenders deletes the files of everything that was made of a recording.
// One that is being made right now is deleted by who makes it: the recording is
// marked already.
func (s *Service) eraseRenders(ctx context.Context, r voice.Recording) error {
	var all []voice.Render
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.RendersOf(r.ID)
		return err
	})
	for _, made := range all {
		err = errors.Join(err, s.archive.EraseRender(ctx, r, made.ID))
	}
	return err
}
