package control

import (
	"context"
	"encoding/base64"
	"slices"

	"tapedeck/internal/voice"
)

// Recorded is an accepted record or record-call command with the id of its recording.
type Recorded struct {
	Command   voice.CommandResult
	Recording voice.RecordingID
}

// RecordCall records the call's session until it ends. When it returns, the
// recording will come to an end that can be seen, whatever happens.
func (s *Service) RecordCall(ctx context.Context, who voice.Principal, t Target, in voice.RecordCall, o Once) (Recorded, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/recordings"); err != nil {
		return Recorded{}, err
	}
	if in.MaxLength < 0 {
		return Recorded{}, voice.Invalid(map[string][]string{"maxLength": {"must not be negative"}})
	}
	in.MaxLength = clamp(in.MaxLength)
	// An answer that is kept is given even when the call has ended since.
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (Recorded, error) {
		if err := s.running(ctx, t); err != nil {
			return Recorded{}, err
		}
		result, id, err := s.sessions.Record(ctx, t.Call, &in)
		return Recorded{Command: result, Recording: id}, s.gone(t.Call, err)
	})
}

// CallRecordings lists the recordings of a running call, newest first. A call
// that ended has none here: they are in the workspace's list.
func (s *Service) CallRecordings(ctx context.Context, who voice.Principal, t Target, page voice.Page) ([]voice.Recording, string, error) {
	if err := s.authorize(who, voice.ActionView, t, "/recordings"); err != nil {
		return nil, "", err
	}
	list, err := s.ofRunning(ctx, t)
	if err != nil {
		return nil, "", err
	}
	if page.Token != "" {
		after, err := base64.RawURLEncoding.DecodeString(page.Token)
		at := slices.IndexFunc(list, func(r voice.Recording) bool { return r.ID == voice.RecordingID(after) })
		if err != nil || at < 0 {
			return nil, "", badToken()
		}
		list = list[at+1:]
	}
	if len(list) <= page.Limit {
		return list, "", nil
	}
	list = list[:page.Limit]
	return list, base64.RawURLEncoding.EncodeToString([]byte(list[page.Limit-1].ID)), nil
}

// CallRecording returns a recording of a running call.
func (s *Service) CallRecording(ctx context.Context, who voice.Principal, t Target) (voice.Recording, error) {
	if err := s.authorize(who, voice.ActionView, t, ""); err != nil {
		return voice.Recording{}, err
	}
	list, err := s.ofRunning(ctx, t)
	if err != nil {
		return voice.Recording{}, err
	}
	for _, r := range list {
		if r.ID == t.Recording {
			return r, nil
		}
	}
	return voice.Recording{}, voice.NotFound("recording")
}

// ofRunning returns the recordings of a running call, newest first.
func (s *Service) ofRunning(ctx context.Context, t Target) ([]voice.Recording, error) {
	if _, _, err := s.find(ctx, t); err != nil {
		return nil, err
	}
	list, live := s.sessions.Recordings(t.Call)
	if !live {
		return nil, &voice.Error{Code: voice.CodeNotFound, Message: "The requested resource does not exist: the call has ended, " +
			"its recordings are at /workspaces/" + string(t.Workspace) + "/recordings?sourceId=" + string(t.Call)}
	}
	list = slices.Clone(list)
	slices.Reverse(list)
	return list, nil
}

// UpdateRecording pauses, resumes or stops a recording of a running call. When
// it returns from a pause, the gate is shut.
func (s *Service) UpdateRecording(ctx context.Context, who voice.Principal, t Target, to voice.RecordingStatus, b voice.PauseBehavior) (voice.Recording, error) {
	if err := s.authorize(who, voice.ActionUpdate, t, ""); err != nil {
		return voice.Recording{}, err
	}
	if b != "" && to != voice.RecordingPaused {
		return voice.Recording{}, voice.Invalid(map[string][]string{"pauseBehavior": {"goes with status paused only"}})
	}
	if err := s.running(ctx, t); err != nil {
		return voice.Recording{}, err
	}
	return act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (voice.Recording, error) {
		r, err := s.sessions.UpdateRecording(ctx, t.Call, t.Recording, to, b)
		return r, s.gone(t.Call, err)
	})
}
