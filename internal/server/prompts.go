package server

import (
	"tapedeck/internal/archive"
	"tapedeck/internal/fetch"
	"tapedeck/internal/prompt"
	"tapedeck/internal/transcribe"
)

// openPrompts: what calls hear, what understands them, and what writes down
// recordings.
func (s *Server) openPrompts(kept *archive.Archive) (err error) {
	web := fetch.New(fetch.Options{
		AllowPrivate: s.o.Config.AllowPrivateURLs, UserAgent: "Tapedeck/" + s.o.Version, Hosts: s.o.Hosts,
	})
	s.opened(func() error { web.Close(); return nil })
	if s.prompts, err = prompt.New(prompt.Options{
		DB: s.db, Bucket: s.bucket, Fetch: web, Voices: s.speech.Voices, WorkDir: s.dir.in(workName), Room: s.recorder.Room,
		Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	s.opened(s.prompts.Close)
	s.ears = prompt.NewEars(s.speech.Ears)
	s.opened(s.ears.Close)
	s.text, err = transcribe.New(transcribe.Options{
		DB: s.db, Archive: kept, By: s.speech.Ears, Logger: s.log, Registerer: s.registry,
	})
	return err
}
