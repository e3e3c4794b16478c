package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"tapedeck/internal/store/sqlite"
	"tapedeck/internal/voice"
)

// Options says which database to open.
type Options struct {
	// URL is "sqlite:///path/tapedeck.db" or a plain path.
	URL string
	// MustExist makes Open fail where there is no database yet, instead of
	// making one. Administration uses it, so that a mistyped directory is an
	// error and not an empty installation.
	MustExist bool
	// Readers is how many read connections there are at most. 0 = 8.
	Readers int
	// BusyTimeout is how long to wait for another process that is writing.
	// 0 = 10 s.
	BusyTimeout time.Duration
}

// Errors that Update, View and done may wrap. They come inside a *voice.Error
// with code unavailable, whose text for the operator says what to do.
var (
	ErrFull     = errors.New("disk is full")
	ErrReadOnly = errors.New("database cannot be written")
	ErrBusy     = errors.New("database is locked by another process")
	ErrClosed   = errors.New("database is closed")
)

// FileName is the database's name in the data directory.
const FileName = "tapedeck.db"

// PathIn is the path of the default database in a data directory.
func PathIn(dataDir string) string { return filepath.Join(dataDir, FileName) }

// NewID returns a new UUIDv7 (RFC 9562 §5.7): later ids sort after earlier ones.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	raw    *sqlite.Database
	read   *bun.DB
	writer *writer

	channels *sql.Stmt // channelsOf
	holder   string    // names this DB in reservations

	flights flights

	closing  sync.Once
	closeErr error
}

// Open opens the database, makes it when it is not there yet, and brings its
// schema up to date. More than one process may have it open.
func Open(ctx context.Context, o Options) (*DB, error) {
	path, err := pathOf(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Readers == 0 {
		o.Readers = 8
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 10 * time.Second
	}
	raw, err := sqlite.Open(ctx, sqlite.Options{
		Path: path, MustExist: o.MustExist, Readers: o.Readers, BusyTimeout: o.BusyTimeout,
	})
	if err != nil {
		return nil, explain("open", path, err)
	}
	if err := migrate(ctx, raw); err != nil {
		return nil, errors.Join(explain("bring schema up to date", path, err), raw.Close())
	}
	ready, err := prepare(ctx, raw.Write)
	if err != nil {
		return nil, errors.Join(explain("open", path, err), raw.Close())
	}
	channels, err := raw.Read.PrepareContext(ctx, channelsOf)
	if err != nil {
		return nil, errors.Join(explain("open", path, err), ready.close(), raw.Close())
	}
	db := &DB{
		raw:      raw,
		read:     bun.NewDB(raw.Read, raw.Dialect),
		writer:   newWriter(bun.NewDB(raw.Write, raw.Dialect), raw.Path, ready),
		channels: channels, holder: NewID(),
	}
	go db.writer.run()
	return db, nil
}

// pathOf reads a database URL.
func pathOf(url string) (string, error) {
	scheme, rest, found := strings.Cut(url, "://")
	switch {
	case url == "":
		return "", errors.New("open database: no path given")
	case !found:
		return url, nil
	case scheme == "sqlite" && rest != "":
		return rest, nil
	case scheme == "sqlite":
		return "", fmt.Errorf("open database: %q names no file; write sqlite:///path/%s", url, FileName)
	}
	return "", fmt.Errorf("open database: scheme %q is not supported; write sqlite:///path/%s or a plain path", scheme, FileName)
}

// Path is where the database is.
func (db *DB) Path() string { return db.raw.Path }

// Close writes what is queued, waits for it, and closes the database. It is
// idempotent.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.writer.stop()
		db.closeErr = errors.Join(db.writer.statements.close(), db.channels.Close(), db.raw.Close())
	})
	return db.closeErr
}

// Update runs fn on the writer goroutine and returns when what it wrote is on
// disk. Functions of other callers may share the transaction; when one of them
// fails, only what that one did is undone. fn must not wait for anything, and
// must not call Update or Close (it would wait for itself).
//
// A context that ends before fn began takes fn out of the queue, and Update
// returns its error: nothing was written. Once fn began, Update waits for the
// outcome whatever the context says, so that an error always means that nothing
// was written.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.update(ctx, &op{fn: fn})
}

// UpdateSoon is Update for who does not mind to wait a little for the transaction of
// others, as work in the background: each transaction costs an fsync.
func (db *DB) UpdateSoon(ctx context.Context, fn func(*Tx) error) error {
	return db.update(ctx, &op{fn: fn, soon: true})
}

func (db *DB) update(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("update database: %w", err)
	}
	result := make(chan error, 1) // the writer sends once and never waits
	o.done = func(err error) { result <- err }
	if !db.writer.add(o) {
		return explain("update", db.raw.Path, ErrClosed)
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if o.cancel() {
			return fmt.Errorf("update database: %w", ctx.Err())
		}
		return <-result
	}
}

// Queue hands fn to the writer goroutine and returns at once. Functions run in
// the order queued, those of Update among them. done, which may be nil, is
// called from the writer after the commit (nil) or with the error; it must not
// block. After Close, done is called with ErrClosed before Queue returns. The
// queue has no bound; Stats tells how long it is.
func (db *DB) Queue(fn func(*Tx) error, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if !db.writer.add(&op{fn: fn, done: done}) {
		done(explain("queue", db.raw.Path, ErrClosed))
	}
}

// Told returns a channel that is closed when this process next commits events.
// Who takes the channel before looking at the events misses none.
func (db *DB) Told() <-chan struct{} { return db.writer.nextTold() }

// Row names a row that is written as a whole, again and again, by Replace. The zero
// value is ready; each row has its own.
type Row struct {
	last *op // of those that wait to be run in the transaction; the writer's
}

// Replace is Queue for a function that writes all that there is to say of one row, so
// that a later one of the same row says all that an earlier one says. Of those that
// follow each other into a transaction only the last is run, and it may be run twice;
// done of every one of them gets what became of it.
func (db *DB) Replace(r *Row, fn func(*Tx) error, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if !db.writer.add(&op{fn: fn, done: done, row: r}) {
		done(explain("replace", db.raw.Path, ErrClosed))
	}
}

// Show is Replace for a state that others hear of, by the event that it makes: fn is run
// also when a later one of the row follows it. Then it is only the event that PutCall and
// PutRecording write, because the row itself is written by the later one.
func (db *DB) Show(r *Row, fn func(*Tx) error, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if !db.writer.add(&op{fn: fn, done: done, row: r, seen: true}) {
		done(explain("show", db.raw.Path, ErrClosed))
	}
}

// Hurry says that somebody waits for what was handed over by Replace or Show.
func (db *DB) Hurry() { db.writer.hurry() }

// Stats counts what the writer did since Open.
type Stats struct {
	Backlog      int    // functions that wait for the writer
	Functions    uint64 // functions committed
	Failed       uint64 // functions that failed
	Transactions uint64 // transactions committed
}

// Stats returns the writer's counters.
func (db *DB) Stats() Stats { return db.writer.stats() }

// View runs fn on a read connection, with one snapshot for all its reads. It
// sees everything whose Update returned before.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	err := db.read.RunInTx(ctx, &sql.TxOptions{ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		return fn(&Tx{ctx: ctx, db: tx})
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("read database: %w", ctx.Err())
	}
	return explain("read", db.raw.Path, err)
}

// settleTime is how long ViewSettled waits for the writer: a disk that hangs
// must not hang the readers, too.
const settleTime = time.Second

// ViewSettled is View after all that was queued before has been committed, so
// that a reader sees what it was told of. It does not wait longer than a second
// for that; then it shows what there is.
func (db *DB) ViewSettled(ctx context.Context, fn func(*Tx) error) error {
	wait, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	// Whether the writer can write is not the reader's matter: what was queued
	// has its own way to learn of it.
	_ = db.Update(wait, func(*Tx) error { return nil })
	return db.View(ctx, fn)
}

// Ping reports whether the database can be read.
func (db *DB) Ping(ctx context.Context) error {
	return db.View(ctx, func(t *Tx) error {
		_, err := t.db.ExecContext(t.ctx, "SELECT 1 FROM workspaces LIMIT 1")
		return err
	})
}

// explain turns the conditions that an operator can do something about into a
// *voice.Error. Other errors, and those explained already, stay as they are.
func explain(op, path string, err error) error {
	var told *voice.Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	var kind error
	var advice string
	problem := sqlite.Classify(err)
	switch {
	case errors.Is(err, ErrClosed):
		return unavailable(op, err)
	case problem == sqlite.Full:
		kind, advice = ErrFull, "free space on its file system"
	case problem == sqlite.ReadOnly:
		kind, advice = ErrReadOnly, "check owner and mode of the file and its directory, and that the file system is mounted for writing"
	case problem == sqlite.Busy:
		kind, advice = ErrBusy, "find out which process holds it"
	default:
		return fmt.Errorf("store: %s: %w", op, err)
	}
	return unavailable(op, fmt.Errorf("%w: %s: %s: %w", kind, path, advice, err))
}

func unavailable(op string, err error) error {
	return &voice.Error{
		Code: voice.CodeUnavailable, Op: "store: " + op,
		Message:    "The server cannot store anything at the moment: try again later",
		RetryAfter: 10 * time.Second, Err: err,
	}
}
