package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tapedeck/client"
	"tapedeck/internal/callgen"
	"tapedeck/internal/server"
)

// Options say how to run the demo. The zero value is a good one.
type Options struct {
	// Data is the server's data directory. Empty = a temporary one, of which only the
	// recording and its receipt are left.
	Data string
	// Keep leaves the temporary data directory.
	Keep bool
	// Conversation to talk. Empty = DefaultConversation.
	Conversation string
	// Picture is where the waveform is drawn, as SVG. Empty = nowhere.
	Picture string
	// Out gets the report. nil = nobody.
	Out io.Writer
	// Progress gets a line that is written over and over. nil = nobody.
	Progress io.Writer
	Logger   *slog.Logger // of the server; nil = discard
	Version  string
}

// timeout is how long the whole demo may take, far above the 16 s that it does.
const timeout = time.Minute

// The parties of the demo.
const (
	callerName = "+15550100"
	calleeName = "desk"
)

// stage is what the demo runs on.
type stage struct {
	o       Options
	dir     string // of the server
	results string // where the recording and the receipt go
	talk    conversation

	api       *client.Client
	boot      server.Bootstrap
	ready     server.Ready
	endpoint  *callgen.Endpoint
	caller    *callgen.Party
	callee    *callgen.Party
	call      client.CallID
	recording client.RecordingID
}

// Run runs the demo and returns what came of it. The error is one of the demo
// itself, or says what in the recording is not as it must be.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	if o.Conversation == "" {
		o.Conversation = DefaultConversation
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s := &stage{o: o}
	if s.talk, err = readConversation(o.Conversation); err != nil {
		return nil, err
	}
	tidy, err := s.directories()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tidy()) }()
	result, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	result.Print(o.Out)
	if o.Picture != "" {
		if err := result.draw(o.Picture); err != nil {
			return result, fmt.Errorf("draw the waveform: %w", err)
		}
	}
	return result, result.Judge()
}

// directories makes the places, and returns what tidies up.
func (s *stage) directories() (tidy func() error, err error) {
	if s.o.Data != "" {
		s.dir, s.results = s.o.Data, s.o.Data
		return func() error { return nil }, nil
	}
	if s.results, err = os.MkdirTemp("", "tapedeck-demo-"); err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w; name one with --data", err)
	}
	s.dir = filepath.Join(s.results, "data")
	if s.o.Keep {
		return func() error { return nil }, nil
	}
	return func() error {
		// Without a recording, nothing there is of use to anybody.
		return errors.Join(os.RemoveAll(s.dir), removeIfEmpty(s.results))
	}, nil
}

func removeIfEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return err
	}
	return os.Remove(dir)
}

// run starts the server and the parties, lets them talk, and stops everything.
func (s *stage) run(ctx context.Context) (result *Result, err error) {
	cfg, err := server.LoadConfig(server.Source{Flags: map[string]string{
		"data": s.dir, "http": "127.0.0.1:0", "sip": "127.0.0.1:0", "drain-timeout": "10s", "recording-min-free": "16MiB",
	}})
	if err != nil {
		return nil, err
	}
	srv, err := server.New(ctx, server.Options{Config: cfg, Logger: s.o.Logger, Version: s.o.Version})
	if err != nil {
		return nil, err
	}
	s.ready = srv.Ready()
	serving := inBackground(ctx, srv.Run)
	defer func() { err = errors.Join(err, serving()) }()

	if s.boot, err = server.ReadBootstrap(s.dir); err != nil {
		return nil, fmt.Errorf("%w; give --data an empty directory, or one that a demo has used", err)
	}
	s.api = client.New(client.Options{BaseURL: s.ready.HTTP, AccessKey: s.boot.AccessKey, Workspace: string(s.boot.Workspace)})
	defer s.api.Close()

	if s.endpoint, err = callgen.New(callgen.Options{UserAgent: "tapedeck demo"}); err != nil {
		return nil, err
	}
	calling := inBackground(ctx, s.endpoint.Run)
	defer func() { err = errors.Join(err, calling()) }()
	return s.perform(ctx)
}

// inBackground starts a run, and returns what stops it and waits for it.
func inBackground(ctx context.Context, run func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1) // sent to once, by run
	go func() { ended <- run(ctx) }()
	return func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}
