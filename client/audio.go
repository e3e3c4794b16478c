package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// RecordingPath is where the audio of a recording is, below the workspace.
func RecordingPath(id RecordingID, format AudioFormat) string {
	return "/recordings/" + url.PathEscape(id) + "." + url.PathEscape(string(format))
}

// RenderPath is where the audio of a render is, below the workspace.
func RenderPath(recording RecordingID, id RenderID) string {
	return "/recordings/" + url.PathEscape(recording) + "/renders/" + url.PathEscape(id) + "/audio"
}

// ErrChanged means that the audio changed while it was fetched: it is of a
// recording that still runs.
var ErrChanged = errors.New("the audio changed on the way; fetch it again")

// Audio writes the audio at a path, which is RecordingPath or RenderPath, to w. It
// goes on where it was cut off, and proves the hash of the whole when the server
// tells it: an ErrDamaged at the end means that w got something else. Of a
// recording that runs, it is what there is so far.
func (c *Client) Audio(ctx context.Context, path string, w io.Writer) (Downloaded, error) {
	s := &copying{client: c, path: path, w: w, hash: sha256.New()}
	if err := c.persist(ctx, func() int64 { return s.have }, s.turn); err != nil {
		return Downloaded{Size: s.have}, fmt.Errorf("fetch %s: %w", path, err)
	}
	out := Downloaded{Size: s.have, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
	want := hashIn(s.tag)
	if out.Proved = want != ""; out.Proved && want != out.SHA256 {
		return out, fmt.Errorf("fetch %s: %w: its SHA-256 is %s, expected %s", path, ErrDamaged, out.SHA256, want)
	}
	return out, nil
}

// AudioRange writes count bytes from the byte from on to w, fewer when the audio
// ends before; count 0 is to the end. It returns how many came, and tries once.
func (c *Client) AudioRange(ctx context.Context, path string, from, count int64, w io.Writer) (n int64, err error) {
	ctx, alive, stop := c.watch(ctx)
	defer func() { err = stop(err) }()
	resp, err := c.audio(ctx, http.MethodGet, path, span{from: from, count: count, must: true})
	if err != nil {
		return 0, fmt.Errorf("fetch %s: %w", path, err)
	}
	defer resp.Body.Close() // what was read of it counts
	if resp.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("fetch %s: asked was for a range, the server answers %s", path, resp.Status)
	}
	if err := follows(resp, from); err != nil {
		return 0, fmt.Errorf("fetch %s: %w", path, err)
	}
	err = drain(resp.Body, alive, func(piece []byte) error {
		k, err := w.Write(piece)
		n += int64(k)
		return err
	}, func() error { return whole(n, resp.ContentLength) })
	return n, err
}

// copying is one call of Audio.
type copying struct {
	client *Client
	path   string
	w      io.Writer

	hash  hash.Hash
	tag   string
	have  int64 // bytes that w took
	total int64
}

// turn asks once for what is missing.
func (s *copying) turn(ctx context.Context) (err error) {
	ctx, alive, stop := s.client.watch(ctx)
	defer func() { err = stop(err) }()
	if s.have > 0 && s.have == s.total {
		return nil
	}
	resp, err := s.client.audio(ctx, http.MethodGet, s.path, span{from: s.have, tag: s.tag})
	if err != nil {
		return err
	}
	defer resp.Body.Close() // what was read of it counts
	switch {
	case resp.StatusCode == http.StatusPartialContent && s.have > 0:
		if err := follows(resp, s.have); err != nil {
			return err
		}
	case s.have > 0: // another file, whole; what w has cannot be taken back
		return fmt.Errorf("%w: %w", errHere, ErrChanged)
	case resp.StatusCode == http.StatusOK && resp.ContentLength >= 0:
		s.tag, s.total = tagOf(resp), resp.ContentLength
	default:
		return fmt.Errorf("the server answers %s, %d bytes", resp.Status, resp.ContentLength)
	}
	return drain(resp.Body, alive, func(piece []byte) error {
		n, err := s.w.Write(piece)
		s.have += int64(n)
		s.hash.Write(piece[:n])
		if err != nil {
			return fmt.Errorf("%w: %w", errHere, err)
		}
		return nil
	}, func() error { return whole(s.have, s.total) })
}

// span is what of a file is asked for.
type span struct {
	from, count int64
	tag         string // the file must still be this one (RFC 9110 §13.1.5)
	must        bool   // ask for a range, although it begins at the beginning
}

// audio asks for a file.
func (c *Client) audio(ctx context.Context, method, path string, s span) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.root+"/workspaces/"+url.PathEscape(c.workspace)+path, nil)
	if err != nil {
		return nil, err
	}
	c.header(r)
	r.Header.Set("Accept-Encoding", "identity") // lengths and ranges are of the file, not of a packed one
	if s.from > 0 || s.must {
		to := ""
		if s.count > 0 {
			to = strconv.FormatInt(s.from+s.count-1, 10)
		}
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", s.from, to))
		if s.tag != "" {
			r.Header.Set("If-Range", s.tag) // all of it when it is another file
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 && (s.must || resp.StatusCode != http.StatusRequestedRangeNotSatisfiable) {
		return nil, errors.Join(refusal(resp), resp.Body.Close())
	}
	return resp, nil
}

// attempts is how often in a row a download may fail without a byte coming.
const attempts = 5

// persist takes turns until one succeeds, what fails is final, or too many in a
// row brought nothing.
func (c *Client) persist(ctx context.Context, have func() int64, turn func(context.Context) error) error {
	for failed := 0; ; {
		before := have()
		err := turn(ctx)
		if err == nil {
			return nil
		}
		if failed++; have() > before {
			failed = 1
		}
		final := errors.Is(err, errHere)
		if refused, ok := errors.AsType[*Error](err); ok {
			final = refused.Status < http.StatusBadGateway || refused.Status > http.StatusGatewayTimeout
			if refused.Code == CodeNotReady {
				failed = 0 // it is being made, however long that takes
			}
		}
		if ctx.Err() != nil || final || failed >= attempts {
			return err
		}
		if err := pause(ctx, c.o.Pause); err != nil {
			return err
		}
	}
}

// watch ends what is done with the context when alive is not called for the
// client's Timeout. Stop ends the watch and says why an error came about.
func (c *Client) watch(parent context.Context) (ctx context.Context, alive func(), stop func(error) error) {
	ctx, cancel := context.WithCancelCause(parent)
	quiet := time.AfterFunc(c.o.Timeout, func() { cancel(fmt.Errorf("nothing came for %s", c.o.Timeout)) })
	return ctx, func() { quiet.Reset(c.o.Timeout) }, func(err error) error {
		cause := context.Cause(ctx)
		quiet.Stop()
		cancel(nil)
		if err != nil && cause != nil && !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", cause, err)
		}
		return err
	}
}

// drain hands on what comes, piece by piece, and then asks whether that was all.
func drain(body io.Reader, alive func(), take func([]byte) error, end func() error) error {
	for buf := make([]byte, 128<<10); ; {
		n, err := body.Read(buf)
		if n > 0 {
			alive()
			if err := take(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return end()
		}
		if err != nil {
			return err
		}
	}
}

func whole(have, total int64) error {
	if have != total {
		return fmt.Errorf("%d of %d bytes came", have, total)
	}
	return nil
}

// follows checks that a part begins where it was asked to.
func follows(resp *http.Response, have int64) error {
	said := resp.Header.Get("Content-Range")
	from, _, ok := strings.Cut(strings.TrimPrefix(said, "bytes "), "-")
	if start, err := strconv.ParseInt(from, 10, 64); !ok || err != nil || start != have || resp.ContentLength < 0 {
		return fmt.Errorf("the server sends %q, asked was for what comes after %d bytes", said, have)
	}
	return nil
}

// tagOf names the version of a file. A weak tag promises no bytes (RFC 9110
// §8.8.1).
func tagOf(resp *http.Response) string {
	if tag := resp.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return ""
}

var hashTag = regexp.MustCompile(`^"([0-9a-f]{64})"$`)

// hashIn is the hash that a tag of the server tells, or "".
func hashIn(tag string) string {
	if told := hashTag.FindStringSubmatch(tag); told != nil {
		return told[1]
	}
	return ""
}
