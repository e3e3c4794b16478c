package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Foreign reads WAV files that others made: PCM of 8 to 32 bits, floating point,
// µ-law and A-law, as 16-bit samples. It is lenient where writers are careless: a
// size of the audio that is 0, unknown or more than there is means "to the end".
type Foreign struct {
	format Format
	kind   encoding
	size   int // bytes of a sample of one channel
	src    io.Reader
	left   int64 // bytes of audio; < 0 = to the end
	buf    []byte
	rest   int // bytes of buf that are the beginning of a frame
}

// encoding is a format tag of RIFF/WAVE.
type encoding uint16

const (
	tagPCM        encoding = 1
	tagFloat      encoding = 3
	tagALaw       encoding = 6
	tagMuLaw      encoding = 7
	tagExtensible encoding = 0xfffe
)

// ErrForeign means that the bytes are no WAV file that can be read.
var ErrForeign = errors.New("wav: not a WAV file that can be read")

// NewForeign reads up to the audio.
func NewForeign(r io.Reader) (*Foreign, error) {
	f := &Foreign{src: r}
	err := f.header()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends within its header", ErrForeign)
	}
	if err != nil {
		return nil, err
	}
	f.buf = make([]byte, 4096/f.frame()*f.frame())
	return f, nil
}

// Format is what Read gives.
func (f *Foreign) Format() Format { return f.format }

// frame is the size of one sample of all channels; eight bytes of 255 channels at
// the most.
func (f *Foreign) frame() int { return f.size * f.format.Channels }

func (f *Foreign) header() error {
	var b [12]byte
	if _, err := io.ReadFull(f.src, b[:]); err != nil {
		return err
	}
	if form := string(b[:4]); form != "RIFF" && form != "RF64" || string(b[8:]) != "WAVE" {
		return fmt.Errorf("%w: it begins with %q", ErrForeign, b[:4])
	}
	large := int64(-1) // size of the audio in a ds64 chunk
	for {
		var head [8]byte
		if _, err := io.ReadFull(f.src, head[:]); err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) == "data" {
			return f.begin(size, large)
		}
		if size > maxChunk {
			return fmt.Errorf("%w: chunk %q of %d bytes before the audio", ErrForeign, head[:4], size)
		}
		body := make([]byte, size+size&1)
		if _, err := io.ReadFull(f.src, body); err != nil {
			return err
		}
		switch string(head[:4]) {
		case "ds64":
			if size >= 16 {
				large = int64(binary.LittleEndian.Uint64(body[8:]))
			}
		case "fmt ":
			if err := f.chunk(body[:size]); err != nil {
				return err
			}
		}
	}
}

// begin notes how much audio there is.
func (f *Foreign) begin(size, large int64) error {
	if f.size == 0 {
		return fmt.Errorf("%w: no fmt chunk before the audio", ErrForeign)
	}
	f.left = size
	if size == math.MaxUint32 {
		f.left = large
	}
	if f.left == 0 { // written to something that cannot seek
		f.left = -1
	}
	return nil
}

func (f *Foreign) chunk(b []byte) error {
	if len(b) < 16 {
		return fmt.Errorf("%w: fmt chunk of %d bytes", ErrForeign, len(b))
	}
	f.kind = encoding(binary.LittleEndian.Uint16(b))
	if f.kind == tagExtensible && len(b) >= 26 {
		f.kind = encoding(binary.LittleEndian.Uint16(b[24:])) // first field of the sub-format
	}
	f.format = Format{SampleRate: int(binary.LittleEndian.Uint32(b[4:])), Channels: int(binary.LittleEndian.Uint16(b[2:]))}
	if err := f.format.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	bits := int(binary.LittleEndian.Uint16(b[14:]))
	switch {
	case f.kind == tagPCM && bits >= 8 && bits <= 32,
		f.kind == tagFloat && (bits == 32 || bits == 64),
		(f.kind == tagALaw || f.kind == tagMuLaw) && bits == 8:
	default:
		return fmt.Errorf("%w: samples of format %d with %d bits; PCM, floating point, A-law and µ-law can be read", ErrForeign, f.kind, bits)
	}
	f.size = (bits + 7) / 8
	if align := int(binary.LittleEndian.Uint16(b[12:])); align != f.size*f.format.Channels {
		return fmt.Errorf("%w: frames of %d bytes for %d channels of %d bits", ErrForeign, align, f.format.Channels, bits)
	}
	return nil
}

// Read fills pcm with whole frames, all channels interleaved, and returns how many
// samples those are; io.EOF at the end. What is broken off within a frame is left
// out.
func (f *Foreign) Read(pcm []int16) (int, error) {
	if len(pcm) < f.format.Channels {
		return 0, io.ErrShortBuffer
	}
	for {
		room := min(len(f.buf), len(pcm)/f.format.Channels*f.frame()) - f.rest
		if f.left >= 0 {
			room = int(min(int64(room), f.left))
		}
		if room == 0 {
			return 0, io.EOF
		}
		n, err := f.src.Read(f.buf[f.rest : f.rest+room])
		if f.left >= 0 {
			f.left -= int64(n)
		}
		n += f.rest
		whole := n / f.frame() * f.format.Channels
		for i := range whole {
			pcm[i] = f.sample(f.buf[i*f.size:])
		}
		f.rest = copy(f.buf, f.buf[whole*f.size:n])
		if whole > 0 {
			return whole, nil
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, fmt.Errorf("wav: read audio: %w", err)
		}
	}
}

// sample reads one sample.
func (f *Foreign) sample(b []byte) int16 {
	switch f.kind {
	case tagALaw:
		return aLaw(b[0])
	case tagMuLaw:
		return muLaw(b[0])
	case tagFloat:
		if f.size == 8 {
			return fromFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		return fromFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	}
	if f.size == 1 { // the only one without a sign
		return int16(int(b[0])-128) << 8
	}
	return int16(binary.LittleEndian.Uint16(b[f.size-2:])) // the upper two bytes
}

func fromFloat(v float64) int16 {
	if math.IsNaN(v) {
		return 0
	}
	return int16(math.Round(max(-1, min(1, v)) * math.MaxInt16))
}

// muLaw and aLaw expand a sample of ITU-T G.711.
func muLaw(v byte) int16 {
	v = ^v
	size := (int(v&0x0f)<<3+0x84)<<(v>>4&7) - 0x84
	if v&0x80 != 0 {
		size = -size
	}
	return int16(size)
}

func aLaw(v byte) int16 {
	v ^= 0x55
	size := int(v&0x0f)<<4 + 8
	if exponent := v >> 4 & 7; exponent > 0 {
		size = (size + 0x100) << (exponent - 1)
	}
	if v&0x80 == 0 {
		size = -size
	}
	return int16(size)
}
