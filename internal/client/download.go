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
	"regexp"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/voice"
)

// Download says what to fetch, and where to.
type Download struct {
	Path    string // of the audio, below the workspace, such as /recordings/ID.wav
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

// attempts is how often in a row a download may fail without a byte coming.
const attempts = 5

var (
	errDamaged = errors.New("what came is not what the server has")
	hashTag    = regexp.MustCompile(`^"([0-9a-f]{64})"$`)
)

// Download fetches audio into a file, whole and checked, or not at all. What
// came is kept beside it in a hidden file: after a fault, also in a later run,
// it goes on from there, if the server still has the same file.
func (c *Client) Download(ctx context.Context, d Download) (Downloaded, error) {
	if err := free(d.To, d.Replace); err != nil {
		return Downloaded{}, err
	}
	f := &fetch{client: c, Download: d}
	defer f.close()
	for failed := 0; ; {
		before := f.have
		err := f.turn(ctx)
		if err == nil {
			break
		}
		if failed++; f.have > before {
			failed = 1
		}
		var refused *Error
		final := errors.Is(err, errHere)
		if errors.As(err, &refused) {
			final = refused.Status < http.StatusBadGateway || refused.Status > http.StatusGatewayTimeout
			if refused.Code == voice.CodeNotReady {
				failed = 0 // it is being made, however long that takes
			}
		}
		if ctx.Err() != nil || final || failed >= attempts {
			return Downloaded{}, f.failed(err)
		}
		select {
		case <-ctx.Done():
			return Downloaded{}, f.failed(context.Cause(ctx))
		case <-time.After(c.o.Pause):
		}
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

	quiet *time.Timer // ends a turn in which nothing comes
}

// turn asks once for what is missing.
func (f *fetch) turn(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.quiet = time.AfterFunc(f.client.o.Timeout, func() {
		cancel(fmt.Errorf("nothing came for %s", f.client.o.Timeout))
	})
	defer f.quiet.Stop()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
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
	for buf := make([]byte, 128<<10); ; {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			f.quiet.Reset(f.client.o.Timeout)
			if _, err := f.file.WriteAt(buf[:n], f.have); err != nil {
				return fmt.Errorf("%w: %w", errHere, err)
			}
			f.have += int64(n)
			if f.Progress != nil {
				f.Progress(min(f.have, f.total), f.total)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if f.have != f.total {
		return fmt.Errorf("%d of %d bytes came", f.have, f.total)
	}
	return nil
}

// ask sends the request, for what is missing when something is there.
func (f *fetch) ask(ctx context.Context, method string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.client.base+f.Path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "AccessKey "+f.client.key)
	r.Header.Set("Accept-Encoding", "identity") // lengths and ranges are of the file, not of a packed one
	f.quiet.Reset(f.client.o.Timeout)
	if method == http.MethodGet && f.have > 0 && f.tag != "" {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.have))
		r.Header.Set("If-Range", f.tag) // RFC 9110 §13.1.5: all of it when it is another file
	}
	resp, err := f.client.files.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, errors.Join(refusal(resp.StatusCode, body), err, resp.Body.Close())
	}
	return resp, nil
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
	f.tag, f.total = resp.Header.Get("ETag"), resp.ContentLength
	if strings.HasPrefix(f.tag, "W/") {
		f.tag = "" // a weak one promises no bytes (RFC 9110 §8.8.1)
	}
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
		from, _, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "-")
		if start, err := strconv.ParseInt(from, 10, 64); !ok || err != nil || start != f.have || resp.ContentLength < 0 {
			return errors.Join(fmt.Errorf("the server sends %q, asked was for what comes after %d bytes", resp.Header.Get("Content-Range"), f.have), f.restart())
		}
		f.total = f.have + resp.ContentLength
		return nil
	case http.StatusOK:
		tag := resp.Header.Get("ETag")
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
	if told := hashTag.FindStringSubmatch(f.tag); want == "" && told != nil {
		want = told[1]
	}
	if want != "" && want != out.SHA256 {
		return out, errors.Join(fmt.Errorf("fetch %s: %w: its SHA-256 is %s, expected %s; fetch it again", f.Path, errDamaged, out.SHA256, want), os.Remove(f.file.Name()))
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
