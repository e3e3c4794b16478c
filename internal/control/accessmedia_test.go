package control

import (
	"context"
	"strings"

	"tapedeck/internal/voice"
)

// mediaVerbs are those of uploaded files and transcriptions.
func mediaVerbs() []verb {
	const (
		media = "/workspaces/w/media"
		texts = "/workspaces/w/transcriptions"
	)
	file := Target{Workspace: "w", Media: "m"}
	stored := Target{Workspace: "w", Recording: "r"}
	text := Target{Workspace: "w", Transcription: "t"}
	return []verb{
		{"UploadMedia", voice.ActionCreate, media, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.UploadMedia(ctx, p, "w", "", strings.NewReader(""), Once{})
			return err
		}},
		{"MediaList", voice.ActionView, media, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.MediaList(ctx, p, "w", voice.Page{Limit: 1})
			return err
		}},
		{"MediaFile", voice.ActionView, media + "/m", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.MediaFile(ctx, p, file)
			return err
		}},
		{"DeleteMedia", voice.ActionDelete, media + "/m", func(ctx context.Context, s *Service, p voice.Principal) error {
			return s.DeleteMedia(ctx, p, file)
		}},
		{"TranscribeRecording", voice.ActionCreate, "/workspaces/w/recordings/r/transcriptions", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.TranscribeRecording(ctx, p, stored, "en-US", Once{})
			return err
		}},
		{"Transcriptions", voice.ActionView, texts, func(ctx context.Context, s *Service, p voice.Principal) error {
			_, _, err := s.Transcriptions(ctx, p, "w", voice.TranscriptionFilter{})
			return err
		}},
		{"Transcription", voice.ActionView, texts + "/t", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.Transcription(ctx, p, text)
			return err
		}},
		{"TranscriptionText", voice.ActionView, texts + "/t.srt", func(ctx context.Context, s *Service, p voice.Principal) error {
			_, err := s.TranscriptionText(ctx, p, text, voice.TextSRT)
			return err
		}},
	}
}
