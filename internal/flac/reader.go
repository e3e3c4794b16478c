package flac

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat means that the bytes are no FLAC stream, or a damaged one.
var ErrFormat = errors.New("flac: not a FLAC file that can be read")

// Reader reads a FLAC file as 16-bit PCM, whatever the width of its samples.
type Reader struct {
	in     bitReader
	format Format
	bits   uint   // of a sample, as the header of the file says
	left   int64  // samples per channel that are still to come; < 0 = to the end
	frames uint64 // that were read
	block  [][]int64
	size   int // samples per channel in block
	at     int // how many of them were given out
	width  uint
	err    error // that ended it
}

// NewReader reads up to the first frame.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{in: bitReader{r: bufio.NewReader(r), sums: newChecksums()}}
	err := rd.header()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends within its header", ErrFormat)
	}
	if err != nil {
		return nil, err
	}
	rd.block = make([][]int64, rd.format.Channels)
	return rd, nil
}

// Format is what Read gives.
func (r *Reader) Format() Format { return r.format }

// header reads the metadata, RFC 9639 §8. Only the first block is of use.
func (r *Reader) header() error {
	var b [4 + infoSize]byte
	if _, err := io.ReadFull(r.in.r, b[:4]); err != nil {
		return err
	}
	if string(b[:4]) != "fLaC" {
		return fmt.Errorf("%w: it begins with %q", ErrFormat, b[:4])
	}
	for first, last := true, false; !last; first = false {
		if _, err := io.ReadFull(r.in.r, b[:4]); err != nil {
			return err
		}
		last = b[0]&0x80 != 0
		kind, size := b[0]&0x7f, int(binary.BigEndian.Uint32(b[:4])&0xffffff)
		if !first {
			if _, err := r.in.r.Discard(size); err != nil {
				return err
			}
			continue
		}
		if kind != 0 || size != infoSize {
			return fmt.Errorf("%w: its metadata begins with a block of type %d and %d bytes", ErrFormat, kind, size)
		}
		if _, err := io.ReadFull(r.in.r, b[:infoSize]); err != nil {
			return err
		}
		if err := r.info(b[:infoSize]); err != nil {
			return err
		}
	}
	return nil
}

// info reads the STREAMINFO block, RFC 9639 §8.2.
func (r *Reader) info(b []byte) error {
	v := binary.BigEndian.Uint64(b[10:])
	r.format = Format{SampleRate: int(v >> 44), Channels: int(v>>41&7) + 1}
	r.bits = uint(v>>36&0x1f) + 1
	r.left = int64(v & (1<<36 - 1))
	if r.left == 0 {
		r.left = -1
	}
	if r.format.SampleRate == 0 || r.bits < 4 {
		return fmt.Errorf("%w: %d Hz with %d bits", ErrFormat, r.format.SampleRate, r.bits)
	}
	return nil
}

// Read fills pcm with whole frames, all channels interleaved, and returns how many
// samples those are; io.EOF at the end.
func (r *Reader) Read(pcm []int16) (int, error) {
	channels := r.format.Channels
	if len(pcm) < channels {
		return 0, io.ErrShortBuffer
	}
	if r.at == r.size {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.err == nil {
			r.err = r.frame()
		}
		if r.err != nil {
			r.at, r.size = 0, 0
			return 0, r.err
		}
		r.frames++
		if r.left >= 0 {
			r.size = int(min(int64(r.size), r.left))
			r.left -= int64(r.size)
		}
	}
	n := min(len(pcm)/channels, r.size-r.at)
	for c, samples := range r.block {
		for i, v := range samples[r.at : r.at+n] {
			pcm[i*channels+c] = r.narrow(v)
		}
	}
	r.at += n
	return n * channels, nil
}

// narrow makes 16 bits of a sample.
func (r *Reader) narrow(v int64) int16 {
	if r.width > 16 {
		return int16(v >> (r.width - 16))
	}
	return int16(v << (16 - r.width))
}

func (r *Reader) damaged(format string, a ...any) error {
	return fmt.Errorf("%w: frame %d: %s", ErrFormat, r.frames, fmt.Sprintf(format, a...))
}

// frame reads one frame, RFC 9639 §9. What begins none is io.EOF only where there
// is nothing any more.
func (r *Reader) frame() error {
	in := &r.in
	in.begin()
	if _, err := in.r.Peek(1); err != nil {
		return err // io.EOF: the end
	}
	err := r.decode()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.damaged("the file ends within it")
	}
	return err
}

func (r *Reader) decode() error {
	way, err := r.frameHeader()
	if err != nil {
		return err
	}
	for c := range r.block {
		width := r.width
		if way == leftSide && c == 1 || way == sideRight && c == 0 || way == midSide && c == 1 {
			width++ // the difference needs one bit more
		}
		if cap(r.block[c]) < r.size {
			r.block[c] = make([]int64, r.size) // 65536 at the most
		}
		r.block[c] = r.block[c][:r.size]
		if err := r.subframe(r.block[c], width); err != nil {
			return err
		}
	}
	in := &r.in
	in.align()
	want := in.crc16
	if got := in.read(16); in.err == nil && uint16(got) != want {
		return r.damaged("its checksum is wrong")
	}
	if in.err != nil {
		return in.err
	}
	r.join(way)
	r.at = 0
	return nil
}

// join makes left and right of the two channels as they are coded.
func (r *Reader) join(way uint64) {
	if way != leftSide && way != sideRight && way != midSide {
		return
	}
	a, b := r.block[0], r.block[1]
	for i := range a {
		switch way {
		case leftSide:
			b[i] = a[i] - b[i]
		case sideRight:
			a[i] += b[i]
		case midSide: // the mean has lost its lowest bit, which the difference has, too
			sum := a[i]<<1 | b[i]&1
			a[i], b[i] = (sum+b[i])>>1, (sum-b[i])>>1
		}
	}
}

// frameHeader reads the head of a frame (RFC 9639 §9.1): it sets size and width and
// returns how the channels are coded.
func (r *Reader) frameHeader() (way uint64, err error) {
	in := &r.in
	if sync := in.read(15); in.err == nil && sync != 0xfff8>>1 {
		return 0, r.damaged("there is none")
	}
	in.read(1) // blocks of one size, or of many
	size, rate := in.read(4), in.read(4)
	way = in.read(4)
	width := in.read(3)
	if in.read(1) != 0 {
		return 0, r.damaged("it is of a kind that is not known")
	}
	if !in.number() {
		return 0, r.damaged("its number cannot be read")
	}
	switch {
	case size == 0:
		return 0, r.damaged("it has no size")
	case size == 1:
		r.size = 192
	case size <= 5:
		r.size = 576 << (size - 2)
	case size == 6:
		r.size = int(in.read(8)) + 1
	case size == 7:
		r.size = int(in.read(16)) + 1
	default:
		r.size = 256 << (size - 8)
	}
	switch rate { // the file's own is taken
	case 12:
		in.read(8)
	case 13, 14:
		in.read(16)
	}
	want := in.crc8
	if got := in.read(8); in.err == nil && byte(got) != want {
		return 0, r.damaged("the checksum of its head is wrong")
	}
	if in.err != nil {
		return 0, in.err
	}
	r.width = [8]uint{r.bits, 8, 12, 0, 16, 20, 24, 32}[width]
	channels := int(way) + 1
	if way >= leftSide {
		channels = 2
	}
	if way > midSide || channels != r.format.Channels || r.width == 0 {
		return 0, r.damaged("it has %d channels in way %d with width code %d, and the file %d", channels, way, width, r.format.Channels)
	}
	return way, nil
}
