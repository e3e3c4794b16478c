package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Download says what to fetch, and where to.
type Download struct {
	Path    string // of the audio, below the workspace: RecordingPath or RenderPath
	To      string // the file
	Replace bool   // a file that is there
	// SHA256 of the whole, hexadecimal; empty = the one that the server tells.
	SHA256 string
	// Progress is told how many bytes are there; nil = nobody looks.
	Progress func(done, total int64)
}

// Downloaded is what was fetched.
type Downloaded struct {
	Size    int64
	SHA256  string
	Resumed int64 // bytes that were there from before
	// Proved says that the hash is the expected one. It is false for a recording
	// that still runs: of what there is so far, nobody knows the hash.
	Proved bool
}

// ErrDamaged means that what came is not what the server has.
var ErrDamaged = errors.New("what came is not what the server has")

// Download fetches audio into a file, whole and checked, or not at all. What
// came is kept beside it in a hidden file: after a fault, also in a later run,
// it goes on from there, if the server still has the same file.
func (c *Client) Download(ctx context.Context, d Download) (Downloaded, error) {
	if err := free(d.To, d.Replace); err != nil {
		return Downloaded{}, err
	}
	f := &fetch{client: c, Download: d}
	defer f.close()
	if err := c.persist(ctx, func() int64 { return f.have }, f.turn); err != nil {
		return Downloaded{}, f.failed(err)
	}
	return f.finish()
}

// free says why a file cannot go to a path. What is no file, such as a directory
// or a device, is never replaced.
func free(path string, replace bool) error {
	info, err := os.Lstat(path)
	switch {
	case strings.HasSuffix(path, string(filepath.Separator)):
		return fmt.Errorf("%s: %w: it is the name of a directory; give that of a file", path, errHere)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errHere, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w: what is there is no file; give another name", path, errHere)
	case !replace:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return nil
}

// failed says why a download ended, and what is left of it.
func (f *fetch) failed(err error) error {
	err = fmt.Errorf("fetch %s: %w", f.Path, err)
	if f.have == 0 || f.tag == "" {
		return err
	}
	return fmt.Errorf("%w; %d of %d bytes are kept in %s, and the next try goes on from there", err, f.have, f.total, f.file.Name())
}

// errHere marks faults of this machine: trying again does not help.
var errHere = errors.New("the file cannot be written")

// errTaken means that two downloads go to one file.
var errTaken = errors.New("another download of the same is under way; wait for it, or give another name")

// fetch is one download.
type fetch struct {
	client *Client
	Download

	file    *os.File // what came so far
	tag     string   // of the server's file; empty = it may change
	have    int64    // bytes in file
	total   int64
	resumed int64
	placed  bool // the file has its name
}

// turn asks once for what is missing.
func (f *fetch) turn(ctx context.Context) (err error) {
	ctx, alive, stop := f.client.watch(ctx)
	defer func() { err = stop(err) }()
	if f.file == nil {
		if err := f.open(ctx); err != nil {
			return err
		}
	}
	if f.tag != "" && f.have == f.total {
		return nil
	}
	resp, err := f.ask(ctx, http.MethodGet)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // what was read of it counts
	if err := f.place(resp); err != nil {
		return err
	}
	return drain(resp.Body, alive, func(piece []byte) error {
		if _, err := f.file.WriteAt(piece, f.have); err != nil {
			return fmt.Errorf("%w: %w", errHere, err)
		}
		f.have += int64(len(piece))
		if f.Progress != nil {
			f.Progress(min(f.have, f.total), f.total)
		}
		return nil
	}, func() error { return whole(f.have, f.total) })
}

// ask sends the request, for what is missing when something is there.
func (f *fetch) ask(ctx context.Context, method string) (*http.Response, error) {
	have := int64(0)
	if method == http.MethodGet && f.tag != "" {
		have = f.have
	}
	return f.client.audio(ctx, method, f.Path, span{from: have, tag: f.tag})
}

// open asks what the server has, and opens what came of it before.
func (f *fetch) open(ctx context.Context) error {
	resp, err := f.ask(ctx, http.MethodHead)
	var refused *Error
	if errors.As(err, &refused) && len(refused.Body) == 0 {
		// An answer to HEAD cannot say why.
		if resp, err = f.ask(ctx, http.MethodGet); err == nil {
			err = errors.New("the server refuses HEAD")
			return errors.Join(err, resp.Body.Close())
		}
	}
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	f.tag, f.total = tagOf(resp), resp.ContentLength
	file, info, err := claim(f.partial())
	if err != nil {
		return fmt.Errorf("%w: %w", errHere, err)
	}
	f.file = file
	if f.have = info.Size(); f.tag == "" || f.have > f.total {
		return f.restart()
	}
	f.resumed = f.have
	return nil
}

// claim opens the hidden file for this download alone.
func claim(path string) (*os.File, os.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = lockFile(file)
	}
	if err == nil {
		// The other download may have ended, and given the file its name, between
		// our opening and our locking.
		there, gone := os.Lstat(path)
		if gone != nil || !os.SameFile(info, there) {
			err = errTaken
		}
	} else {
		err = fmt.Errorf("%w: %w", errTaken, err)
	}
	if err == nil {
		info, err = file.Stat() // what there is now that nobody else writes
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return file, info, nil
}

// partial is the hidden file, of which the name tells what it is a part of.
func (f *fetch) partial() string {
	sum := sha256.Sum256([]byte(f.Path + "\n" + f.tag))
	return filepath.Join(filepath.Dir(f.To), "."+filepath.Base(f.To)+"."+hex.EncodeToString(sum[:6])+".part")
}

// restart throws away what came.
func (f *fetch) restart() error {
	f.have, f.resumed = 0, 0
	if err := f.file.Truncate(0); err != nil {
		return fmt.Errorf("%w: %w", errHere, err)
	}
	return nil
}

// place looks at where what the server sends belongs.
func (f *fetch) place(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if err := follows(resp, f.have); err != nil {
			return errors.Join(err, f.restart())
		}
		f.total = f.have + resp.ContentLength
		return nil
	case http.StatusOK:
		tag := tagOf(resp)
		if f.total = resp.ContentLength; f.total < 0 {
			return errors.New("the server does not say how long the file is")
		}
		if tag != f.tag { // it has changed between the questions
			f.tag = tag
		}
		return f.restart()
	}
	return errors.Join(fmt.Errorf("the server answers %s", resp.Status), f.restart())
}

// finish checks the file and gives it its name.
func (f *fetch) finish() (out Downloaded, err error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f.file, 0, f.have)); err != nil {
		return out, fmt.Errorf("%w: %w", errHere, err)
	}
	out = Downloaded{Size: f.have, SHA256: hex.EncodeToString(hash.Sum(nil)), Resumed: f.resumed}
	want := f.SHA256
	if want == "" {
		want = hashIn(f.tag)
	}
	if want != "" && want != out.SHA256 {
		return out, errors.Join(fmt.Errorf("fetch %s: %w: its SHA-256 is %s, expected %s; fetch it again", f.Path, ErrDamaged, out.SHA256, want), os.Remove(f.file.Name()))
	}
	out.Proved = want != ""
	if err := f.file.Sync(); err != nil {
		return out, fmt.Errorf("%w: %w", errHere, err)
	}
	if err := free(f.To, f.Replace); err != nil { // once more: a download may take hours
		return out, err
	}
	if err := os.Rename(f.file.Name(), f.To); err != nil {
		return out, fmt.Errorf("%w: %w", errHere, err)
	}
	f.placed = true
	dir, err := os.Open(filepath.Dir(f.To))
	if err != nil {
		return out, err
	}
	return out, errors.Join(dir.Sync(), dir.Close())
}

// close closes the hidden file. What came stays in it for the next time, unless
// nothing did or nobody could tell what it is a part of.
func (f *fetch) close() {
	if f.file == nil {
		return
	}
	// Nothing is lost with what is thrown away here. It goes while the lock holds:
	// later, a file of that name may be another download's.
	if !f.placed && (f.have == 0 || f.tag == "") {
		_ = os.Remove(f.file.Name())
	}
	_ = f.file.Close()
}
