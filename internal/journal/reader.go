package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Window is the size of the reader's window on the file, in bytes. It holds the
// longest block twice, so that a search for the next block always moves on.
const Window = 4 * MaxBody

// watchEvery is how many blocks are read between two calls of watch.
const watchEvery = 256

// Reader reads a journal from its beginning to the last whole block. It keeps a
// window of fixed size in memory, whatever the file says.
type Reader struct {
	path   string
	src    io.ReaderAt
	closer io.Closer
	limit  int64 // bytes of the file that are looked at
	tee    io.Writer
	watch  func(done, total int64) // nil = nobody looks

	header Header
	salt   uint32

	buf   []byte // the window
	start int    // next byte in buf
	end   int    // end of what was read into buf
	off   int64  // of buf[start] in the file
	body  []byte // entries of the current block that are left; in buf
	next  uint32 // sequence number of the block that should come now
	stats Stats
}

// Stats says what a reader met on its way.
type Stats struct {
	Blocks  int64 // good blocks
	Entries int64 // entries given out
	Unknown int64 // entries of a kind that this program does not know
	Corrupt int64 // corrupt parts that were skipped
	Lost    int64 // bytes in them
	Good    int64 // offset of the end of the last good block
	Torn    int64 // bytes after it, once the end was reached
}

// Open opens a journal, also one that is still being written: it is read to the
// last block that was whole at this moment. ErrNotJournal, ErrVersion or
// ErrNoHeader in a *CorruptError mean that there is nothing to read.
func Open(path string) (*Reader, error) { return OpenIn(path, nil) }

// OpenIn is Open for whoever opens many: the reader's window is in memory that
// was given, of at least Window bytes, until Close. Less is left alone.
func OpenIn(path string, window []byte) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	r, err := newReader(f, info.Size(), path, window)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer = f
	return r, nil
}

// NewReader reads a journal of so many bytes from src. The path is for messages.
func NewReader(src io.ReaderAt, size int64, path string) (*Reader, error) {
	return newReader(src, size, path, nil)
}

func newReader(src io.ReaderAt, size int64, path string, window []byte) (*Reader, error) {
	need := min(Window, max(size, 0))
	if int64(len(window)) < Window {
		window = make([]byte, need)
	}
	r := &Reader{path: path, src: src, limit: size, buf: window[:need]}
	if err := r.findHeader(); err != nil {
		return nil, &CorruptError{Path: path, Length: size, Err: err}
	}
	return r, r.Rewind()
}

// findHeader takes the first whole header block, wherever it is.
func (r *Reader) findHeader() error {
	n, err := r.need(preambleSize)
	if err != nil {
		return err
	}
	bad := checkPreamble(r.buf[r.start : r.start+min(n, preambleSize)])
	if errors.Is(bad, ErrVersion) {
		return bad
	}
	if bad == nil {
		r.skip(preambleSize)
	}
	for {
		f, body, err := r.find()
		if errors.Is(err, io.EOF) && bad != nil {
			return bad
		}
		if errors.Is(err, io.EOF) {
			return ErrNoHeader
		}
		if err != nil {
			return err
		}
		if f.kind == kindHeader && json.Unmarshal(body, &r.header) == nil {
			r.salt = f.salt
			return nil
		}
		r.skip(frameSize + len(body))
	}
}

// find moves to the next good block, and returns it without taking it.
func (r *Reader) find() (frame, []byte, error) {
	for {
		f, body, err := r.peek()
		if err == nil || errors.Is(err, io.EOF) || !isCorrupt(err) {
			return f, body, err
		}
		if err := r.seekMagic(); err != nil {
			return frame{}, nil, err
		}
	}
}

// isCorrupt tells bytes that are wrong from a disk that does not give them.
func isCorrupt(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrChecksum)
}

// peek returns the block at the current offset. It fails with io.EOF when no
// byte is left, ErrMalformed or ErrChecksum when there is no good block here.
func (r *Reader) peek() (frame, []byte, error) {
	n, err := r.need(frameSize)
	if err != nil {
		return frame{}, nil, err
	}
	if n == 0 {
		return frame{}, nil, io.EOF
	}
	if n < frameSize {
		return frame{}, nil, fmt.Errorf("%w: %d bytes are no block", ErrMalformed, n)
	}
	f, err := parseFrame(r.buf[r.start : r.start+frameSize])
	if err != nil {
		return frame{}, nil, err
	}
	size := frameSize + int(f.length) // at most MaxBody: parseFrame
	if n, err = r.need(size); err != nil {
		return frame{}, nil, err
	}
	if n < size {
		return frame{}, nil, fmt.Errorf("%w: block of %d bytes ends after %d", ErrMalformed, size, n)
	}
	body := r.buf[r.start+frameSize : r.start+size]
	if checksum(body) != f.crc {
		return frame{}, nil, fmt.Errorf("block %d: %w", f.seq, ErrChecksum)
	}
	return f, body, nil
}

// seekMagic moves forward, by at least one byte, to something that looks like
// the beginning of a block, or to the end.
func (r *Reader) seekMagic() error {
	r.skip(1)
	for {
		n, err := r.need(len(blockMagic))
		if err != nil {
			return err
		}
		if n < len(blockMagic) {
			r.skip(n)
			return nil
		}
		if i := bytes.Index(r.buf[r.start:r.end], []byte(blockMagic)); i >= 0 {
			r.skip(i)
			return nil
		}
		r.skip(r.end - r.start - len(blockMagic) + 1)
	}
}

// need reads until n bytes are in the window or the file ends, and returns how
// many there are.
func (r *Reader) need(n int) (int, error) {
	if have := r.end - r.start; have >= n {
		return have, nil
	}
	copy(r.buf, r.buf[r.start:r.end])
	r.end -= r.start
	r.start = 0
	for r.end < n {
		at := r.off + int64(r.end)
		want := min(int64(len(r.buf)-r.end), r.limit-at)
		if want <= 0 {
			break
		}
		got, err := r.src.ReadAt(r.buf[r.end:r.end+int(want)], at)
		if r.tee != nil {
			if _, err := r.tee.Write(r.buf[r.end : r.end+got]); err != nil {
				return 0, fmt.Errorf("read journal %s: %w", r.path, err)
			}
		}
		r.end += got
		if errors.Is(err, io.EOF) {
			r.limit = min(r.limit, at+int64(got))
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read journal %s at offset %d: %w", r.path, at, err)
		}
	}
	return r.end, nil
}

func (r *Reader) skip(n int) {
	r.start += n
	r.off += int64(n)
}

// Rewind goes back to the beginning. What was appended to the file since Open
// is not looked at.
func (r *Reader) Rewind() error {
	r.start, r.end, r.off = 0, 0, 0
	r.body, r.next, r.stats = nil, 0, Stats{}
	n, err := r.need(preambleSize)
	if err != nil {
		return err
	}
	if checkPreamble(r.buf[:min(n, preambleSize)]) == nil {
		r.skip(preambleSize)
	}
	return nil
}

// Tee sends every byte of the file that is read from now on to w, once and in
// order: after Rewind and reading to the end, w has seen the whole file. Nil ends
// it.
func (r *Reader) Tee(w io.Writer) { r.tee = w }

// Size is how many bytes of the file are read.
func (r *Reader) Size() int64 { return r.limit }

// Header is what the journal says of itself.
func (r *Reader) Header() Header { return r.header }

// Path is where the journal is.
func (r *Reader) Path() string { return r.path }

// Stats is what was met since the beginning.
func (r *Reader) Stats() Stats { return r.stats }

// Close closes the file.
func (r *Reader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// Next reads the next entry into e, whose Payload is valid until the call after.
// At the end, it returns io.EOF. A *CorruptError tells that bytes were skipped;
// the call after it goes on behind them. Bytes after the last good block are the
// torn tail that a crash leaves: no error, but counted in Stats.
func (r *Reader) Next(e *Entry) error {
	for {
		if len(r.body) == 0 {
			if err := r.nextBlock(); err != nil {
				return err
			}
			continue
		}
		n, err := decodeEntry(r.body, e)
		if err != nil {
			// The checksum is right, so it was written like this. What follows in
			// the block cannot be told apart any more.
			bad := &CorruptError{Path: r.path, Offset: r.off - int64(len(r.body)), Length: int64(len(r.body)), Err: err}
			r.body = nil
			r.stats.Corrupt++
			r.stats.Lost += bad.Length
			return bad
		}
		r.body = r.body[n:]
		if e.Kind < KindPacket || e.Kind > lastKind {
			r.stats.Unknown++
			continue
		}
		r.stats.Entries++
		return nil
	}
}

// nextBlock takes the next block of entries into r.body. Header blocks that
// restate are passed over.
func (r *Reader) nextBlock() error {
	from := r.off
	f, body, err := r.peek()
	if err == nil {
		err = r.check(f)
	}
	switch {
	case err == nil:
		r.take(f, body)
		if r.watch != nil && r.stats.Blocks%watchEvery == 0 {
			r.watch(r.off, r.limit)
		}
		return nil
	case errors.Is(err, io.EOF):
		r.stats.Torn = r.limit - r.stats.Good
		return io.EOF
	case !isCorrupt(err) && !errors.Is(err, ErrMissing):
		return err
	}
	if errors.Is(err, ErrMissing) {
		// The block is good, what should stand before it is not there.
		r.next = f.seq
		r.stats.Corrupt++
		return &CorruptError{Path: r.path, Offset: from, Err: err}
	}
	why := err
	for {
		if err := r.seekMagic(); err != nil {
			return err
		}
		f, _, err := r.peek()
		if err == nil {
			err = r.check(f)
		}
		switch {
		case err == nil || errors.Is(err, ErrMissing):
			r.next = f.seq
			r.stats.Corrupt++
			r.stats.Lost += r.off - from
			return &CorruptError{Path: r.path, Offset: from, Length: r.off - from, Err: why}
		case errors.Is(err, io.EOF):
			r.stats.Torn = r.limit - r.stats.Good
			return io.EOF
		case !isCorrupt(err):
			return err
		}
	}
}

// check tells whether a good block is the one that should come now.
func (r *Reader) check(f frame) error {
	switch {
	case f.salt != r.salt:
		return fmt.Errorf("%w: block of another journal", ErrMalformed)
	case f.kind != kindHeader && f.kind != kindEntries:
		return fmt.Errorf("%w: block kind %d is not known", ErrMalformed, f.kind)
	case f.seq < r.next:
		return fmt.Errorf("%w: block %d comes again", ErrMalformed, f.seq)
	case f.seq > r.next:
		return fmt.Errorf("%w: %d before block %d", ErrMissing, f.seq-r.next, f.seq)
	}
	return nil
}

func (r *Reader) take(f frame, body []byte) {
	r.skip(frameSize + len(body))
	r.next = f.seq + 1
	r.stats.Blocks++
	r.stats.Good = r.off
	if f.kind == kindEntries {
		r.body = body
	}
}
