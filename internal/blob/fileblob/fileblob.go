package fileblob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tapedeck/internal/blob"
)

// Options says where the blobs are.
type Options struct {
	Dir string // made when it is not there; its parent must be
}

// Driver keeps blobs in a folder.
type Driver struct {
	dir  string // absolute
	root *os.Root
	link func(oldname, newname string) error // os.Link; tests make it fail
	// later are directories that are synced by the commit of a group; nil = each is
	// synced at once.
	later   map[string]bool
	buffers *sync.Pool // of *[]byte, to write what is not a file yet
}

const (
	// incoming holds files that are not whole yet. It is beside the blobs, so
	// that renaming stays within a file system; its name cannot be a key.
	incoming = ".incoming"
	// abandonedAfter is when an incoming file that nobody wrote to belongs to a
	// process that is gone.
	abandonedAfter = time.Hour
	// writeBuffer is how much is written at once.
	writeBuffer = 64 << 10
)

// New opens the folder, and clears what a crash left behind.
func New(o Options) (*Driver, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find folder %s: %w", o.Dir, err)
	}
	if err := os.Mkdir(dir, 0o700); err == nil {
		err = syncPath(filepath.Dir(dir))
		if err != nil {
			return nil, fmt.Errorf("make folder %s: %w", dir, err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make folder %s: %w; check that its parent can be written", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", dir, err)
	}
	d := &Driver{dir: dir, root: root, link: os.Link, buffers: &sync.Pool{New: func() any {
		b := make([]byte, writeBuffer)
		return &b
	}}}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open folder %s: %w", dir, err), root.Close())
	}
	return d, nil
}

func (d *Driver) prepare() error {
	if err := d.root.Mkdir(incoming, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := fs.ReadDir(d.root.FS(), incoming)
	if err != nil {
		return err
	}
	for _, e := range entries {
		stat, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if time.Since(stat.ModTime()) > abandonedAfter {
			if err := d.remove(path.Join(incoming, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close closes the folder.
func (d *Driver) Close() error { return d.root.Close() }

// Permanent knows of nothing that cannot be mended: disks are emptied, modes
// changed, file systems mounted.
func (d *Driver) Permanent(error) bool { return false }

// Group implements blob.Grouper: a directory that several blobs go into is synced
// once.
func (d *Driver) Group() (blob.Driver, func() error) {
	g := *d
	g.later = map[string]bool{}
	return &g, func() error {
		var errs []error
		for dir := range g.later {
			errs = append(errs, d.sync(dir))
		}
		clear(g.later)
		return errors.Join(errs...)
	}
}

// Put writes a blob.
func (d *Driver) Put(ctx context.Context, key string, r io.Reader) error {
	temp := path.Join(incoming, rand.Text())
	if err := d.write(ctx, temp, r); err != nil {
		return errors.Join(err, d.remove(temp))
	}
	if err := d.publish(temp, key); err != nil {
		return errors.Join(err, d.remove(temp))
	}
	return nil
}

// write makes a file with all that r gives, and syncs it.
func (d *Driver) write(ctx context.Context, name string, r io.Reader) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buf := d.buffers.Get().(*[]byte)
	// Hidden from io, the file is written by way of the buffer: its own ReadFrom would
	// make one of 32 KiB for each receipt.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, blob.Reader(ctx, r), *buf)
	d.buffers.Put(buf)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// PutFile takes a file over. It gets a second name in the folder first and
// loses its own last, so that there is no instant at which a crash would leave
// it without a name that somebody looks for. After a crash it may have both.
func (d *Driver) PutFile(ctx context.Context, key, file string) (moved bool, err error) {
	temp := path.Join(incoming, rand.Text())
	// Not a symbolic link: its target would stay behind, and be the blob.
	stat, err := os.Lstat(file)
	if err == nil && stat.Mode().IsRegular() {
		err = d.link(file, filepath.Join(d.dir, filepath.FromSlash(temp)))
		if err == nil {
			return true, d.takeOver(temp, key, file)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	// Another file system, or one without hard links: copy. Bucket compares
	// the copy and removes the file.
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	return false, errors.Join(d.Put(ctx, key, f), f.Close())
}

func (d *Driver) takeOver(temp, key, file string) error {
	err := syncPath(file)
	if err == nil {
		err = d.publish(temp, key)
	}
	if err != nil {
		return errors.Join(err, d.remove(temp))
	}
	return os.Remove(file)
}

// publish gives a file its key, durably.
func (d *Driver) publish(temp, key string) error {
	dir := path.Dir(key)
	if err := d.makeDirs(dir); err != nil {
		return err
	}
	if err := d.root.Rename(temp, key); err != nil {
		return err
	}
	// POSIX keeps a new name through a crash only when its directory is synced.
	return d.sync(dir)
}

// makeDirs makes a directory and those above it, and syncs each one's parent:
// a directory that is forgotten in a crash takes its files along.
func (d *Driver) makeDirs(dir string) error {
	if dir == "." {
		return nil
	}
	if stat, err := d.root.Stat(dir); err == nil && stat.IsDir() {
		return nil
	}
	if err := d.makeDirs(path.Dir(dir)); err != nil {
		return err
	}
	if err := d.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.sync(path.Dir(dir))
}

// Open opens a blob.
func (d *Driver) Open(_ context.Context, key string) (io.ReadSeekCloser, blob.Info, error) {
	f, err := d.root.Open(key)
	if err != nil {
		return nil, blob.Info{}, missing(err)
	}
	stat, err := f.Stat()
	if err != nil {
		return nil, blob.Info{}, errors.Join(err, f.Close())
	}
	info, err := infoOf(stat)
	if err != nil {
		return nil, blob.Info{}, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Stat describes a blob.
func (d *Driver) Stat(_ context.Context, key string) (blob.Info, error) {
	stat, err := d.root.Stat(key)
	if err != nil {
		return blob.Info{}, missing(err)
	}
	return infoOf(stat)
}

func infoOf(stat fs.FileInfo) (blob.Info, error) {
	if !stat.Mode().IsRegular() {
		return blob.Info{}, fmt.Errorf("%w: it is a directory", blob.ErrNotExist)
	}
	return blob.Info{Size: stat.Size(), ModTime: stat.ModTime()}, nil
}

// Delete deletes a blob.
func (d *Driver) Delete(ctx context.Context, key string) error {
	if _, err := d.Stat(ctx, key); err != nil {
		return err
	}
	if err := d.root.Remove(key); err != nil {
		return missing(err)
	}
	return d.sync(path.Dir(key))
}

// missing marks the errors that mean that there is no such blob.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", blob.ErrNotExist, err)
	}
	return err
}

// remove removes a file that may not be there.
func (d *Driver) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes the names in a directory of the folder durable.
func (d *Driver) sync(dir string) error {
	if d.later != nil {
		d.later[dir] = true
		return nil
	}
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return syncAndClose(f)
}

// syncPath makes a file's bytes, or the names in a directory, durable.
func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return syncAndClose(f)
}

func syncAndClose(f *os.File) error {
	err := f.Sync()
	if err != nil {
		err = fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return errors.Join(err, f.Close())
}
