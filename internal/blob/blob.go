package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Info describes a stored blob.
type Info struct {
	Size    int64     // bytes
	SHA256  string    // hexadecimal; empty from Open and Stat, which do not read the bytes
	ModTime time.Time // when it was stored, where the driver knows; zero from Put and PutFile
}

// Errors that the methods of Bucket wrap.
var (
	// ErrNotExist says that there is no blob with the key.
	ErrNotExist = errors.New("blob does not exist")
	// ErrInvalidKey says that no blob can have the key.
	ErrInvalidKey = errors.New("invalid blob key")
	// ErrMismatch says that what was read back is not what was written.
	ErrMismatch = errors.New("stored bytes differ from those written")
)

// Bucket keeps blobs under keys. A blob is there whole or not at all, and a Put
// that returned survives a crash. Methods may be called from any goroutine.
//
// A key is 1 to 1000 bytes: segments of letters, digits, '.', '_' and '-' with
// '/' between them, none of which begins with '.'.
type Bucket struct {
	driver  Driver
	buffers *sync.Pool // of *[]byte, to read what is stored
	summer  Summer     // of large files; nil = none
}

// Summer reads all of r and returns its size and SHA-256, as Sum does.
type Summer func(ctx context.Context, r io.Reader) (Info, error)

// largeFrom is the size in bytes from which a Summer is worth what it takes to
// call it.
const largeFrom = 1 << 20

// Driver moves the bytes of one kind of storage. Keys are checked before they
// come here. A driver publishes a blob whole and durably, replaces one that is
// there, and returns errors that wrap ErrNotExist where a blob is missing.
type Driver interface {
	Put(ctx context.Context, key string, r io.Reader) error
	// PutFile takes a local file that is complete, durably, and leaves nothing
	// at path. moved says that the very file is the blob now, so that there are
	// no bytes to compare.
	PutFile(ctx context.Context, key, path string) (moved bool, err error)
	Open(ctx context.Context, key string) (io.ReadSeekCloser, Info, error)
	Stat(ctx context.Context, key string) (Info, error)
	Delete(ctx context.Context, key string) error
	// Permanent reports whether trying again cannot help, as far as the driver
	// knows.
	Permanent(err error) bool
	Close() error
}

// Grouper is a Driver that makes several blobs durable at less cost than each by
// itself.
type Grouper interface {
	// Group returns a driver whose Put and PutFile may leave the names of the blobs
	// to commit: only when that returns nil will they survive a crash. It is for one
	// goroutine, and never closed.
	Group() (group Driver, commit func() error)
}

// New makes a bucket of a driver, and owns it from now on.
func New(d Driver) *Bucket {
	return &Bucket{driver: d, buffers: &sync.Pool{New: func() any {
		b := make([]byte, sumBuffer)
		return &b
	}}}
}

// SummedBy returns the same bucket, which lets another read large files through to
// sum them.
func (b *Bucket) SummedBy(s Summer) *Bucket {
	out := *b
	out.summer = s
	return &out
}

// Together puts what fn puts into the bucket that it is given. Only when Together
// returns nil do the blobs survive a crash.
func (b *Bucket) Together(fn func(*Bucket) error) error {
	g, ok := b.driver.(Grouper)
	if !ok {
		return fn(b)
	}
	group, commit := g.Group()
	if err := fn(&Bucket{driver: group, buffers: b.buffers, summer: b.summer}); err != nil {
		return errors.Join(err, commit())
	}
	return commit()
}

// maxKey is what every storage takes: S3 allows 1024 bytes.
const maxKey = 1000

// CheckKey says what is wrong with a key, as an ErrInvalidKey.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w: it has %d bytes, allowed are 1 to %d", ErrInvalidKey, len(key), maxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' {
			return fmt.Errorf("%w %q: a segment is empty or begins with a dot", ErrInvalidKey, key)
		}
		for _, c := range []byte(segment) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
				return fmt.Errorf("%w %q: %q is not allowed", ErrInvalidKey, key, c)
			}
		}
	}
	return nil
}

// Put stores what r gives, replacing a blob that is there, reads it back and
// compares.
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	sum := newCounter(r)
	if err := b.driver.Put(ctx, key, sum); err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", key, err)
	}
	written := sum.info()
	return written, b.compare(ctx, key, written)
}

// PutFile stores a local file and removes it: by renaming it where it lies on
// the bucket's own file system, else by copying. The file must not be written
// to any more. When it fails, the file is still at path.
func (b *Bucket) PutFile(ctx context.Context, key, path string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", key, err)
	}
	written, err := b.sum(ctx, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", key, err)
	}
	moved, err := b.driver.PutFile(ctx, key, path)
	if err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", key, err)
	}
	if moved {
		return written, nil
	}
	if err := b.compare(ctx, key, written); err != nil {
		return written, err
	}
	if err := os.Remove(path); err != nil {
		return written, fmt.Errorf("remove what is stored as blob %s: %w", key, err)
	}
	return written, nil
}

// compare reads a blob back. One that is wrong is left where it is: putting it
// again replaces it.
func (b *Bucket) compare(ctx context.Context, key string, want Info) error {
	got, err := b.Verify(ctx, key)
	if err != nil {
		return err
	}
	if got.Size != want.Size || got.SHA256 != want.SHA256 {
		return fmt.Errorf("%w: blob %s has %d bytes with SHA-256 %s, written were %d with %s: check the disk",
			ErrMismatch, key, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return nil
}

// Verify reads a whole blob and returns its size and SHA-256.
func (b *Bucket) Verify(ctx context.Context, key string) (Info, error) {
	r, _, err := b.Open(ctx, key)
	if err != nil {
		return Info{}, err
	}
	got, err := b.sum(ctx, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return Info{}, fmt.Errorf("read blob %s: %w", key, err)
	}
	return got, nil
}

// Open opens a blob for reading.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadSeekCloser, Info, error) {
	if err := CheckKey(key); err != nil {
		return nil, Info{}, err
	}
	r, info, err := b.driver.Open(ctx, key)
	if err != nil {
		return nil, Info{}, fmt.Errorf("open blob %s: %w", key, err)
	}
	return r, info, nil
}

// Stat describes a blob without reading it.
func (b *Bucket) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	info, err := b.driver.Stat(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("stat blob %s: %w", key, err)
	}
	return info, nil
}

// Delete deletes a blob, durably. A blob that is not there is deleted already.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := b.driver.Delete(ctx, key); err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("delete blob %s: %w", key, err)
	}
	return nil
}

// Permanent reports whether trying again what failed with err cannot help. A
// full disk or a lost mount is not permanent: somebody mends it.
func (b *Bucket) Permanent(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, ErrInvalidKey) || errors.Is(err, ErrNotExist) || b.driver.Permanent(err)
}

// Close closes the driver.
func (b *Bucket) Close() error { return b.driver.Close() }

// sumBuffer is how much is read at once: little enough to be in the processor's
// cache when it is hashed.
const sumBuffer = 64 << 10

// Sum reads all of r and returns size and SHA-256.
func Sum(ctx context.Context, r io.Reader) (Info, error) {
	return sumIn(ctx, r, make([]byte, sumBuffer))
}

func (b *Bucket) sum(ctx context.Context, r io.Reader) (Info, error) {
	if b.summer != nil && large(r) {
		return b.summer(ctx, r)
	}
	buf := b.buffers.Get().(*[]byte)
	defer b.buffers.Put(buf)
	return sumIn(ctx, r, *buf)
}

func large(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	stat, err := f.Stat()
	return err == nil && stat.Size() >= largeFrom
}

func sumIn(ctx context.Context, r io.Reader, buf []byte) (Info, error) {
	sum := newCounter(Reader(ctx, r))
	for {
		_, err := sum.Read(buf)
		if errors.Is(err, io.EOF) {
			return sum.info(), nil
		}
		if err != nil {
			return Info{}, err
		}
	}
}

// counter hashes what is read through it.
type counter struct {
	r    io.Reader
	hash hash.Hash
	size int64
}

func newCounter(r io.Reader) *counter { return &counter{r: r, hash: sha256.New()} }

func (s *counter) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.size += int64(n)
	s.hash.Write(p[:n]) // never fails
	return n, err
}

func (s *counter) info() Info {
	return Info{Size: s.size, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

// Reader is r until the context ends; then reading from it fails. Drivers use it
// for long copies.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
