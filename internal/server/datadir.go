package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dataDir is the server's directory, held by a lock while the server runs.
type dataDir struct {
	path  string
	lock  *os.File
	alive time.Time // when the server before us was last known to run; zero = there was none
}

// The places in a data directory.
const (
	lockName     = "lock"
	journalsName = "journals"
	filesName    = "recordings"
	workName     = "work"
)

func (d *dataDir) in(name string) string { return filepath.Join(d.path, name) }

// openDataDir makes the directory if need be, and takes its lock. The error
// says what a person can do.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be made: %w; give another one with --data", path, err)
	}
	d := &dataDir{path: path}
	if info, err := os.Stat(d.in(lockName)); err == nil {
		d.alive = info.ModTime()
	}
	lock, err := os.OpenFile(d.in(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be written: %w; make it writable for this user or give another one with --data", path, err)
	}
	if err := lockFile(lock); err != nil {
		owner, readErr := os.ReadFile(d.in(lockName))
		who := ""
		if readErr == nil && len(owner) > 0 {
			who = " (process " + strings.TrimSpace(string(owner)) + ")"
		}
		return nil, errors.Join(
			fmt.Errorf("data directory %s is used by another server%s: stop that one, or give another directory with --data: %w", path, who, err),
			lock.Close())
	}
	d.lock = lock
	if err := d.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s cannot be written: %w; free some space or give another one with --data", path, err), lock.Close())
	}
	for _, name := range []string{journalsName, filesName, workName} {
		if err := os.MkdirAll(d.in(name), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("data directory %s cannot be written: %w", path, err), lock.Close())
		}
	}
	return d, nil
}

// sign writes our process id into the lock, for the message above.
func (d *dataDir) sign() error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	return err
}

// beat marks that the server runs: after a crash the mark tells when its calls
// ended, to within the interval of the beats.
func (d *dataDir) beat(now time.Time) error {
	return os.Chtimes(d.in(lockName), now, now)
}

// close gives the directory free. The lock goes with the file.
func (d *dataDir) close() error { return d.lock.Close() }
