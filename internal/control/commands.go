package control

import (
	"context"
	"maps"

	"tapedeck/internal/voice"
)

// Answer answers an incoming call.
func (s *Service) Answer(ctx context.Context, who voice.Principal, t Target) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/answer", &voice.Answer{}, Once{})
}

// Ringing tells the caller of an incoming call that it rings.
func (s *Service) Ringing(ctx context.Context, who voice.Principal, t Target) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/ringing", &voice.Ringing{}, Once{})
}

// Hangup hangs a call up, or turns an incoming one away.
func (s *Service) Hangup(ctx context.Context, who voice.Principal, t Target, cause voice.HangupCause) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/hangup", &voice.Hangup{Cause: cause}, Once{})
}

// Playback plays audio files to a call.
func (s *Service) Playback(ctx context.Context, who voice.Principal, t Target, c voice.Playback, o Once) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/playback", &c, o)
}

// Say speaks a text to a call.
func (s *Service) Say(ctx context.Context, who voice.Principal, t Target, c voice.Say, o Once) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/say", &c, o)
}

// Gather takes keys or speech from a call.
func (s *Service) Gather(ctx context.Context, who voice.Principal, t Target, c voice.Gather, o Once) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/gather", &c, o)
}

// Voicemail records a message of the party.
func (s *Service) Voicemail(ctx context.Context, who voice.Principal, t Target, c voice.Record, o Once) (Recorded, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/record"); err != nil {
		return Recorded{}, err
	}
	if faults := voice.CommandFaults(&c); faults != nil {
		return Recorded{}, voice.Invalid(faults)
	}
	// An answer that is kept is given even when the call has ended since.
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (Recorded, error) {
		if err := s.running(ctx, t); err != nil {
			return Recorded{}, err
		}
		result, id, err := s.sessions.Voicemail(ctx, t.Call, &c)
		return Recorded{Command: result, Recording: id}, s.gone(t.Call, err)
	})
}

func (s *Service) command(ctx context.Context, who voice.Principal, t Target, below string, c voice.Command, o Once) (voice.CommandResult, error) {
	if err := s.authorize(who, voice.ActionCreate, t, below); err != nil {
		return voice.CommandResult{}, err
	}
	faults := map[string][]string{}
	maps.Copy(faults, voice.CommandFaults(c))
	unfilledCommand(faults, "", c)
	if len(faults) > 0 {
		return voice.CommandResult{}, voice.Invalid(faults)
	}
	// An answer that is kept is given even when the call has ended since.
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (voice.CommandResult, error) {
		if err := s.running(ctx, t); err != nil {
			return voice.CommandResult{}, err
		}
		result, err := s.sessions.Do(ctx, t.Call, c)
		return result, s.gone(t.Call, err)
	})
}

// Bridged is an accepted bridge command with the call of the second party.
type Bridged struct {
	Command voice.CommandResult
	Call    voice.Call
}

// Bridge calls a second party and connects it with the call.
func (s *Service) Bridge(ctx context.Context, who voice.Principal, t Target, in voice.Bridge, o Once) (Bridged, error) {
	if err := s.authorize(who, voice.ActionCreate, t, "/bridge"); err != nil {
		return Bridged{}, err
	}
	faults := map[string][]string{}
	maps.Copy(faults, voice.CommandFaults(&in))
	unfilledCommand(faults, "", &in)
	s.notified(faults, "notification.url", in.Notification)
	if len(faults) > 0 {
		return Bridged{}, voice.Invalid(faults)
	}
	if err := s.sessions.Able(in.Flow, "callFlow"); err != nil {
		return Bridged{}, err
	}
	// An answer that is kept is given even when the call has ended since.
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (Bridged, error) {
		if err := s.running(ctx, t); err != nil {
			return Bridged{}, err
		}
		result, far, err := s.sessions.Bridge(ctx, t.Call, clampBridge(&in))
		return Bridged{Command: result, Call: far}, s.gone(t.Call, err)
	})
}
