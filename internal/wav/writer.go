package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Format says what the samples of a file are. They are 16-bit PCM always.
type Format struct {
	SampleRate int // Hz
	Channels   int
}

// frameSize is the size of one sample of all channels, in bytes.
func (f Format) frameSize() int { return 2 * f.Channels }

func (f Format) check() error {
	if f.SampleRate < 1 || f.SampleRate > 1<<20 || f.Channels < 1 || f.Channels > 255 {
		return fmt.Errorf("wav: %d Hz with %d channels is not possible", f.SampleRate, f.Channels)
	}
	return nil
}

// Unknown is the number of frames of a file that grows until Close.
const Unknown = -1

const (
	plainHeader = 12 + 24 + 8      // RIFF, fmt, data
	largeHeader = plainHeader + 36 // and a ds64 or JUNK chunk
	ds64Size    = 28
	maxRIFF     = math.MaxUint32
	// BufferSize is how much audio is written at once, in bytes.
	BufferSize = 64 << 10
)

// ErrLength means that another number of frames was written than was said.
var ErrLength = errors.New("wav: length of the audio is not what was announced")

// Writer writes a WAV file. When the number of frames is known beforehand, the
// header is right from the first byte on and nothing is written twice;
// otherwise Close corrects it in place.
type Writer struct {
	w      io.WriteSeeker
	format Format
	frames int64  // announced
	bytes  int64  // of audio taken
	buf    []byte // of it that is not written yet
	lazy   bool   // write when buf is full
	err    error
}

// NewWriter writes the header. Frames is how many samples per channel will come,
// or Unknown.
func NewWriter(w io.WriteSeeker, f Format, frames int64) (*Writer, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	wr := &Writer{w: w, format: f, frames: max(frames, Unknown)}
	if _, err := w.Write(header(f, max(frames, 0), frames < 0)); err != nil {
		return nil, fmt.Errorf("wav: write header: %w", err)
	}
	return wr, nil
}

// Buffer has the writer collect audio until there are BufferSize bytes, in memory
// that was given until Close. Without it each Write goes to the file at once. It
// is called before the first Write.
func (w *Writer) Buffer(b []byte) {
	if cap(b) >= BufferSize {
		w.buf, w.lazy = b[:0], true
	}
}

// Size is the size of the file with so many frames, whose number was known.
func Size(f Format, frames int64) int64 {
	data := frames * int64(f.frameSize())
	return int64(len(header(f, frames, false))) + data
}

// header returns the header for so many frames. With room, the small form has a
// JUNK chunk in which a ds64 chunk fits later.
func header(f Format, frames int64, room bool) []byte {
	data := frames * int64(f.frameSize())
	large := data+plainHeader-8 > maxRIFF || room && data+largeHeader-8 > maxRIFF
	size := plainHeader
	if large || room {
		size = largeHeader
	}
	riff := int64(size) - 8 + data
	b := make([]byte, 0, size)
	u16 := func(v int) { b = binary.LittleEndian.AppendUint16(b, uint16(v)) }
	u32 := func(v int64) { b = binary.LittleEndian.AppendUint32(b, uint32(min(v, math.MaxUint32))) }
	u64 := func(v int64) { b = binary.LittleEndian.AppendUint64(b, uint64(v)) }
	switch {
	case large: // EBU Tech 3306: sizes of 2^32-1 say "see ds64"
		b = append(b, "RF64"...)
		u32(math.MaxUint32)
		b = append(b, "WAVEds64"...)
		u32(ds64Size)
		u64(riff)
		u64(data)
		u64(frames)
		u32(0)
	case room:
		b = append(b, "RIFF"...)
		u32(riff)
		b = append(b, "WAVEJUNK"...)
		u32(ds64Size)
		b = append(b, make([]byte, ds64Size)...)
	default:
		b = append(b, "RIFF"...)
		u32(riff)
		b = append(b, "WAVE"...)
	}
	b = append(b, "fmt "...)
	u32(16)
	u16(1) // WAVE_FORMAT_PCM
	u16(f.Channels)
	u32(int64(f.SampleRate))
	u32(int64(f.SampleRate * f.frameSize()))
	u16(f.frameSize())
	u16(16)
	b = append(b, "data"...)
	if large {
		u32(math.MaxUint32)
	} else {
		u32(data)
	}
	return b
}

// Write appends interleaved samples: a whole number of frames.
func (w *Writer) Write(pcm []int16) error {
	if w.err != nil {
		return w.err
	}
	if len(pcm)%w.format.Channels != 0 {
		return fmt.Errorf("wav: %d samples are no whole frames of %d channels", len(pcm), w.format.Channels)
	}
	for len(pcm) > 0 {
		b, err := w.room(min(2*len(pcm), BufferSize/2))
		if err != nil {
			return err
		}
		n := len(b) / 2
		for i, v := range pcm[:n] {
			binary.LittleEndian.PutUint16(b[2*i:], uint16(v))
		}
		pcm = pcm[n:]
	}
	return w.taken()
}

// WriteStereo appends the samples of a file of two channels, as many left as
// right.
func (w *Writer) WriteStereo(left, right []int16) error {
	if w.err != nil {
		return w.err
	}
	if w.format.Channels != 2 || len(left) != len(right) {
		return fmt.Errorf("wav: %d and %d samples are no frames of %d channels", len(left), len(right), w.format.Channels)
	}
	for len(left) > 0 {
		b, err := w.room(min(4*len(left), BufferSize/2))
		if err != nil {
			return err
		}
		n := len(b) / 4
		l, r := left[:n], right[:n]
		for i := range l {
			binary.LittleEndian.PutUint32(b[4*i:4*i+4], uint32(uint16(l[i]))|uint32(uint16(r[i]))<<16)
		}
		left, right = left[n:], right[n:]
	}
	return w.taken()
}

// taken ends a Write.
func (w *Writer) taken() error {
	if w.lazy {
		return nil
	}
	return w.flush()
}

// room returns where the next n bytes of audio go.
func (w *Writer) room(n int) ([]byte, error) {
	if len(w.buf)+n > BufferSize {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	from := len(w.buf)
	w.buf = slices.Grow(w.buf, n)
	w.buf = w.buf[:from+n]
	w.bytes += int64(n)
	return w.buf[from:], nil
}

// flush writes what is not written yet.
func (w *Writer) flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	_, err := w.w.Write(w.buf)
	if w.buf = w.buf[:0]; err != nil {
		w.err = fmt.Errorf("wav: write audio: %w", err)
	}
	return w.err
}

// Frames is how many samples per channel were taken; Close writes the last of them.
func (w *Writer) Frames() int64 { return w.bytes / int64(w.format.frameSize()) }

// Close finishes the file; it does not close what is below. It fails with
// ErrLength when a known length was not kept; the file is right all the same.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	frames := w.Frames()
	if w.frames == frames {
		return nil
	}
	head := header(w.format, frames, w.frames < 0)
	if w.frames >= 0 && len(head) != len(header(w.format, w.frames, false)) {
		return fmt.Errorf("%w: %d frames, %d were announced", ErrLength, frames, w.frames)
	}
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("wav: correct header: %w", err)
	}
	if _, err := w.w.Write(head); err != nil {
		return fmt.Errorf("wav: correct header: %w", err)
	}
	if _, err := w.w.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("wav: correct header: %w", err)
	}
	if w.frames >= 0 {
		return fmt.Errorf("%w: %d frames, %d were announced", ErrLength, frames, w.frames)
	}
	return nil
}
