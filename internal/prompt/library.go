package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/audio"
	"tapedeck/internal/blob"
	"tapedeck/internal/fetch"
	"tapedeck/internal/speech"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options are what a Library works with. DB, Bucket, Fetch and WorkDir are needed.
type Options struct {
	DB     *store.DB
	Bucket *blob.Bucket  // of uploaded files
	Fetch  *fetch.Client // for what users name
	// Voices speak texts; nil = there is no engine.
	Voices speech.Synthesizer
	// WorkDir takes files while they are uploaded.
	WorkDir string
	// Room reports why nothing more can be stored; nil = there is always room.
	Room func() error
	// CacheBytes is how much is kept of what was played; 0 = 256 MiB.
	CacheBytes int64
	// Now tells how old what is kept is; nil = time.Now.
	Now func() time.Time

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// Times and numbers of what is loaded.
const (
	shortestFresh = time.Minute    // that a file of the web is not asked for again
	longestFresh  = 24 * time.Hour // whatever its server says
	parallel      = 4              // files that are loaded and decoded at once, for calls
	probes        = 2              // uploads that are gone through at once: no call waits for them
)

// Library makes what calls hear. Its methods may be called from any goroutine.
type Library struct {
	o       Options
	shelf   *shelf
	loading chan struct{} // a token for each file that is being loaded
	probing chan struct{} // and for each upload that is being gone through
	metrics *metrics
	life    context.Context //nolint:containedctx // ends with the Library, whatever was begun
	end     context.CancelFunc

	mu     sync.Mutex // guards closed, and wg's growing after it
	closed bool
	wg     sync.WaitGroup
}

// ErrClosed means that the library is closed.
var ErrClosed = errors.New("the server shuts down")

// New makes a Library, and empties WorkDir of uploads that a crash left in it.
func New(o Options) (*Library, error) {
	if o.DB == nil || o.Bucket == nil || o.Fetch == nil || o.WorkDir == "" {
		return nil, errors.New("prompt: DB, Bucket, Fetch and WorkDir are needed")
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 256 << 20
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.WorkDir, 0o700); err != nil {
		return nil, fmt.Errorf("make work directory: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(o.WorkDir, "*"+uploadSuffix))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("clear work directory: %w", err)
		}
	}
	l := &Library{o: o, shelf: newShelf(o.CacheBytes), loading: make(chan struct{}, parallel), probing: make(chan struct{}, probes)}
	l.life, l.end = context.WithCancel(context.Background())
	l.metrics = newMetrics(o.Registerer, l.shelf.size)
	return l, nil
}

// Close breaks off what is being made and waits for all that was begun. It may be
// called again. What is asked for afterwards is ErrClosed.
func (l *Library) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	l.wg.Wait()
	return nil
}

// start runs work in a goroutine, false after Close.
func (l *Library) start(work func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(work)
	return true
}

// ask runs a question in a goroutine, until its context or the library's life ends.
func (l *Library) ask(ctx context.Context, done func(*audio.Clip, error), question func(context.Context) (*audio.Clip, error)) {
	begun := l.start(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(l.life, cancel)
		defer stop()
		clip, err := question(ctx)
		if l.life.Err() != nil && err != nil {
			err = ErrClosed
		}
		done(clip, err)
	})
	if !begun {
		done(nil, ErrClosed)
	}
}

// Media loads a file that a playback names: a URL, or "media:" and the id of an
// uploaded one. done is called once, from another goroutine, with the clip or with
// a reason that a person understands.
func (l *Library) Media(ctx context.Context, ws voice.WorkspaceID, name string, done func(*audio.Clip, error)) {
	l.ask(ctx, done, func(ctx context.Context) (*audio.Clip, error) {
		from, load := fromWeb, func(ctx context.Context) (*audio.Clip, error) { return l.web(ctx, name) }
		key := name
		if id, ok := strings.CutPrefix(name, voice.MediaScheme); ok {
			key = voice.MediaScheme + string(ws) + "/" + id
			from, load = fromUpload, func(ctx context.Context) (*audio.Clip, error) { return l.uploaded(ctx, ws, id, key) }
		}
		clip, err := l.shelf.once(ctx, key, l.startWithin, load)
		l.metrics.ended(from, err)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be played: %w", shown(name), err)
		}
		return clip, nil
	})
}

// startWithin is start for what belongs to a question that runs already: a library
// that is closed still waits for that one.
func (l *Library) startWithin(work func()) { l.wg.Go(work) }

// shown is a name for people to read: what may be secret in a URL is left out.
func shown(name string) string {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		return name
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// load takes a place among those who load.
func (l *Library) load(ctx context.Context) (done func(), err error) { return l.place(ctx, l.loading) }

func (l *Library) place(ctx context.Context, among chan struct{}) (done func(), err error) {
	select {
	case among <- struct{}{}:
		return func() { <-among }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.life.Done():
		return nil, ErrClosed
	}
}

// web loads a file by its URL, or asks whether the one that is here is still right.
func (l *Library) web(ctx context.Context, address string) (*audio.Clip, error) {
	here := l.shelf.find(address)
	now := l.o.Now()
	if here != nil && now.Before(here.until) {
		l.metrics.hit()
		return here.clip, nil
	}
	if err := l.o.Fetch.Check(address, "http", "https"); err != nil {
		return nil, err
	}
	done, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	etag := ""
	if here != nil {
		etag = here.etag
	}
	f, err := l.o.Fetch.Get(ctx, address, etag, voice.MaxMediaSize)
	if err != nil {
		if here != nil && ctx.Err() == nil && !refused(err) {
			l.o.Logger.Warn("a prompt is played from the cache, because its server does not answer", "url", shown(address), "error", err)
			return here.clip, nil
		}
		return nil, err
	}
	fresh := now.Add(min(max(f.CacheFor, shortestFresh), longestFresh))
	if f.NotModified {
		if here == nil {
			return nil, errors.New("the server says that it is not modified, and was not asked")
		}
		here.until = fresh
		l.shelf.put(*here)
		return here.clip, nil
	}
	made, err := clip(ctx, bytes.NewReader(f.Body))
	if err != nil {
		return nil, err
	}
	l.shelf.put(kept{name: address, clip: made, etag: f.ETag, until: fresh})
	return made, nil
}

// refused reports whether a server, or we, said no. Then what was here is not
// played, either: it may have been taken away on purpose.
func refused(err error) bool {
	var status *fetch.StatusError
	if errors.As(err, &status) {
		return status.Code < 500
	}
	for _, no := range []error{fetch.ErrPrivate, fetch.ErrScheme, fetch.ErrTooLarge, fetch.ErrRedirects} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// uploaded loads a file that was uploaded. It never changes; it may be gone.
func (l *Library) uploaded(ctx context.Context, ws voice.WorkspaceID, id, key string) (_ *audio.Clip, err error) {
	canonical, err := voice.CanonicalID(id)
	if err != nil {
		return nil, fmt.Errorf("its id is wrong: %w", err)
	}
	var m voice.Media
	err = l.o.DB.View(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.Media(ws, voice.MediaID(canonical))
		return err
	})
	if voice.CodeOf(err) == voice.CodeNotFound {
		return nil, errors.New("there is no uploaded file with this id")
	}
	if err != nil {
		return nil, l.fault("read an uploaded file's row", err)
	}
	if here := l.shelf.find(key); here != nil {
		l.metrics.hit()
		return here.clip, nil
	}
	done, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	f, _, err := l.o.Bucket.Open(ctx, m.File)
	if err != nil {
		return nil, l.fault("open an uploaded file", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	made, err := clip(ctx, blob.Reader(ctx, f))
	if err != nil {
		return nil, err
	}
	l.shelf.put(kept{name: key, clip: made})
	return made, nil
}

// fault is an error of the server's own: the log has it, and a call's reason not.
func (l *Library) fault(what string, err error) error {
	l.o.Logger.Error("prompt: cannot "+what, "error", err)
	return errors.New("the server met a fault that its log describes")
}

var _ io.Closer = (*Library)(nil)
