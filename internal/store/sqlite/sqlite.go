// Package sqlite opens SQLite databases for the store: files, pragmas, pools and
// error codes. It is the only home of the SQLite driver.
//
//	path → one write connection (WAL, synchronous=FULL) + a pool of read connections
//
// Only the store calls it. It holds no query and imports nothing of ours. It
// starts no goroutine but those of database/sql, which Close ends.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// Kilobytes of pages that a connection adds to what all connections keep together, the
// least recently used going first. The driver takes 8 kB of memory for a page of 4 kB
// and keeps it for good: what SQLite adds by itself, 2 MB a connection, would be up to
// 40 MB, which fill slowly as the file grows.
const (
	// What the writer changes all the time, the ends of its tables and indexes, are some
	// 200 pages: with this it reads one page in 2000 again, with half of it one in 30.
	writeCache = 1024
	// A reader forgets its pages whenever something was written, and what it reads lies
	// in the kernel's memory anyway.
	readCache = 256
)

func cached(kilobytes int) string { return "cache_size(-" + strconv.Itoa(kilobytes) + ")" }

// Options says how to open a database.
type Options struct {
	Path        string
	MustExist   bool          // fail where there is no database yet
	Readers     int           // read connections, at least 1
	BusyTimeout time.Duration // how long to wait for another process's write
}

// Database is an open SQLite database: two pools on one file.
type Database struct {
	Write   *sql.DB // one connection; its transactions begin IMMEDIATE
	Read    *sql.DB // refuses to write
	Dialect schema.Dialect
	Path    string // absolute
}

// Open opens the database file, or makes it with mode 0600, because it holds
// trunk passwords. The directory must be there.
func Open(ctx context.Context, o Options) (*Database, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("find database %s: %w", o.Path, err)
	}
	if err := prepare(path, o.MustExist); err != nil {
		return nil, err
	}
	d := &Database{Dialect: sqlitedialect.New(), Path: path}
	pragmas := []string{
		"busy_timeout(" + strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10) + ")",
		"foreign_keys(1)",
	}
	// synchronous=FULL: in WAL mode a commit returns after the fsync of the log,
	// so that what is committed survives a power cut. NORMAL would lose the tail.
	d.Write, err = connect(path, append(pragmas, "synchronous(FULL)", "journal_size_limit(67108864)", "temp_store(2)", cached(writeCache)), 1)
	if err != nil {
		return nil, err
	}
	if err := d.useWAL(ctx, o.BusyTimeout); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.Read, err = connect(path, append(pragmas, "query_only(1)", cached(readCache)), max(o.Readers, 1))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close closes both pools.
func (d *Database) Close() error {
	var errs []error
	if d.Read != nil {
		errs = append(errs, d.Read.Close())
	}
	// The writer last: the last connection to close folds the log into the file.
	return errors.Join(append(errs, d.Write.Close())...)
}

// prepare makes sure that there is a file that can be written.
func prepare(path string, mustExist bool) error {
	stat, err := os.Stat(path)
	switch {
	case err == nil && !stat.Mode().IsRegular():
		return fmt.Errorf("open database %s: it is not a file; name the database file itself", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open database %s: %w", path, err)
	case mustExist:
		return fmt.Errorf("open database %s: %w: start the server once with this data directory, or name the right one", path, fs.ErrNotExist)
	}
	// O_EXCL: a file that another connection of this process has open must never
	// be opened and closed here, since that drops its POSIX locks.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make database %s: the directory does not exist: %w", path, err)
	case err != nil:
		return fmt.Errorf("make database %s: %w; check that the directory can be written", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make database %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new file's name durable; SQLite does so for its log only.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

func connect(path string, pragmas []string, conns int) (*sql.DB, error) {
	query := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	// A file: URI, so that a path may hold '?' and '%' (SQLite URI filenames).
	dsn := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// useWAL switches the file to write-ahead logging, which lasts. The switch
// needs the file for itself and does not heed busy_timeout, so it is tried
// again while another process does the same.
func (d *Database) useWAL(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		var mode string
		err := d.Write.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode)
		switch {
		case err == nil && strings.EqualFold(mode, "wal"):
			return nil
		case err == nil:
			return fmt.Errorf("open database %s: the file system does not allow write-ahead logging (mode %s): keep the database on a local disk", d.Path, mode)
		case Classify(err) != Busy || time.Now().After(deadline):
			return fmt.Errorf("open database %s: %w", d.Path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("open database %s: %w", d.Path, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Problem is what kind of error the database reported.
type Problem int

// The problems that the store tells apart.
const (
	Other       Problem = iota
	Full                // no room on the disk
	ReadOnly            // the file, its directory or the connection cannot be written
	Busy                // another process is writing
	Duplicate           // a unique or primary key is taken
	Dangling            // a foreign key names nothing
	Interrupted         // the context ended
)

// Classify says what kind of error of the driver err is.
func Classify(err error) Problem {
	var e *driver.Error
	if !errors.As(err, &e) {
		return Other
	}
	switch e.Code() {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
		return Duplicate
	case codes.SQLITE_CONSTRAINT_FOREIGNKEY:
		return Dangling
	}
	switch e.Code() & 0xff { // the primary result code
	case codes.SQLITE_FULL:
		return Full
	case codes.SQLITE_READONLY, codes.SQLITE_CANTOPEN, codes.SQLITE_PERM:
		return ReadOnly
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return Busy
	case codes.SQLITE_INTERRUPT:
		return Interrupted
	}
	return Other
}
