package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/auth"
	"tapedeck/internal/session"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Service works with. All but Logger and Wake are needed.
type Options struct {
	DB       *store.DB
	Auth     *auth.Authenticator
	Sessions *session.Manager
	Archive  *archive.Archive

	Files Files
	// Media keeps uploaded files; Transcriber writes down what recordings hold.
	Media       Media
	Transcriber Transcriber
	// Wake tells the runner of the jobs that one was committed; nil = it finds out
	// by itself.
	Wake func()

	// CheckReceiver says what is wrong with an address that is to be told of
	// events, for the user.
	CheckReceiver func(url string) error
	// Due is called when deliveries may have become due.
	Due func()

	Logger *slog.Logger // nil = discard
}

// Files makes files of recordings; publish does. What it refuses is a
// *voice.Error.
type Files interface {
	// Live makes a file of what a recording holds so far, open at its start, which
	// vanishes when it is closed, and its SHA-256 (hexadecimal). fs.ErrNotExist
	// when there is nothing.
	Live(context.Context, voice.Recording, voice.AudioFormat) (io.ReadSeekCloser, string, error)
	// LivePeaks are the peaks of what a recording holds so far. It fails as Live.
	LivePeaks(ctx context.Context, r voice.Recording, points int) (voice.Peaks, error)
	// Format has an available recording made into another format, once, and waits
	// for it a while.
	Format(context.Context, voice.Recording, voice.AudioFormat) (voice.Render, error)
	// Peaks are the peaks of an available recording.
	Peaks(ctx context.Context, r voice.Recording, points int) (voice.Peaks, error)
	// Again asks for a recording to be rendered again from its journal.
	Again(context.Context, voice.Recording, voice.Render) (voice.Render, error)
	// Ready waits a while for a render to be made.
	Ready(context.Context, voice.Recording, voice.RenderID) (voice.Render, error)
	// Forget removes what is kept of a recording's audio outside the archive: its
	// journal. It is idempotent.
	Forget(context.Context, voice.RecordingID) error
}

// Service is the set of verbs. Its methods may be called from any goroutine.
type Service struct {
	db       *store.DB
	auth     *auth.Authenticator
	sessions *session.Manager
	archive  *archive.Archive
	files    Files
	receiver func(url string) error
	due      func()
	media    Media
	text     Transcriber
	doJobs   func()
	log      *slog.Logger
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.DB == nil || o.Auth == nil || o.Sessions == nil || o.Archive == nil || o.Files == nil || o.Media == nil || o.Transcriber == nil ||
		o.CheckReceiver == nil || o.Due == nil {
		return nil, errors.New("control: DB, Auth, Sessions, Archive, Files, Media, Transcriber, CheckReceiver and Due are needed")
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		db: o.DB, auth: o.Auth, sessions: o.Sessions, archive: o.Archive, files: o.Files,
		receiver: o.CheckReceiver, due: o.Due, media: o.Media, text: o.Transcriber, doJobs: o.Wake, log: o.Logger,
	}, nil
}

// Authenticate tells whose key an Authorization header carries. A bad one is
// voice.CodeUnauthorized.
func (s *Service) Authenticate(ctx context.Context, header string) (voice.Principal, error) {
	return s.auth.Authenticate(ctx, header)
}

// Authorize reports whether the principal may do the action on the path, which
// is that of the API: /workspaces/{id}/…. A workspace that is not the
// principal's own is not found, whether it exists or not.
func (s *Service) Authorize(who voice.Principal, action voice.Action, ws voice.WorkspaceID, path string) error {
	if ws != who.Workspace {
		return voice.NotFound("workspace")
	}
	if !who.May(action, path) {
		return &voice.Error{Code: voice.CodeForbidden, Message: "The access key has no right to " + string(action) + " " + path}
	}
	return nil
}

// Check reports whether the database answers.
func (s *Service) Check(ctx context.Context) error { return s.db.Ping(ctx) }

// Target names a resource by its path.
type Target struct {
	Workspace voice.WorkspaceID
	Channel   voice.ChannelID
	Call      voice.CallID
	Recording voice.RecordingID
	Render    voice.RenderID

	Subscription voice.SubscriptionID
	Delivery     voice.DeliveryID

	Media         voice.MediaID
	Transcription voice.TranscriptionID
}

// path is the API's path of the target, up to the last id that it has.
func (t Target) path() string {
	p := "/workspaces/" + string(t.Workspace)
	if t.Channel != "" {
		p += "/channels/" + string(t.Channel)
	}
	if t.Call != "" {
		p += "/calls/" + string(t.Call)
	}
	if t.Recording != "" {
		p += "/recordings/" + string(t.Recording)
	}
	if t.Render != "" {
		p += "/renders/" + string(t.Render)
	}
	if t.Subscription != "" {
		p += "/webhook-subscriptions/" + string(t.Subscription)
	}
	if t.Delivery != "" {
		p += "/webhook-deliveries/" + string(t.Delivery)
	}
	if t.Media != "" {
		p += "/media/" + string(t.Media)
	}
	if t.Transcription != "" {
		p += "/transcriptions/" + string(t.Transcription)
	}
	return p
}

// authorize asks for the right on the target's path with below added to it.
func (s *Service) authorize(who voice.Principal, action voice.Action, t Target, below string) error {
	return s.Authorize(who, action, t.Workspace, t.path()+below)
}

func now() time.Time { return time.Now().UTC() }

// listed names the member of the query that a list's error is about: the store
// knows of the token only.
func listed(err error) error {
	if err == nil || voice.CodeOf(err) != voice.CodeInvalidParameter {
		return err
	}
	return badToken()
}

func badToken() error {
	return voice.Invalid(map[string][]string{"pageToken": {"is not one that this list gave: leave it out to start at the first page"}})
}
