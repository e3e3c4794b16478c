package control

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"tapedeck/internal/voice"
)

// verb calls one verb of a service for a principal.
type verb struct {
	name   string
	action voice.Action
	path   string // of the API
	call   func(context.Context, *Service, voice.Principal) error
}

func verbs() []verb {
	const (
		ws   = "/workspaces/w"
		call = ws + "/channels/c/calls/a"
	)
	channel := Target{Workspace: "w", Channel: "c"}
	at := Target{Workspace: "w", Channel: "c", Call: "a"}
	below := Target{Workspace: "w", Channel: "c", Call: "a", Recording: "r"}
	stored := Target{Workspace: "w", Recording: "r"}
	made := Target{Workspace: "w", Recording: "r", Render: "m"}
	return append(append(eventVerbs(), mediaVerbs()...), []verb{
		{"CreateChannel", voice.ActionCreate, ws + "/channels", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.CreateChannel(ctx, p, "w", ChannelChange{})
			return err
		}},
		{"Channels", voice.ActionView, ws + "/channels", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Channels(ctx, p, "w", voice.Page{Limit: 1})
			return err
		}},
		{"Channel", voice.ActionView, ws + "/channels/c", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Channel(ctx, p, channel)
			return err
		}},
		{"UpdateChannel", voice.ActionUpdate, ws + "/channels/c", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.UpdateChannel(ctx, p, channel, ChannelChange{})
			return err
		}},
		{"DeleteChannel", voice.ActionDelete, ws + "/channels/c", func(ctx context.Context, s *Service, p voice.Principal) error {
			return s.DeleteChannel(ctx, p, channel)
		}},
		{"CreateCall", voice.ActionCreate, ws + "/channels/c/calls", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.CreateCall(ctx, p, channel, NewCall{}, Once{})
			return err
		}},
		{"Calls", voice.ActionView, ws + "/channels/c/calls", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Calls(ctx, p, channel, voice.CallFilter{})
			return err
		}},
		{"Calls", voice.ActionView, ws + "/channels/calls", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Calls(ctx, p, Target{Workspace: "w"}, voice.CallFilter{})
			return err
		}},
		{"Call", voice.ActionView, call, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Call(ctx, p, at)
			return err
		}},
		{"UpdateCall", voice.ActionUpdate, call, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.UpdateCall(ctx, p, at, CallChange{})
			return err
		}},
		{"Answer", voice.ActionCreate, call + "/answer", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Answer(ctx, p, at)
			return err
		}},
		{"Ringing", voice.ActionCreate, call + "/ringing", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Ringing(ctx, p, at)
			return err
		}},
		{"Hangup", voice.ActionCreate, call + "/hangup", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Hangup(ctx, p, at, "")
			return err
		}},
		{"Playback", voice.ActionCreate, call + "/playback", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Playback(ctx, p, at, voice.Playback{}, Once{})
			return err
		}},
		{"Say", voice.ActionCreate, call + "/say", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Say(ctx, p, at, voice.Say{}, Once{})
			return err
		}},
		{"Gather", voice.ActionCreate, call + "/gather", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Gather(ctx, p, at, voice.Gather{}, Once{})
			return err
		}},
		{"Voicemail", voice.ActionCreate, call + "/record", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Voicemail(ctx, p, at, voice.Record{EndKey: "x"}, Once{})
			return err
		}},
		{"Bridge", voice.ActionCreate, call + "/bridge", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Bridge(ctx, p, at, voice.Bridge{}, Once{})
			return err
		}},
		{"RecordCall", voice.ActionCreate, call + "/recordings", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.RecordCall(ctx, p, at, voice.RecordCall{}, Once{Key: "k"})
			return err
		}},
		{"CallRecordings", voice.ActionView, call + "/recordings", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.CallRecordings(ctx, p, at, voice.Page{Limit: 1})
			return err
		}},
		{"CallRecording", voice.ActionView, call + "/recordings/r", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.CallRecording(ctx, p, below)
			return err
		}},
		{"UpdateRecording", voice.ActionUpdate, call + "/recordings/r", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.UpdateRecording(ctx, p, below, voice.RecordingPaused, "")
			return err
		}},
		{"Recordings", voice.ActionView, ws + "/recordings", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Recordings(ctx, p, "w", voice.RecordingFilter{})
			return err
		}},
		{"Recording", voice.ActionView, ws + "/recordings/r", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Recording(ctx, p, stored)
			return err
		}},
		{"DeleteRecording", voice.ActionDelete, ws + "/recordings/r", func(ctx context.Context, s *Service, p voice.Principal) error {
			return s.DeleteRecording(ctx, p, stored)
		}},
		{"Audio", voice.ActionView, ws + "/recordings/r.wav", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Audio(ctx, p, stored, voice.FormatWAV)
			return err
		}},
		{"Audio", voice.ActionView, ws + "/recordings/r.mp3", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Audio(ctx, p, stored, voice.FormatMP3)
			return err
		}},
		{"Peaks", voice.ActionView, ws + "/recordings/r/peaks", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Peaks(ctx, p, stored, 1)
			return err
		}},
		{"RenderAgain", voice.ActionCreate, ws + "/recordings/r/renders", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.RenderAgain(ctx, p, stored, RenderOrder{}, Once{})
			return err
		}},
		{"Renders", voice.ActionView, ws + "/recordings/r/renders", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Renders(ctx, p, stored, voice.Page{Limit: 1})
			return err
		}},
		{"Render", voice.ActionView, ws + "/recordings/r/renders/m", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Render(ctx, p, made)
			return err
		}},
		{"RenderAudio", voice.ActionView, ws + "/recordings/r/renders/m/audio", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.RenderAudio(ctx, p, made)
			return err
		}},
		{"RenderReceipt", voice.ActionView, ws + "/recordings/r/renders/m/receipt", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.RenderReceipt(ctx, p, made)
			return err
		}},
		{"Receipt", voice.ActionView, ws + "/recordings/r/receipt", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Receipt(ctx, p, stored)
			return err
		}},
	}...)
}

// TestEveryVerbAsksFirst calls every verb on a service that has nothing behind
// it: whoever is refused is refused before anything is touched, and who has
// exactly the right for the verb's action and path gets further.
func TestEveryVerbAsksFirst(t *testing.T) {
	s := &Service{}
	for _, v := range verbs() {
		right := voice.Policy{Effect: voice.Allow, Actions: []voice.Action{v.action}, Resources: []string{v.path}}
		others := slices.DeleteFunc([]voice.Action{voice.ActionCreate, voice.ActionView, voice.ActionUpdate, voice.ActionDelete}, func(a voice.Action) bool { return a == v.action })
		for what, test := range map[string]struct {
			who  voice.Principal
			want voice.Code
		}{
			"no policies":     {voice.Principal{Workspace: "w"}, voice.CodeForbidden},
			"other workspace": {voice.Principal{Workspace: "x", Policies: []voice.Policy{right}}, voice.CodeNotFound},
			"denied": {voice.Principal{Workspace: "w", Policies: []voice.Policy{
				right, {Effect: voice.Deny, Actions: []voice.Action{voice.ActionAny}, Resources: []string{"/workspaces/w/**"}},
			}}, voice.CodeForbidden},
			"other actions": {voice.Principal{Workspace: "w", Policies: []voice.Policy{
				{Effect: voice.Allow, Actions: others, Resources: []string{"/workspaces/w/**"}},
			}}, voice.CodeForbidden},
			"path below": {voice.Principal{Workspace: "w", Policies: []voice.Policy{
				{Effect: voice.Allow, Actions: []voice.Action{voice.ActionAny}, Resources: []string{v.path + "/*"}},
			}}, voice.CodeForbidden},
		} {
			if err := v.call(t.Context(), s, test.who); voice.CodeOf(err) != test.want {
				t.Errorf("%s, %s: %v, want %s", v.name, what, err, test.want)
			}
		}
		if !passes(t, s, v, voice.Principal{Workspace: "w", Policies: []voice.Policy{right}}) {
			t.Errorf("%s: the right to %s %s is not enough", v.name, v.action, v.path)
		}
	}
}

// passes reports whether the verb got past the question for the right: it then
// either refuses its input or finds nothing behind the service.
func passes(t *testing.T, s *Service, v verb, who voice.Principal) (past bool) {
	t.Helper()
	defer func() { past = past || recover() != nil }()
	err := v.call(t.Context(), s, who)
	var e *voice.Error
	return !errors.As(err, &e) || (e.Code != voice.CodeForbidden && e.Code != voice.CodeNotFound)
}

// TestTableHasEveryVerb: no verb escapes the test above.
func TestTableHasEveryVerb(t *testing.T) {
	kind := reflect.TypeFor[*Service]()
	for i := range kind.NumMethod() {
		name := kind.Method(i).Name
		if slices.Contains([]string{"Authenticate", "Authorize", "Check", "Told"}, name) {
			continue // no verbs: they ask for no right
		}
		if !slices.ContainsFunc(verbs(), func(v verb) bool { return v.name == name }) {
			t.Errorf("verb %s is not among those that are tested for access", name)
		}
	}
}
