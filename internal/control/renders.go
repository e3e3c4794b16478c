package control

import (
	"context"
	"fmt"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// RenderOrder says how a recording is to be rendered again.
type RenderOrder struct {
	Stereo *bool // nil = as the recording was asked for
	Swap   bool
	Format voice.AudioFormat // empty = WAV
}

// RenderAgain asks for another file of the recording's journal, with a receipt
// of its own. It is made when there is time for it, also across a restart.
func (s *Service) RenderAgain(ctx context.Context, who voice.Principal, t Target, in RenderOrder, o Once) (voice.Render, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/renders"); err != nil {
		return voice.Render{}, err
	}
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (voice.Render, error) {
		r, err := s.recording(ctx, t)
		if err != nil {
			return voice.Render{}, err
		}
		want := voice.Render{Stereo: r.Stereo, Swap: in.Swap, Format: in.Format}
		if in.Stereo != nil {
			want.Stereo = *in.Stereo
		}
		if want.Format == "" {
			want.Format = voice.FormatWAV
		}
		return s.files.Again(ctx, r, want)
	})
}

// Renders lists what a recording was asked to be rendered as, newest first.
func (s *Service) Renders(ctx context.Context, who voice.Principal, t Target, page voice.Page) ([]voice.Render, string, error) {
	if err := s.authorize(who, voice.ActionView, t, "/renders"); err != nil {
		return nil, "", err
	}
	var list []voice.Render
	var next string
	err := s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		if _, err = tx.Recording(t.Workspace, t.Recording); err != nil {
			return err
		}
		list, next, err = tx.Renders(t.Recording, page)
		return err
	})
	return list, next, listed(err)
}

// Render returns one of them.
func (s *Service) Render(ctx context.Context, who voice.Principal, t Target) (voice.Render, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Render{}, err
	}
	_, r, err := s.rendered(ctx, t)
	return r, err
}

func (s *Service) rendered(ctx context.Context, t Target) (rec voice.Recording, r voice.Render, err error) {
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		if rec, err = tx.Recording(t.Workspace, t.Recording); err != nil {
			return err
		}
		r, err = tx.Render(t.Recording, t.Render)
		return err
	})
	return rec, r, err
}

// RenderAudio opens the file of a render. One that is being made is waited for,
// which may be voice.CodeNotReady.
func (s *Service) RenderAudio(ctx context.Context, who voice.Principal, t Target) (*Audio, error) {
	if err := s.authorize(who, voice.ActionView, t, "/audio"); err != nil {
		return nil, err
	}
	r, err := s.made(ctx, t)
	if err != nil {
		return nil, err
	}
	out, err := s.open(ctx, r, string(r.ID)+r.Format.Extension())
	if err != nil {
		return nil, fmt.Errorf("open the audio of render %s: %w", r.ID, err)
	}
	return out, nil
}

// RenderReceipt returns the receipt of a render as it was stored.
func (s *Service) RenderReceipt(ctx context.Context, who voice.Principal, t Target) ([]byte, error) {
	if err := s.authorize(who, voice.ActionView, t, "/receipt"); err != nil {
		return nil, err
	}
	r, err := s.made(ctx, t)
	if err != nil {
		return nil, err
	}
	receipt, err := s.archive.RenderReceipt(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read the receipt of render %s: %w", r.ID, err)
	}
	return receipt, nil
}

func (s *Service) made(ctx context.Context, t Target) (voice.Render, error) {
	rec, _, err := s.rendered(ctx, t)
	if err != nil {
		return voice.Render{}, err
	}
	// A deletion marks the recording first: from then on its renders are out of
	// reach, also when a crash keeps them for a while.
	if rec.Status != voice.RecordingAvailable {
		return voice.Render{}, noAudio(rec)
	}
	return s.files.Ready(ctx, rec, t.Render)
}
