package journal

import (
	"fmt"
	"io"
	"os"
)

// File is what a Writer needs of an open file.
type File interface {
	io.WriterAt
	io.Closer
	Sync() error
}

// Files is where journals are made. The operating system's is OS; tests have one
// that fails on demand.
type Files interface {
	// Create makes a file that must not exist yet.
	Create(path string) (File, error)
	// SyncDir makes the names in the directory safe.
	SyncDir(dir string) error
	// SyncAll makes everything safe that was written to the file system of the
	// directory, and the names in it. Where the system cannot do that, it is an error
	// that wraps errors.ErrUnsupported.
	SyncAll(dir string) error
	// Free is how many bytes can still be written in the directory.
	Free(dir string) (uint64, error)
}

// OS is the operating system's files.
type OS struct{}

// Create makes a file for its owner alone: a journal holds what people said.
func (OS) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// SyncDir fsyncs the directory.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close()
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return d.Close()
}
