package control

import (
	"context"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Transcriber writes down what is said in recordings; transcribe does.
type Transcriber interface {
	// CanTranscribe reports why speech in a locale cannot be written down, as a
	// *voice.Error.
	CanTranscribe(locale string) error
}

// TranscribeRecording has a recording written down. It is made when there is time
// for it, also across a restart.
func (s *Service) TranscribeRecording(ctx context.Context, who voice.Principal, t Target, locale string, o Once) (voice.Transcription, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/transcriptions"); err != nil {
		return voice.Transcription{}, err
	}
	out, err := act(ctx, s, t.Workspace, o, func(ctx context.Context) (out voice.Transcription, err error) {
		err = s.db.Update(ctx, func(tx *store.Tx) error {
			r, err := tx.Recording(t.Workspace, t.Recording)
			if err != nil {
				return err
			}
			if r.Status != voice.RecordingAvailable {
				return &voice.Error{Code: voice.CodeConflict, Message: "The recording is " + string(r.Status) +
					": only one that is available can be transcribed"}
			}
			if err := s.text.CanTranscribe(locale); err != nil {
				return err
			}
			out = voice.NewTranscription(voice.TranscriptionID(store.NewID()), &r, locale, now())
			if err := tx.PutTranscription(out); err != nil {
				return err
			}
			return tx.InsertJob(store.Job{Kind: voice.JobTranscribe, Ref: out.Ref()})
		})
		return out, err
	})
	s.doJobs()
	return out, err
}

// Transcriptions lists the transcriptions of a workspace, newest first.
func (s *Service) Transcriptions(ctx context.Context, who voice.Principal, ws voice.WorkspaceID, f voice.TranscriptionFilter) ([]voice.Transcription, string, error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: ws}, "/transcriptions"); err != nil {
		return nil, "", err
	}
	f.Workspace = ws
	var list []voice.Transcription
	var next string
	err := s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		list, next, err = tx.Transcriptions(f)
		return err
	})
	return list, next, listed(err)
}

// Transcription returns a transcription.
func (s *Service) Transcription(ctx context.Context, who voice.Principal, t Target) (voice.Transcription, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Transcription{}, err
	}
	return s.transcription(ctx, t)
}

func (s *Service) transcription(ctx context.Context, t Target) (out voice.Transcription, err error) {
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.Transcription(t.Workspace, t.Transcription)
		return err
	})
	return out, err
}

// TranscriptionText returns a transcription that has its text; one that has none,
// yet or any more, is voice.CodeConflict.
func (s *Service) TranscriptionText(ctx context.Context, who voice.Principal, t Target, format voice.TextFormat) (voice.Transcription, error) {
	if err := s.authorize(who, voice.ActionView, t, "."+string(format)); err != nil {
		return voice.Transcription{}, err
	}
	out, err := s.transcription(ctx, t)
	if err == nil && out.Status != voice.TranscriptionAvailable {
		message := "The transcription is " + string(out.Status) + ": there is no text"
		if out.Problem != "" {
			message += " (" + out.Problem + ")"
		}
		err = &voice.Error{Code: voice.CodeConflict, Message: message}
	}
	return out, err
}
