package ogg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat means that the bytes are no Ogg file with one Opus stream.
var ErrFormat = errors.New("ogg: not an Ogg file of Opus")

// maxPacket bounds a packet that goes over several pages.
const maxPacket = 1 << 20

// Reader reads the packets of an Opus stream.
type Reader struct {
	r        *bufio.Reader
	options  Options
	crc      *table
	page     [maxPage]byte
	sizes    []byte // of the page's segments that are still to come
	body     []byte // and their bytes
	packet   []byte
	granule  int64
	sequence uint32
	last     bool
	gain     int
}

// NewReader reads the two headers. The file has one stream; one that is chained or
// multiplexed is ErrFormat.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: bufio.NewReader(r), crc: newTable()}
	if err := rd.nextPage(); err != nil {
		return nil, noEnd(err)
	}
	first, err := rd.Packet()
	if err != nil {
		return nil, noEnd(err)
	}
	if len(first) < headSize || string(first[:8]) != headMagic || first[8]>>4 != 0 || first[18] != 0 {
		return nil, fmt.Errorf("%w: it begins with a packet of another kind", ErrFormat)
	}
	rd.options.Channels = int(first[9])
	rd.options.PreSkip = int(binary.LittleEndian.Uint16(first[10:]))
	rd.options.InputRate = int(binary.LittleEndian.Uint32(first[12:]))
	rd.gain = int(int16(binary.LittleEndian.Uint16(first[16:])))
	if rd.options.Channels < 1 || rd.options.Channels > 2 {
		return nil, fmt.Errorf("%w: %d channels", ErrFormat, rd.options.Channels)
	}
	second, err := rd.Packet()
	if err != nil {
		return nil, noEnd(err)
	}
	if rd.options.Tags, err = readTags(second); err != nil {
		return nil, err
	}
	return rd, nil
}

// noEnd makes an end within the headers what it is.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends within its headers", ErrFormat)
	}
	return err
}

func readTags(b []byte) ([]string, error) {
	bad := fmt.Errorf("%w: bad tags", ErrFormat)
	if len(b) < 8 || string(b[:8]) != tagsMagic {
		return nil, bad
	}
	b = b[8:]
	text := func() (string, bool) {
		if len(b) < 4 || int64(binary.LittleEndian.Uint32(b)) > int64(len(b)-4) {
			return "", false
		}
		n := 4 + int(binary.LittleEndian.Uint32(b))
		s := string(b[4:n])
		b = b[n:]
		return s, true
	}
	if _, ok := text(); !ok || len(b) < 4 {
		return nil, bad
	}
	count := binary.LittleEndian.Uint32(b)
	b = b[4:]
	var out []string
	for range count {
		s, ok := text()
		if !ok {
			return nil, bad
		}
		out = append(out, s)
	}
	return out, nil
}

// Options is what the headers say.
func (r *Reader) Options() Options { return r.options }

// Granule is the position that the page of the last packet says: samples at 48 kHz
// with the pre-skip, at the end of the last packet of that page.
func (r *Reader) Granule() int64 { return r.granule }

// Last reports whether that page says that it is the last one. Then its granule is
// where the audio ends, also within a packet (RFC 7845 §4.4).
func (r *Reader) Last() bool { return r.last }

// Gain is by how much a player is to raise what it decodes, in 1/256 dB.
func (r *Reader) Gain() int { return r.gain }

// Packet returns the next packet, which is good until the next call; io.EOF after
// the last one. A file that ends without saying so is io.ErrUnexpectedEOF.
func (r *Reader) Packet() ([]byte, error) {
	r.packet = r.packet[:0]
	for {
		for len(r.sizes) > 0 {
			n := int(r.sizes[0])
			r.packet = append(r.packet, r.body[:n]...)
			r.sizes, r.body = r.sizes[1:], r.body[n:]
			if n < 255 {
				return r.packet, nil
			}
			if len(r.packet) > maxPacket {
				return nil, fmt.Errorf("%w: a packet of more than %d bytes", ErrFormat, maxPacket)
			}
		}
		if r.last {
			if len(r.packet) > 0 {
				return nil, fmt.Errorf("%w: the last packet has no end", ErrFormat)
			}
			return nil, io.EOF
		}
		if err := r.nextPage(); err != nil {
			return nil, err
		}
	}
}

// nextPage reads a page and checks it.
func (r *Reader) nextPage() error {
	head := r.page[:headerSize]
	if err := r.read(head); err != nil {
		return err
	}
	if string(head[:5]) != "OggS\x00" {
		return fmt.Errorf("%w: page %d begins with %q", ErrFormat, r.sequence, head[:5])
	}
	n := int(head[atSegments])
	if err := r.read(r.page[headerSize : headerSize+n]); err != nil {
		return err
	}
	size := 0
	for _, v := range r.page[headerSize : headerSize+n] {
		size += int(v)
	}
	whole := r.page[:headerSize+n+size]
	if err := r.read(whole[headerSize+n:]); err != nil {
		return err
	}
	want := binary.LittleEndian.Uint32(whole[atCRC:])
	clear(whole[atCRC : atCRC+4])
	if got := r.crc.sum(whole); got != want {
		return fmt.Errorf("%w: page %d has checksum %08x, not %08x", ErrFormat, r.sequence, got, want)
	}
	return r.accept(whole, n)
}

// accept takes a whole page whose place in the stream is right.
func (r *Reader) accept(page []byte, segments int) error {
	flags, serial := page[atFlags], binary.LittleEndian.Uint32(page[atSerial:])
	if r.sequence == 0 {
		r.options.Serial = serial
	}
	switch {
	case serial != r.options.Serial || (flags&flagFirst != 0) != (r.sequence == 0):
		return fmt.Errorf("%w: page %d is of another stream", ErrFormat, r.sequence)
	case binary.LittleEndian.Uint32(page[atSequence:]) != r.sequence:
		return fmt.Errorf("%w: page %d says that it is page %d", ErrFormat, r.sequence, binary.LittleEndian.Uint32(page[atSequence:]))
	case (flags&flagContinued != 0) != (len(r.packet) > 0):
		return fmt.Errorf("%w: page %d begins in the middle of a packet, or ends one too early", ErrFormat, r.sequence)
	}
	r.sequence++
	r.last = flags&flagLast != 0
	if granule := int64(binary.LittleEndian.Uint64(page[atGranule:])); granule != -1 {
		r.granule = granule
	}
	r.sizes, r.body = page[headerSize:headerSize+segments], page[headerSize+segments:]
	return nil
}

func (r *Reader) read(b []byte) error {
	if _, err := io.ReadFull(r.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("ogg: read page %d: %w", r.sequence, err)
	}
	return nil
}
