package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tapedeck/internal/voice"
)

// part is an engine that runs until it is stopped.
type part struct {
	name string
	run  func(context.Context) error
	stop context.CancelFunc
	done chan struct{} // closed when run has returned
	err  error         // of run; read after done
}

// parts are the running engines. The first that ends by itself ends the server.
type parts struct {
	list   []*part
	failed chan *part // sent to by an engine that ended without being told to; has room for all
	wg     sync.WaitGroup
}

func (p *parts) start(name string, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	e := &part{name: name, run: run, stop: stop, done: make(chan struct{})}
	p.list = append(p.list, e)
	p.wg.Go(func() {
		defer close(e.done)
		e.err = run(ctx)
		if ctx.Err() == nil {
			p.failed <- e
		}
	})
}

// end stops the engines in the opposite order of their start, each one joined
// before the next is told.
func (p *parts) end() error {
	var errs []error
	for i := len(p.list) - 1; i >= 0; i-- {
		e := p.list[i]
		e.stop()
		<-e.done
		if e.err != nil && !errors.Is(e.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", e.name, e.err))
		}
	}
	p.wg.Wait()
	return errors.Join(errs...)
}

// beatEvery is how exactly the end of calls is known after a crash.
const beatEvery = time.Second

// Run answers calls and requests until ctx is done, then drains: no new calls;
// the running ones may end by themselves for most of the drain timeout, are
// hung up after it, and their recordings become available before it returns.
// It closes the server.
func (s *Server) Run(ctx context.Context) error {
	p := &parts{failed: make(chan *part, 16)}
	p.start("data directory", s.beat)
	p.start("webhooks", s.webhooks.Run)
	p.start("recorder", s.recorder.Run)
	p.start("jobs", s.runner.Run)
	p.start("media", s.media.Run)
	if s.o.Collect > 0 && s.o.Alone && mayGoFirst(s.o.Config) {
		p.start("garbage collection", (&collector{percent: s.o.Collect, during: s.media.Relent}).run)
	}
	p.start("sip", s.agent.Run)
	p.start("scheduled calls", s.dialer.Run)
	p.start("http", s.serveHTTP)
	s.log.Info("ready", "http", s.listener.Addr().String(), "sip", s.agent.Addr().String(), "data", s.dir.path, "version", s.o.Version)

	var broken error
	select {
	case <-ctx.Done():
	case e := <-p.failed:
		broken = fmt.Errorf("%s stopped: %w", e.name, e.err)
		s.log.Error("shutting down because an engine stopped", "engine", e.name, "error", e.err)
	}
	s.until = time.Now().Add(s.o.Config.DrainTimeout)
	s.drain(broken != nil)
	return errors.Join(broken, p.end(), s.Close())
}

// drain ends the calls in two steps: wait for them, then hang up.
func (s *Server) drain(atOnce bool) {
	timeout := s.o.Config.DrainTimeout
	deadline, cancel := context.WithDeadline(context.Background(), s.until)
	defer cancel()
	// A quarter, five seconds at most, is kept for hanging up and for the files.
	patience := timeout - min(timeout/4, 5*time.Second)
	if atOnce {
		patience = 0
	}
	s.log.Info("draining", "timeout", timeout.String())
	s.agent.Drain(timeout)
	waiting, stop := context.WithTimeout(deadline, patience)
	defer stop()
	if err := s.sessions.Drain(waiting); err != nil {
		s.log.Warn("hanging up the calls that are left", "after", patience.String())
	}
	s.endSessions(deadline)
	s.runner.Leave(voice.JobTranscribe) // an engine may take long; it begins anew
	if err := s.runner.Idle(deadline); err != nil {
		s.log.Warn("recordings are left to be made at the next start", "error", err)
	}
}

// endSessions hangs up, and waits for the last states until the deadline. A
// disk that does not take a journal can hold a session up for longer: the end of
// the recorder, which comes after this, cuts that short, and Close waits for it.
func (s *Server) endSessions(deadline context.Context) {
	ended := make(chan error, 1) // sent to once; Server.Close waits for the same sessions
	go func() { ended <- s.sessions.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			s.log.Error("end sessions", "error", err)
		}
	case <-deadline.Done():
		s.log.Error("calls did not end in time: their recordings are mended at the next start")
	}
}

// beat marks once a second that the server lives.
func (s *Server) beat(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := s.dir.beat(time.Now()); err != nil {
			s.log.Warn("data directory does not take the mark of life", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// serveHTTP serves until ctx is done, then lets running requests end.
func (s *Server) serveHTTP(ctx context.Context) error {
	ended := make(chan error, 1) // sent to once, by Serve
	go func() { ended <- s.http.Serve(s.listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// What is left of the drain timeout, but a moment in any case: a request
	// that is being answered shall have its answer.
	left := min(max(time.Until(s.until), 200*time.Millisecond), 2*time.Second)
	grace, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	err := s.http.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// storagePath is the folder of a file: storage URL or of a plain path.
func storagePath(storage string) (string, error) {
	u, err := url.Parse(storage)
	switch {
	case err != nil:
		return "", fmt.Errorf("storage %q: %w", storage, err)
	case u.Scheme == "":
		return storage, nil
	case u.Scheme == "file":
		return u.Path, nil
	}
	return "", fmt.Errorf("storage %q: this build keeps recordings in a folder; give a path or a file: URL", storage)
}
