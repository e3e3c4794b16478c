package control

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/auth"
	"tapedeck/internal/session"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Service works with. All but Logger are needed.
type Options struct {
	DB       *store.DB
	Auth     *auth.Authenticator
	Sessions *session.Manager
	Archive  *archive.Archive

	// Live makes a WAV file of what a recording holds so far, open at its start,
	// which vanishes when it is closed. fs.ErrNotExist when there is nothing.
	Live func(context.Context, voice.Recording) (*os.File, error)
	// Forget removes what is kept of a recording's audio outside the archive:
	// its journal. It is idempotent.
	Forget func(ctx context.Context, id voice.RecordingID) error

	Logger *slog.Logger // nil = discard
}

// Service is the set of verbs. Its methods may be called from any goroutine.
type Service struct {
	db       *store.DB
	auth     *auth.Authenticator
	sessions *session.Manager
	archive  *archive.Archive
	live     func(context.Context, voice.Recording) (*os.File, error)
	forget   func(context.Context, voice.RecordingID) error
	log      *slog.Logger

	// rendering has a token for each file that Live is making. Live's caller
	// puts it in and takes it out; who finds it full waits.
	rendering chan struct{}
}

// maxRendering is how many unfinished recordings are made into a file at once:
// a client that asks over and over must not take the machine from the calls.
const maxRendering = 2

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.DB == nil || o.Auth == nil || o.Sessions == nil || o.Archive == nil || o.Live == nil || o.Forget == nil {
		return nil, errors.New("control: DB, Auth, Sessions, Archive, Live and Forget are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		db: o.DB, auth: o.Auth, sessions: o.Sessions, archive: o.Archive,
		live: o.Live, forget: o.Forget, log: o.Logger,
		rendering: make(chan struct{}, maxRendering),
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
