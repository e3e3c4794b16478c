package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/blob"
	"tapedeck/internal/voice"
)

// Options configures an Archive.
type Options struct {
	Bucket *blob.Bucket // needed
}

// Archive keeps finished recordings. Its methods may be called from any
// goroutine.
type Archive struct{ bucket *blob.Bucket }

// File is a stored recording.
type File struct {
	Key, ReceiptKey string
	Size            int64  // bytes of the WAV
	SHA256          string // hexadecimal, of the WAV
}

// ErrMismatch says that the file is not the one that the recording's row, or
// the bucket's listing, speaks of.
var ErrMismatch = errors.New("recording file is not the expected one")

// maxReceipt bounds what Receipt reads into memory. A day with a gap a second
// makes some 10 MB.
const maxReceipt = 64 << 20

// New makes an Archive.
func New(o Options) (*Archive, error) {
	if o.Bucket == nil {
		return nil, errors.New("archive: Bucket is needed")
	}
	return &Archive{bucket: o.Bucket}, nil
}

// Keys returns where a recording's WAV and receipt are kept. The date is that
// of the recording's creation (UTC), so the keys never change and nothing has
// to be listed to find them.
func Keys(r voice.Recording) (wav, receipt string, _ error) {
	if r.Workspace == "" || r.ID == "" || r.CreatedAt.IsZero() {
		return "", "", fmt.Errorf("archive: recording %q has no workspace, id or time", r.ID)
	}
	base := string(r.Workspace) + "/" + r.CreatedAt.UTC().Format("2006/01/02") + "/recording/" + string(r.ID)
	return base + ".wav", base + ".json", nil
}

// Together stores what fn stores in the archive that it is given. Only when
// Together returns nil does it survive a crash.
func (a *Archive) Together(fn func(*Archive) error) error {
	return a.bucket.Together(func(b *blob.Bucket) error { return fn(&Archive{bucket: b}) })
}

// Store keeps the WAV and its receipt, the WAV first: a receipt without a file
// would prove nothing. The file at wavPath is gone when it succeeds. Where r
// says Size or SHA256, the file must have them. Storing again replaces.
//
// When Store returns nil, both survive a crash, and were found to be what was
// given.
func (a *Archive) Store(ctx context.Context, r voice.Recording, wavPath string, receipt []byte) (File, error) {
	wavKey, receiptKey, err := Keys(r)
	if err != nil {
		return File{}, err
	}
	info, err := a.put(ctx, wavKey, wavPath, r.Size, r.SHA256)
	if err != nil {
		return File{}, fmt.Errorf("archive recording %s: %w", r.ID, err)
	}
	if _, err := a.bucket.Put(ctx, receiptKey, bytes.NewReader(receipt)); err != nil {
		return File{}, fmt.Errorf("archive receipt of recording %s: %w", r.ID, err)
	}
	return File{Key: wavKey, ReceiptKey: receiptKey, Size: info.Size, SHA256: info.SHA256}, nil
}

// put keeps a local file, and compares it with what is expected of it and with
// what the bucket lists. Zero members of the expectation expect nothing.
func (a *Archive) put(ctx context.Context, key, path string, size int64, sum string) (blob.Info, error) {
	info, err := a.bucket.PutFile(ctx, key, path)
	if err != nil {
		return info, err
	}
	if size != 0 && size != info.Size || sum != "" && sum != info.SHA256 {
		return info, fmt.Errorf("%w: it has %d bytes with SHA-256 %s, expected were %d with %q", ErrMismatch, info.Size, info.SHA256, size, sum)
	}
	stat, err := a.bucket.Stat(ctx, key)
	if err != nil {
		return info, err
	}
	if stat.Size != info.Size {
		return info, fmt.Errorf("%w: %d bytes were put, %d are there", ErrMismatch, info.Size, stat.Size)
	}
	return info, nil
}

// Verify reads the whole WAV of a recording and compares it with the row: what
// is only here is not given up for a file that is not what it was.
func (a *Archive) Verify(ctx context.Context, r voice.Recording) error {
	info, err := a.bucket.Verify(ctx, r.File)
	if err != nil {
		return fmt.Errorf("verify recording %s: %w", r.ID, err)
	}
	if info.Size != r.Size || info.SHA256 != r.SHA256 {
		return fmt.Errorf("verify recording %s: %w: it has %d bytes with SHA-256 %s, stored were %d with %s",
			r.ID, ErrMismatch, info.Size, info.SHA256, r.Size, r.SHA256)
	}
	return nil
}

// Open opens the WAV of a recording. One that has none is blob.ErrNotExist.
// Info.SHA256 is the one of the row.
func (a *Archive) Open(ctx context.Context, r voice.Recording) (io.ReadSeekCloser, blob.Info, error) {
	f, info, err := a.open(ctx, r.File, "recording", string(r.ID), string(r.Status))
	if err != nil {
		return nil, blob.Info{}, err
	}
	info.SHA256 = r.SHA256
	return f, info, nil
}

// Receipt returns the receipt of a recording. One that has none is
// blob.ErrNotExist.
func (a *Archive) Receipt(ctx context.Context, r voice.Recording) ([]byte, error) {
	return a.receipt(ctx, r.Receipt, "recording", string(r.ID), string(r.Status))
}

func (a *Archive) receipt(ctx context.Context, key, what, id, status string) (_ []byte, err error) {
	f, info, err := a.open(ctx, key, what, id, status)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info.Size > maxReceipt {
		return nil, fmt.Errorf("receipt of %s %s has %d bytes: that is none of ours", what, id, info.Size)
	}
	return io.ReadAll(f)
}

func (a *Archive) open(ctx context.Context, key, what, id, status string) (io.ReadSeekCloser, blob.Info, error) {
	if key == "" {
		return nil, blob.Info{}, fmt.Errorf("%s %s is %s: %w", what, id, status, blob.ErrNotExist)
	}
	f, info, err := a.bucket.Open(ctx, key)
	if err != nil {
		return nil, blob.Info{}, fmt.Errorf("%s %s: %w", what, id, err)
	}
	return f, info, nil
}

// Erase deletes what the row names, durably: the WAV (File) and the receipt
// (Receipt). An empty one is left alone, so that a receipt can outlive its file.
// It is idempotent.
func (a *Archive) Erase(ctx context.Context, r voice.Recording) error {
	var errs []error
	for _, key := range []string{r.File, r.Receipt} {
		if key == "" {
			continue
		}
		if err := a.bucket.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("erase recording %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// Permanent reports whether trying again what failed with err cannot help.
func (a *Archive) Permanent(err error) bool { return a.bucket.Permanent(err) }
