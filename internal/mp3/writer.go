package mp3

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"tapedeck/internal/native"
)

// Options say what is encoded.
type Options struct {
	SampleRate int // Hz: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000
	Channels   int // 1 or 2
	// Absent acts as if libmp3lame were not installed, for tests.
	Absent bool
}

// Numbers of lame.h.
const (
	modeStereo = 0
	modeMono   = 3
	vbrMTRH    = 4
	noMemory   = -2
)

// quality is LAME's V4: some 20 to 60 kbit/s for speech. The rate varies: at each
// moment of a call one of the two is silent.
const quality = 4

// ErrClosed means that a writer or a reader was used after its Close.
var ErrClosed = errors.New("mp3: it is closed")

// library is libmp3lame with the functions that we call.
type library struct {
	create, destroy, prepare, encode, encodeMono, flush, header native.Func
	set                                                         func(name string) native.Func
}

func open(absent bool) (*library, error) {
	l, err := native.Open(native.Options{
		Name:    "libmp3lame",
		Package: "libmp3lame0",
		Files:   []string{"libmp3lame.so.0", "libmp3lame.0.dylib", "/opt/homebrew/lib/libmp3lame.0.dylib"},
		Needs: []string{
			"lame_init", "lame_close", "lame_init_params", "lame_encode_buffer_interleaved", "lame_encode_buffer", "lame_encode_flush", "lame_get_lametag_frame",
			"lame_set_in_samplerate", "lame_set_out_samplerate", "lame_set_num_channels", "lame_set_mode", "lame_set_VBR", "lame_set_VBR_q", "lame_set_bWriteVbrTag",
		},
		Absent: absent,
	})
	if err != nil {
		return nil, fmt.Errorf("mp3: %w", err)
	}
	return &library{
		create: l.Func("lame_init"), destroy: l.Func("lame_close"), prepare: l.Func("lame_init_params"),
		encode: l.Func("lame_encode_buffer_interleaved"), encodeMono: l.Func("lame_encode_buffer"),
		flush: l.Func("lame_encode_flush"), header: l.Func("lame_get_lametag_frame"), set: l.Func,
	}, nil
}

// Available reports, as an error, why MP3 cannot be written on this machine: it
// is native.ErrMissing and names the package to install. Nil when it can.
func Available(o Options) error {
	_, err := open(o.Absent)
	return err
}

// piece is how many samples per channel are encoded at once.
const piece = 4096

// Writer writes an MP3 file. Close must be called: the encoder lives in memory of
// the library's.
type Writer struct {
	w        io.WriteSeeker
	channels int
	lib      *library
	lame     uintptr // C memory; 0 after Close
	start    int64
	buf      []byte
	begun    bool // there is audio
	err      error
}

// NewWriter begins a file. The encoder's first frame, which tells length, delay
// and table of contents, is completed by Close, which seeks back.
func NewWriter(w io.WriteSeeker, o Options) (*Writer, error) {
	if o.Channels < 1 || o.Channels > 2 || !possible(o.SampleRate) {
		return nil, fmt.Errorf("mp3: %d Hz with %d channels is not possible", o.SampleRate, o.Channels)
	}
	lib, err := open(o.Absent)
	if err != nil {
		return nil, err
	}
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("mp3: find the start: %w", err)
	}
	// lame.h: 1.25 bytes a sample and 7200.
	wr := &Writer{w: w, channels: o.Channels, lib: lib, start: start, buf: make([]byte, piece*5/4+7200)}
	if wr.lame = lib.create.Call6(0, 0, 0, 0, 0, 0); wr.lame == 0 {
		return nil, errors.New("mp3: libmp3lame has no memory for an encoder")
	}
	if err := wr.configure(o); err != nil {
		wr.free()
		return nil, err
	}
	return wr, nil
}

// possible tells the sample rates of MPEG 1, 2 and 2.5.
func possible(hz int) bool {
	switch hz {
	case 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000:
		return true
	}
	return false
}

func (w *Writer) configure(o Options) error {
	mode := modeMono
	if o.Channels == 2 {
		// The sides are two people, not one stage: joint coding would have little
		// to join, and could let one be heard on the side of the other.
		mode = modeStereo
	}
	for _, set := range []struct {
		name  string
		value int
	}{
		{"lame_set_in_samplerate", o.SampleRate}, {"lame_set_out_samplerate", o.SampleRate}, {"lame_set_num_channels", o.Channels},
		{"lame_set_mode", mode}, {"lame_set_VBR", vbrMTRH}, {"lame_set_VBR_q", quality}, {"lame_set_bWriteVbrTag", 1},
	} {
		if _, err := w.count(w.lib.set(set.name).Call6(w.lame, uintptr(set.value), 0, 0, 0, 0), set.name); err != nil {
			return err
		}
	}
	_, err := w.count(w.lib.prepare.Call6(w.lame, 0, 0, 0, 0, 0), "lame_init_params")
	return err
}

// count is what a function of the library returned: a number, or an error.
func (w *Writer) count(r uintptr, name string) (int, error) {
	n := int(int32(r))
	switch {
	case n == noMemory:
		return 0, fmt.Errorf("mp3: %s of libmp3lame has no memory", name)
	case n < 0:
		return 0, fmt.Errorf("mp3: %s of libmp3lame failed with %d", name, n)
	}
	return n, nil
}

// Write appends interleaved samples: a whole number of frames.
func (w *Writer) Write(pcm []int16) error {
	if w.err != nil {
		return w.err
	}
	if len(pcm)%w.channels != 0 {
		return fmt.Errorf("mp3: %d samples are no whole frames of %d channels", len(pcm), w.channels)
	}
	for len(pcm) > 0 {
		n := min(len(pcm), piece*w.channels)
		if w.err = w.encode(pcm[:n]); w.err != nil {
			return w.err
		}
		pcm = pcm[n:]
	}
	return nil
}

func (w *Writer) encode(pcm []int16) error {
	w.begun = true
	var r uintptr
	buf, size := &w.buf[0], uintptr(len(w.buf))
	if w.channels == 2 {
		r = w.lib.encode.Call6(w.lame, uintptr(unsafe.Pointer(&pcm[0])), uintptr(len(pcm)/2), uintptr(unsafe.Pointer(buf)), size, 0)
	} else {
		r = w.lib.encodeMono.Call6(w.lame, uintptr(unsafe.Pointer(&pcm[0])), 0, uintptr(len(pcm)), uintptr(unsafe.Pointer(buf)), size)
	}
	return w.put(r, "encoding")
}

// put writes what the library has left in buf.
func (w *Writer) put(r uintptr, name string) error {
	n, err := w.count(r, name)
	if err != nil {
		return err
	}
	if _, err := w.w.Write(w.buf[:n]); err != nil {
		return fmt.Errorf("mp3: write audio: %w", err)
	}
	return nil
}

// Close writes what is left and completes the first frame. It leaves w at the end
// of the file, and gives the encoder back whatever happens. Closing again does
// nothing.
func (w *Writer) Close() error {
	if w.lame == 0 {
		return nil
	}
	defer w.free()
	if w.err != nil {
		return w.err
	}
	if !w.begun {
		// Of no audio the library makes no frame, and at 32 kHz and more players do not
		// take the first one for a file: so there is one sample of silence.
		if err := w.encode(make([]int16, w.channels)); err != nil {
			return err
		}
	}
	if err := w.put(w.lib.flush.Call6(w.lame, uintptr(unsafe.Pointer(&w.buf[0])), uintptr(len(w.buf)), 0, 0, 0), "flushing"); err != nil {
		return err
	}
	n := w.lib.header.Call6(w.lame, uintptr(unsafe.Pointer(&w.buf[0])), uintptr(len(w.buf)), 0, 0, 0)
	if n == 0 || n > uintptr(len(w.buf)) {
		return fmt.Errorf("mp3: libmp3lame made a first frame of %d bytes", n)
	}
	end, err := w.w.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = w.w.Seek(w.start, io.SeekStart)
	}
	if err == nil {
		_, err = w.w.Write(w.buf[:n])
	}
	if err == nil {
		_, err = w.w.Seek(end, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("mp3: complete the first frame: %w", err)
	}
	return nil
}

func (w *Writer) free() {
	w.lib.destroy.Call6(w.lame, 0, 0, 0, 0, 0)
	w.lame, w.err = 0, ErrClosed
}
