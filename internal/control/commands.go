package control

import (
	"context"

	"tapedeck/internal/voice"
)

// Answer answers an incoming call.
func (s *Service) Answer(ctx context.Context, who voice.Principal, t Target) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/answer", &voice.Answer{})
}

// Ringing tells the caller of an incoming call that it rings.
func (s *Service) Ringing(ctx context.Context, who voice.Principal, t Target) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/ringing", &voice.Ringing{})
}

// Hangup hangs a call up, or turns an incoming one away.
func (s *Service) Hangup(ctx context.Context, who voice.Principal, t Target, cause voice.HangupCause) (voice.CommandResult, error) {
	return s.command(ctx, who, t, "/hangup", &voice.Hangup{Cause: cause})
}

func (s *Service) command(ctx context.Context, who voice.Principal, t Target, below string, c voice.Command) (voice.CommandResult, error) {
	if err := s.authorize(who, voice.ActionCreate, t, below); err != nil {
		return voice.CommandResult{}, err
	}
	if _, err := s.running(ctx, t); err != nil {
		return voice.CommandResult{}, err
	}
	return act(ctx, s, t.Workspace, Once{}, func(ctx context.Context) (voice.CommandResult, error) {
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
	unfilled(faults, "to", in.To)
	unfilled(faults, "from", in.From)
	s.notified(faults, "notification.url", in.Notification)
	if len(faults) > 0 {
		return Bridged{}, voice.Invalid(faults)
	}
	// An answer that is kept is given even when the call has ended since.
	return act(ctx, s, t.Workspace, o, func(ctx context.Context) (Bridged, error) {
		if _, err := s.running(ctx, t); err != nil {
			return Bridged{}, err
		}
		result, far, err := s.sessions.Bridge(ctx, t.Call, clampBridge(&in))
		return Bridged{Command: result, Call: far}, s.gone(t.Call, err)
	})
}
