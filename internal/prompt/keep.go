package prompt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tapedeck/internal/jobs"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// uploadSuffix ends the names of files that are being uploaded.
const uploadSuffix = ".upload"

// tidyAfter is how long after an upload began it is looked whether it came to its
// end: far longer than one may take.
const tidyAfter = time.Hour

// Take writes a file that is being uploaded to disk and finds out what it is. Its
// File is a path; Keep takes it from there, or Drop. What is too large or no audio
// is a *voice.Error.
func (l *Library) Take(ctx context.Context, body io.Reader) (m voice.Media, err error) {
	defer func() { err = noRoom(err) }()
	in := &measured{Reader: io.LimitReader(body, voice.MaxMediaSize+1), room: l.o.Room}
	if err := in.check(); err != nil {
		return m, err
	}
	f, err := os.CreateTemp(l.o.WorkDir, "*"+uploadSuffix)
	if err != nil {
		return m, fmt.Errorf("take an upload: %w", err)
	}
	m.File = f.Name()
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, l.Drop(m))
		}
	}()
	sum := sha256.New()
	if m.Size, err = io.Copy(io.MultiWriter(f, sum), in); err != nil {
		return m, err
	}
	if m.Size > voice.MaxMediaSize {
		return m, &voice.Error{Code: voice.CodeBodyTooLarge, Message: "The file has more than 64 MiB"}
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := f.Sync(); err != nil {
		return m, fmt.Errorf("take an upload: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("take an upload: %w", err)
	}
	done, err := l.place(ctx, l.probing)
	if err != nil {
		return m, err
	}
	defer done()
	what, err := probe(ctx, f)
	if errors.Is(err, ErrNoAudio) || errors.Is(err, ErrLong) || errors.Is(err, ErrDense) {
		return m, &voice.Error{Code: voice.CodeUnsupportedMedia, Message: "The file cannot be played: " + err.Error()}
	}
	m.ContentType, m.Duration = what.kind, what.duration
	return m, err
}

// measured asks while a file comes in whether there is still room for it: many may
// come at once.
type measured struct {
	io.Reader
	room func() error
	left int // bytes until it asks again
}

func (m *measured) Read(b []byte) (int, error) {
	if m.left <= 0 {
		if err := m.check(); err != nil {
			return 0, err
		}
	}
	n, err := m.Reader.Read(b)
	m.left -= n
	return n, err
}

func (m *measured) check() error {
	m.left = 1 << 20
	if err := m.room(); err != nil {
		return full(err)
	}
	return nil
}

func full(err error) error {
	return &voice.Error{Code: voice.CodeUnavailable, Message: "The disk has no room for files", Err: err}
}

// noRoom makes what a full disk says an error that the sender of a file
// understands.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return full(err)
	}
	return err
}

// Drop removes what Take wrote, if Keep did not take it.
func (l *Library) Drop(m voice.Media) error {
	if err := os.Remove(filepath.Clean(m.File)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drop an upload: %w", err)
	}
	return nil
}

// Keep stores a file that Take wrote, under the workspace and the id that m says.
func (l *Library) Keep(ctx context.Context, m voice.Media) (voice.Media, error) {
	path := m.File
	m.File = fileOf(m.Workspace, m.ID)
	// A crash after the file was stored and before its row is written would leave a
	// file that nobody knows of.
	err := l.o.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.InsertJob(store.Job{Kind: voice.JobMedia, Ref: m.Ref(), RunAt: l.o.Now().Add(tidyAfter)})
	})
	if err != nil {
		return m, err
	}
	if _, err := l.o.Bucket.PutFile(ctx, m.File, path); err != nil {
		return m, noRoom(fmt.Errorf("keep an upload: %w", err))
	}
	return m, l.o.DB.Update(ctx, func(tx *store.Tx) error { return tx.InsertMedia(m) })
}

// fileOf is where a file is kept.
func fileOf(ws voice.WorkspaceID, id voice.MediaID) string {
	return string(ws) + "/media/" + string(id)
}

// Tidy is the handler of voice.JobMedia: it deletes a file that has no row.
func (l *Library) Tidy(ctx context.Context, job store.Job) error {
	ws, id, err := voice.SplitMediaRef(job.Ref)
	if err != nil {
		return jobs.Permanent(err)
	}
	err = l.o.DB.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Media(ws, id)
		return err
	})
	if voice.CodeOf(err) != voice.CodeNotFound {
		return err // nil: it is in use
	}
	return l.o.Bucket.Delete(ctx, fileOf(ws, id))
}
