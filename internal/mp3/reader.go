package mp3

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"tapedeck/internal/native"
)

// ErrFormat means that the bytes are no MP3 file that can be read.
var ErrFormat = errors.New("mp3: not an MP3 file that can be read")

// Numbers of mpg123.h.
const (
	rcOK        = 0
	rcNeedMore  = -10
	rcNewFormat = -11
	rcDone      = -12

	paramAddFlags = 2
	flagQuiet     = 0x20
	flagSkipID3v2 = 0x2000
	encSigned16   = 0xd0
)

// decoding is libmpg123 with the functions that we call.
type decoding struct {
	create, destroy, param, open, decode, format native.Func
}

func openDecoding(absent bool) (*decoding, error) {
	l, err := native.Open(native.Options{
		Name:    "libmpg123",
		Package: "libmpg123-0",
		Files:   []string{"libmpg123.so.0", "libmpg123.0.dylib", "/opt/homebrew/lib/libmpg123.0.dylib"},
		Needs:   []string{"mpg123_init", "mpg123_new", "mpg123_delete", "mpg123_param", "mpg123_open_feed", "mpg123_decode", "mpg123_getformat"},
		Absent:  absent,
	})
	if err != nil {
		return nil, fmt.Errorf("mp3: %w", err)
	}
	if rc := int32(l.Func("mpg123_init").Call6(0, 0, 0, 0, 0, 0)); rc != rcOK { // may be called again, and by many
		return nil, fmt.Errorf("mp3: libmpg123 does not begin: code %d", rc)
	}
	return &decoding{
		create: l.Func("mpg123_new"), destroy: l.Func("mpg123_delete"), param: l.Func("mpg123_param"),
		open: l.Func("mpg123_open_feed"), decode: l.Func("mpg123_decode"), format: l.Func("mpg123_getformat"),
	}, nil
}

// Readable reports, as Available does, why MP3 cannot be read on this machine.
func Readable(o ReadOptions) error {
	_, err := openDecoding(o.Absent)
	return err
}

// ReadOptions are for tests.
type ReadOptions struct {
	Absent bool // act as if libmpg123 were not installed
}

// Reader reads an MP3 file of MPEG 1, 2 or 2.5 as 16-bit PCM. Close must be called:
// the decoder lives in memory of the library's.
type Reader struct {
	src    io.Reader
	lib    *decoding
	handle uintptr // C memory; 0 after Close
	in     []byte
	told   *told
	rate   int
	side   int // channels
	err    error
}

// told is what the library writes; it lies on the heap, where C may find it.
type told struct {
	done               uintptr
	rate               int // a long, which is as wide on every system that loads libraries
	channels, encoding int32
}

// NewReader reads up to the first audio.
func NewReader(r io.Reader, o ReadOptions) (*Reader, error) {
	lib, err := openDecoding(o.Absent)
	if err != nil {
		return nil, err
	}
	rd := &Reader{src: r, lib: lib, in: make([]byte, 16<<10), told: &told{}}
	if rd.handle = lib.create.Call6(0, 0, 0, 0, 0, 0); rd.handle == 0 {
		return nil, errors.New("mp3: libmpg123 has no memory for a decoder")
	}
	if err := rd.begin(); err != nil {
		rd.Close()
		return nil, err
	}
	return rd, nil
}

func (r *Reader) begin() error {
	// The number with a point that mpg123_param takes beside is for other parameters.
	if rc := int32(r.lib.param.Call6(r.handle, paramAddFlags, flagQuiet|flagSkipID3v2, 0, 0, 0)); rc != rcOK {
		return fmt.Errorf("mp3: libmpg123 refuses its flags: code %d", rc)
	}
	if rc := int32(r.lib.open.Call6(r.handle, 0, 0, 0, 0, 0)); rc != rcOK {
		return fmt.Errorf("mp3: libmpg123 does not open: code %d", rc)
	}
	_, err := r.decode(nil)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is no audio in it", ErrFormat)
	}
	return err
}

// Format is what Read gives: samples a second, and channels.
func (r *Reader) Format() (rate, channels int) { return r.rate, r.side }

// Read fills pcm with whole frames, channels interleaved, and returns how many
// samples those are; io.EOF at the end.
func (r *Reader) Read(pcm []int16) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(pcm) < r.side {
		return 0, io.ErrShortBuffer
	}
	n, err := r.decode(pcm[:len(pcm)/r.side*r.side])
	r.err = err
	return n, err
}

// decode asks the library until there is audio, or, with no room for any, until it
// says what the audio is.
func (r *Reader) decode(pcm []int16) (int, error) {
	var feed []byte
	for {
		if r.handle == 0 {
			return 0, ErrClosed
		}
		rc := r.call(feed, pcm)
		feed = nil
		n := int(r.told.done / 2)
		switch {
		case rc == rcNewFormat:
			if err := r.newFormat(); err != nil || len(pcm) == 0 {
				return 0, err
			}
		case n > 0:
			return n, nil
		case rc == rcNeedMore:
			m, err := r.src.Read(r.in)
			if m == 0 && errors.Is(err, io.EOF) {
				return 0, io.EOF
			}
			if m == 0 && err != nil {
				return 0, fmt.Errorf("mp3: read: %w", err)
			}
			feed = r.in[:m]
		case rc == rcDone:
			return 0, io.EOF
		case rc != rcOK:
			return 0, fmt.Errorf("%w: libmpg123 says code %d", ErrFormat, rc)
		}
	}
}

// call runs mpg123_decode, which keeps a copy of what it is fed.
func (r *Reader) call(feed []byte, pcm []int16) int32 {
	r.told.done = 0
	if len(feed) > 0 {
		return int32(r.lib.decode.Call6(r.handle, uintptr(unsafe.Pointer(&feed[0])), uintptr(len(feed)),
			0, 0, uintptr(unsafe.Pointer(&r.told.done)))) //nolint:gosec // C gets a pointer for the time of the call
	}
	if len(pcm) > 0 {
		return int32(r.lib.decode.Call6(r.handle, 0, 0,
			uintptr(unsafe.Pointer(&pcm[0])), uintptr(2*len(pcm)), uintptr(unsafe.Pointer(&r.told.done)))) //nolint:gosec // as above
	}
	return int32(r.lib.decode.Call6(r.handle, 0, 0, 0, 0, uintptr(unsafe.Pointer(&r.told.done)))) //nolint:gosec // as above
}

// newFormat notes what the audio is. It must stay so.
func (r *Reader) newFormat() error {
	t := r.told
	if rc := int32(r.lib.format.Call6(r.handle, uintptr(unsafe.Pointer(&t.rate)), uintptr(unsafe.Pointer(&t.channels)),
		uintptr(unsafe.Pointer(&t.encoding)), 0, 0)); rc != rcOK { //nolint:gosec // as above
		return fmt.Errorf("%w: libmpg123 says code %d", ErrFormat, rc)
	}
	switch {
	case t.encoding != encSigned16 || t.rate < 1 || t.channels < 1 || t.channels > 2:
		return fmt.Errorf("%w: %d Hz with %d channels in encoding %#x", ErrFormat, t.rate, t.channels, t.encoding)
	case r.rate != 0 && (t.rate != r.rate || int(t.channels) != r.side):
		return fmt.Errorf("%w: its format changes on the way", ErrFormat)
	}
	r.rate, r.side = t.rate, int(t.channels)
	return nil
}

// Close gives back the library's memory. It may be called again.
func (r *Reader) Close() {
	if r.handle != 0 {
		r.lib.destroy.Call6(r.handle, 0, 0, 0, 0, 0)
		r.handle = 0
	}
}
