package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tapedeck/internal/admin"
	"tapedeck/internal/auth"
	"tapedeck/internal/blob"
	"tapedeck/internal/blob/fileblob"
	"tapedeck/internal/config"
	"tapedeck/internal/control"
	"tapedeck/internal/dispatch"
	"tapedeck/internal/httpapi"
	"tapedeck/internal/jobs"
	"tapedeck/internal/journal"
	"tapedeck/internal/keys"
	"tapedeck/internal/media"
	"tapedeck/internal/prompt"
	"tapedeck/internal/publish"
	"tapedeck/internal/receipt"
	"tapedeck/internal/recorder"
	"tapedeck/internal/session"
	"tapedeck/internal/sip"
	"tapedeck/internal/speech"
	"tapedeck/internal/store"
	"tapedeck/internal/transcribe"
	"tapedeck/internal/voice"
	"tapedeck/internal/webhook"
)

// Options say what server to build.
type Options struct {
	Config  *config.Config
	Logger  *slog.Logger // nil = discard
	Version string       // of this build

	// Alone: the process is this server and nothing else, so that its media may go
	// before all other threads.
	Alone bool

	// Collect is by how many per cent of what is in use the heap may grow before garbage
	// is collected, where media workers go before all other threads: they do so with
	// packets only, meanwhile. 0 = the run-time decides.
	Collect int

	// Workshop is the program, and its arguments, that calls RunWorkshop: files are
	// made in processes of it, if the configuration does not say otherwise. Empty =
	// they are made in this one.
	Workshop []string

	// Where the journals of running recordings are written, and how long a disk that
	// fails is tried again before a recording is given up. For tests of faults; nil
	// and 0 are the operating system's files, and what the recorder does by itself.
	Journals journal.Files
	GiveUp   time.Duration

	// Where some hosts of the web are really found when files are fetched from them,
	// "name:port" to "address:port". For tests.
	Hosts map[string]string
}

// Server is one Tapedeck node.
type Server struct {
	o        Options
	log      *slog.Logger
	epoch    time.Time
	registry *prometheus.Registry

	dir       *dataDir
	key       *keys.Key // signs receipts
	db        *store.DB
	bucket    *blob.Bucket
	media     *media.Engine
	recorder  *recorder.Recorder
	agent     *sip.Agent
	sessions  *session.Manager
	publisher *publish.Publisher
	prompts   *prompt.Library
	ears      *prompt.Ears
	text      *transcribe.Transcriber
	runner    *jobs.Runner
	dialer    *jobs.Runner
	speech    *speech.Engines
	dispatch  *dispatch.Dispatcher
	webhooks  *webhook.Sender
	health    *admin.Health
	listener  net.Listener
	http      *http.Server

	until   time.Time      // when a drain must be over; set by Run before it stops the engines
	closers []func() error // in the order in which things were opened
}

// Ready tells where a server is reached. It is the line that serve prints.
type Ready struct {
	Event string `json:"event"` // "ready"
	HTTP  string `json:"http"`
	SIP   string `json:"sip"`
}

// New opens everything and binds every socket; nothing is answered before Run.
// When it fails it leaves nothing open, and the error says what a person can
// do. A server that is not run must be closed.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, log: o.Logger, epoch: time.Now(), registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, build := range []func(context.Context) error{
		s.openStores, s.openEngines, s.openSpeech, s.openCalls, s.recover, s.openDoors,
	} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// now is the process's monotonic clock.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

func (s *Server) opened(closer func() error) { s.closers = append(s.closers, closer) }

// openStores: lock, receipt key, database, blobs.
func (s *Server) openStores(ctx context.Context) (err error) {
	c := s.o.Config
	if s.dir, err = openDataDir(c.Data); err != nil {
		return err
	}
	s.opened(s.dir.close)
	if s.key, err = keys.Open(c.Data); err != nil {
		return err
	}
	database := c.Database
	if database == "" {
		database = store.PathIn(c.Data)
	}
	if s.db, err = store.Open(ctx, store.Options{URL: database}); err != nil {
		return err
	}
	s.opened(s.db.Close)
	if err := bootstrap(ctx, s.db, c.Data); err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	files := s.dir.in(filesName)
	if c.Storage != "" {
		if files, err = storagePath(c.Storage); err != nil {
			return err
		}
	}
	driver, err := fileblob.New(fileblob.Options{Dir: files})
	if err != nil {
		return fmt.Errorf("storage %s: %w", files, err)
	}
	s.bucket = blob.New(driver)
	s.opened(s.bucket.Close)
	return nil
}

// openEngines: media, recorder, SIP.
func (s *Server) openEngines(context.Context) (err error) {
	c := s.o.Config
	if s.agent, err = sip.New(sip.Options{
		Listen: c.SIP, UserAgent: "Tapedeck/" + s.o.Version, OnInvite: s.invite,
		MinSE: c.Session.MinSE, SessionExpires: c.Session.Expires,
		Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	s.opened(s.agent.Close)
	bind := s.agent.Addr().Addr()
	public := c.MediaIP
	if !public.IsValid() {
		public = bind
	}
	if public.IsUnspecified() {
		return fmt.Errorf("sip listens on every address (%s), so the address for SDP is not known: give it with --media-ip", c.SIP)
	}
	if s.media, err = media.New(media.Options{
		BindIP: bind, PublicIP: public, PortFrom: c.RTP.From, PortTo: c.RTP.To,
		Cooldown: c.Media.Cooldown, Workers: c.Media.Workers, Shared: c.Media.SharedPorts, NoRing: !c.Media.Uring, Ahead: s.o.Alone,
		RealTime: s.o.Alone && c.Media.RealTime, Behind: func() bool { return s.recorder.Behind() }, Now: s.now,
		Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	s.opened(s.media.Close)
	if s.recorder, err = recorder.New(recorder.Options{
		Dir: s.dir.in(journalsName), FlushEvery: c.Recording.Flush, SyncEvery: c.Recording.Sync,
		Buffer: c.Recording.Buffer, MinFree: uint64(max(0, c.Recording.MinFree)), MaskDigits: c.Recording.MaskDTMF, Now: s.now,
		Files: s.o.Journals, RetryFor: s.o.GiveUp,
		Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	s.opened(s.recorder.Close)
	if err := s.recorder.Room(); err != nil {
		s.log.Warn("no new recordings until there is room", "error", err)
	}
	return nil
}

// openCalls: sessions, publisher, jobs, dispatch.
func (s *Server) openCalls(context.Context) (err error) {
	c := s.o.Config
	kept, heavy, err := s.openFiles()
	if err != nil {
		return err
	}
	if err := s.openPrompts(kept); err != nil {
		return err
	}
	if s.runner, err = jobs.New(jobs.Options{
		// What was only asked for never has all workers: a recording that ended is
		// published at once, however many renders wait. Most of the time of a short
		// recording's job is waiting for the transactions of others.
		DB: s.db, Node: c.Node, Workers: 2*heavy.Parallel() + waitingJobs,
		Limits: map[string]int{voice.JobRender: heavy.Parallel(), voice.JobTranscribe: heavy.Parallel(), voice.JobSweep: 1, voice.JobMedia: 1},
		Logger: s.log, Registerer: s.registry,
		Handlers: map[string]jobs.Handler{
			voice.JobPublish: s.publisher.Publish, voice.JobRender: s.publisher.Render, voice.JobSweep: s.publisher.Sweep,
			voice.JobTranscribe: s.text.Transcribe, voice.JobMedia: s.prompts.Tidy,
		},
	}); err != nil {
		return err
	}
	if s.dialer, err = jobs.New(jobs.Options{
		// A runner of its own: a call is placed at its time, however many files are
		// being made.
		DB: s.db, Node: c.Node + " calls", BackoffMax: 10 * time.Second, Logger: s.log,
		Handlers: map[string]jobs.Handler{
			voice.JobDial: func(ctx context.Context, j store.Job) error { return s.sessions.Place(ctx, j) },
		},
	}); err != nil {
		return err
	}
	if s.sessions, err = session.New(session.Options{
		Agent: s.agent, Media: s.media, Recorder: s.recorder, DB: s.db, Now: s.now,
		Wake:   s.wake,
		Sounds: s.prompts, Ears: s.ears,
		MaxRecording: c.Recording.MaxLength, MediaTimeout: c.Media.Timeout, MaxSessions: c.Session.MaxCalls,
		Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	if s.dispatch, err = dispatch.New(dispatch.Options{
		DB: s.db, Sessions: s.sessions, Logger: s.log, Registerer: s.registry,
	}); err != nil {
		return err
	}
	s.opened(s.sessions.Close)
	receivers, err := s.openWebhooks()
	if err != nil {
		return err
	}
	access, err := auth.New(auth.Options{DB: s.db, Now: s.now})
	if err != nil {
		return err
	}
	verbs, err := control.New(control.Options{
		DB: s.db, Auth: access, Sessions: s.sessions, Archive: kept, Files: s.publisher,
		CheckReceiver: receivers, Due: s.webhooks.Wake,
		Media: s.prompts, Transcriber: s.text, Wake: s.runner.Wake, Logger: s.log,
	})
	if err != nil {
		return err
	}
	return s.openHTTP(verbs)
}

// recover ends what a crash left open, before anything new begins.
func (s *Server) recover(ctx context.Context) error {
	if err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.DropReservations() }); err != nil {
		return fmt.Errorf("give back idempotency keys: %w", err)
	}
	if err := session.Recover(ctx, s.db, s.dir.alive, s.log); err != nil {
		return fmt.Errorf("recover calls: %w", err)
	}
	return s.publisher.Recover(ctx, s.dir.in(journalsName))
}

// openDoors: the HTTP listener.
func (s *Server) openDoors(ctx context.Context) (err error) {
	c := s.o.Config
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, family(c.HTTP), c.HTTP); err != nil {
		return fmt.Errorf("http cannot listen on %s: %w; give another address with --http", c.HTTP, err)
	}
	s.opened(func() error {
		if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// family is the network of an address: 0.0.0.0 is every IPv4 address and no IPv6
// one, which "tcp" alone would open too.
func family(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func (s *Server) openHTTP(verbs *control.Service) error {
	health, err := admin.New(admin.Options{
		Check: verbs.Check, Draining: s.sessions.Draining, Room: s.recorder.Room, Gatherer: s.registry,
	})
	if err != nil {
		return err
	}
	s.health = health
	public := s.key.Public()
	api, err := httpapi.New(httpapi.Options{
		Service: verbs, Health: health, Logger: s.log, Registerer: s.registry,
		ReceiptKey: httpapi.ReceiptKey{Algorithm: receipt.Algorithm, KeyID: public.ID(), PublicKey: public.Base64(), PEM: public.PEM()},
	})
	if err != nil {
		return err
	}
	s.http = httpapi.Server(api)
	return nil
}

// waitingJobs is how many jobs may be under way beside those that make something. It is
// ours: at 100 recordings a second each waits some 75 ms for transactions.
const waitingJobs = 13

// wake tells the runner of a kind of jobs that one was stored.
func (s *Server) wake(kind string) {
	if kind == voice.JobDial {
		s.dialer.Wake()
		return
	}
	s.runner.Wake()
}

// invite is called by the SIP agent for each incoming call.
func (s *Server) invite(d *sip.Dialog) { s.dispatch.Invite(d) }

// Ready tells where the server is reached.
func (s *Server) Ready() Ready {
	return Ready{Event: "ready", HTTP: s.listener.Addr().String(), SIP: s.agent.Addr().String()}
}

// SIP is the address of the SIP agent.
func (s *Server) SIP() netip.AddrPort { return s.agent.Addr() }

// DataDir is the data directory.
func (s *Server) DataDir() string { return s.dir.path }

// Close gives everything free that New opened. It may be called again.
func (s *Server) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
