package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrFormat means that the bytes are no WAV file of 16-bit PCM.
var ErrFormat = errors.New("wav: not a WAV file of 16-bit PCM")

// maxChunk bounds the chunks before the audio that are passed over.
const maxChunk = 1 << 20

// Reader reads the audio of a WAV file.
type Reader struct {
	format Format
	frames int64
	header int64 // bytes before the audio
	src    io.Reader
	left   int64 // bytes of audio
	buf    []byte
}

// NewReader reads up to the audio. It is strict: sizes that contradict each
// other, other sample formats and unknown lengths are ErrFormat.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{src: r}
	if err := rd.readHeader(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: it ends within its header", ErrFormat)
		}
		return nil, err
	}
	return rd, nil
}

// sizes are the three sizes of a file, as its first chunks say.
type sizes struct {
	riff, data, frames int64
	large              bool // RF64
}

func (r *Reader) readHeader() error {
	var b [12]byte
	if err := r.read(b[:]); err != nil {
		return err
	}
	var s sizes
	switch string(b[:4]) {
	case "RIFF":
		s.riff = int64(binary.LittleEndian.Uint32(b[4:]))
	case "RF64":
		s.large = true
	default:
		return fmt.Errorf("%w: it begins with %q", ErrFormat, b[:4])
	}
	if string(b[8:]) != "WAVE" {
		return fmt.Errorf("%w: form %q", ErrFormat, b[8:])
	}
	for {
		var head [8]byte
		if err := r.read(head[:]); err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) == "data" {
			return r.data(size, &s)
		}
		if err := r.chunk(string(head[:4]), size, &s); err != nil {
			return err
		}
	}
}

// read takes bytes of the header.
func (r *Reader) read(b []byte) error {
	n, err := io.ReadFull(r.src, b)
	r.header += int64(n)
	return err
}

// chunk reads a chunk before the audio.
func (r *Reader) chunk(id string, size int64, s *sizes) error {
	if size > maxChunk {
		return fmt.Errorf("%w: chunk %q of %d bytes before the audio", ErrFormat, id, size)
	}
	body := make([]byte, size+size&1) // chunks begin at even offsets
	if err := r.read(body); err != nil {
		return err
	}
	switch id {
	case "ds64":
		if !s.large || size < ds64Size-4 {
			return fmt.Errorf("%w: ds64 chunk of %d bytes", ErrFormat, size)
		}
		s.riff = int64(binary.LittleEndian.Uint64(body))
		s.data = int64(binary.LittleEndian.Uint64(body[8:]))
		s.frames = int64(binary.LittleEndian.Uint64(body[16:]))
	case "fmt ":
		return r.fmtChunk(body[:size])
	}
	return nil
}

func (r *Reader) fmtChunk(b []byte) error {
	const (
		pcm        = 1
		extensible = 0xfffe
	)
	if len(b) < 16 {
		return fmt.Errorf("%w: fmt chunk of %d bytes", ErrFormat, len(b))
	}
	tag := binary.LittleEndian.Uint16(b)
	if tag == extensible && len(b) >= 26 {
		tag = binary.LittleEndian.Uint16(b[24:]) // first field of the sub-format
	}
	bits := binary.LittleEndian.Uint16(b[14:])
	if tag != pcm || bits != 16 {
		return fmt.Errorf("%w: format %d with %d bits", ErrFormat, tag, bits)
	}
	r.format = Format{
		SampleRate: int(binary.LittleEndian.Uint32(b[4:])),
		Channels:   int(binary.LittleEndian.Uint16(b[2:])),
	}
	if err := r.format.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if align := int(binary.LittleEndian.Uint16(b[12:])); align != r.format.frameSize() {
		return fmt.Errorf("%w: frames of %d bytes for %d channels", ErrFormat, align, r.format.Channels)
	}
	return nil
}

// data checks the sizes when the audio begins.
func (r *Reader) data(size int64, s *sizes) error {
	if r.format.Channels == 0 {
		return fmt.Errorf("%w: no fmt chunk before the audio", ErrFormat)
	}
	if s.large && size == math.MaxUint32 {
		size = s.data
	}
	frame := int64(r.format.frameSize())
	if size < 0 || size%frame != 0 {
		return fmt.Errorf("%w: %d bytes of audio in frames of %d", ErrFormat, size, frame)
	}
	if begin := r.header - 8; s.riff < size || s.riff-size < begin { // their sum may be beyond 63 bits
		return fmt.Errorf("%w: %d bytes of audio from %d on, and the file ends at %d", ErrFormat, size, begin, s.riff)
	}
	if s.large && s.frames != 0 && s.frames != size/frame {
		return fmt.Errorf("%w: %d frames in %d bytes", ErrFormat, s.frames, size)
	}
	r.left, r.frames = size, size/frame
	return nil
}

// Format is what the samples are.
func (r *Reader) Format() Format { return r.format }

// Frames is how many samples per channel the file has.
func (r *Reader) Frames() int64 { return r.frames }

// HeaderSize is how many bytes stand before the audio.
func (r *Reader) HeaderSize() int64 { return r.header }

// Read fills pcm with whole frames and returns how many samples that were, all
// channels counted. At the end of the audio it returns io.EOF; a file that is
// shorter than its header says is io.ErrUnexpectedEOF.
func (r *Reader) Read(pcm []int16) (int, error) {
	n := min(int64(len(pcm)/r.format.Channels*r.format.Channels), r.left/2)
	if n == 0 {
		if r.left > 0 {
			return 0, io.ErrShortBuffer
		}
		return 0, io.EOF
	}
	if int64(cap(r.buf)) < 2*n {
		r.buf = make([]byte, 2*n)
	}
	b := r.buf[:2*n]
	if _, err := io.ReadFull(r.src, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("wav: read audio: %w", err)
	}
	r.left -= int64(len(b))
	for i := range n {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return int(n), nil
}
