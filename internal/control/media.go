package control

import (
	"context"
	"crypto/sha256"
	"io"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Media keeps uploaded files; prompt does. What it refuses is a *voice.Error.
type Media interface {
	// Take writes a file to disk and finds out what it is.
	Take(context.Context, io.Reader) (voice.Media, error)
	// Keep stores what Take wrote, under its workspace and id.
	Keep(context.Context, voice.Media) (voice.Media, error)
	// Drop removes what Take wrote, if Keep did not take it.
	Drop(voice.Media) error
}

// UploadMedia keeps an audio file, to be played to calls.
func (s *Service) UploadMedia(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, name string, body io.Reader, o Once) (voice.Media, error) {
	if err := s.authorize(who, voice.ActionCreate, Target{Workspace: ws}, "/media"); err != nil {
		return voice.Media{}, err
	}
	taken, err := s.media.Take(ctx, body)
	if err != nil {
		return voice.Media{}, err
	}
	defer func() {
		if err := s.media.Drop(taken); err != nil {
			s.log.Error("an upload is left on the disk until the next start", "error", err)
		}
	}()
	if o.Key != "" { // the request is its file, too
		hash := sha256.Sum256([]byte(string(o.Hash) + taken.SHA256 + name))
		o.Hash = hash[:]
	}
	return act(ctx, s, ws, o, func(ctx context.Context) (voice.Media, error) {
		m := taken
		m.ID, m.Workspace, m.Name, m.CreatedAt = voice.MediaID(store.NewID()), ws, name, now()
		return s.media.Keep(ctx, m)
	})
}

// MediaList lists the uploaded files of a workspace, newest first.
func (s *Service) MediaList(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, page voice.Page) ([]voice.Media, string, error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: ws}, "/media"); err != nil {
		return nil, "", err
	}
	var list []voice.Media
	var next string
	err := s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.MediaList(ws, page)
		return err
	})
	return list, next, listed(err)
}

// MediaFile returns what is known of an uploaded file.
func (s *Service) MediaFile(ctx context.Context, who voice.Principal, t Target) (m voice.Media, err error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return m, err
	}
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.Media(t.Workspace, t.Media)
		return err
	})
	return m, err
}

// DeleteMedia deletes an uploaded file. Who plays it already plays it to its end.
func (s *Service) DeleteMedia(ctx context.Context, who voice.Principal, t Target) error {
	if err := s.authorize(who, voice.ActionDelete, t, ""); err != nil {
		return err
	}
	_, err := act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.db.Update(ctx, func(tx *store.Tx) error {
			m, err := tx.Media(t.Workspace, t.Media)
			if err != nil {
				return err
			}
			if err := tx.DeleteMedia(t.Workspace, t.Media); err != nil {
				return err
			}
			return tx.InsertJob(store.Job{Kind: voice.JobMedia, Ref: m.Ref()}) // deletes the file
		})
	})
	s.doJobs()
	return err
}
