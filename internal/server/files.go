package server

import (
	"tapedeck/internal/archive"
	"tapedeck/internal/background"
	"tapedeck/internal/publish"
	"tapedeck/internal/render/workshop"
)

// RunWorkshop is what a process of Options.Workshop runs, until the server ends it.
func RunWorkshop() error { return workshop.Serve() }

// WorkshopCommand is the command for Options.Workshop of a program that calls
// RunWorkshop when it is given these arguments; nil where the system has no such
// processes.
func WorkshopCommand(args ...string) ([]string, error) {
	if !workshop.Supported() {
		return nil, nil
	}
	self, err := workshop.Program()
	if err != nil {
		return nil, err
	}
	return append([]string{self}, args...), nil
}

// openFiles: the archive, the places in which files are made, who makes them.
func (s *Server) openFiles() (kept *archive.Archive, heavy *background.Pool, err error) {
	c := s.o.Config
	bucket := s.bucket
	var maker publish.Workshop
	aside := c.Recording.Process && len(s.o.Workshop) > 0
	if aside {
		crew, err := workshop.New(workshop.Options{Command: s.o.Workshop, Logger: s.log, Registerer: s.registry})
		if err != nil {
			return nil, nil, err
		}
		s.opened(crew.Close)
		maker, bucket = crew, bucket.SummedBy(crew.Sum)
	}
	if kept, err = archive.New(archive.Options{Bucket: bucket}); err != nil {
		return nil, nil, err
	}
	if heavy, err = background.New(background.Options{Parallel: c.Recording.Renderers, Elsewhere: aside, Registerer: s.registry}); err != nil {
		return nil, nil, err
	}
	s.publisher, err = publish.New(publish.Options{
		DB: s.db, Recorder: s.recorder, Archive: kept, Signer: s.key, WorkDir: s.dir.in(workName),
		KeepJournal: c.Recording.KeepJournal, Software: "tapedeck " + s.o.Version,
		Background: heavy, Workshop: maker, Wake: func() { s.runner.Wake() },
		Logger: s.log, Registerer: s.registry,
	})
	return kept, heavy, err
}
