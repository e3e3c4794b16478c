package ogg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Options describe an Opus stream.
type Options struct {
	Channels  int      // 1, or 2 for left and right
	PreSkip   int      // samples at 48 kHz that a player drops first: the encoder's delay
	InputRate int      // of what was encoded, Hz; for information only
	Tags      []string // NAME=value
	Serial    uint32   // tells streams in one file apart
}

// perPage is how much audio a page has, in samples: a second. More would make
// seeking coarse, less is bytes for nothing.
const perPage = 48000

// ErrClosed means that a writer was used after its Close.
var ErrClosed = errors.New("ogg: writer is closed")

// Writer writes one Opus stream as an Ogg file, from front to back.
type Writer struct {
	w        io.Writer
	options  Options
	crc      *table
	page     []byte // packets of the page
	sizes    []byte // and of their segments
	whole    []byte // scratch: the page with its header
	sequence uint32
	begun    int64 // samples before this page
	samples  int64 // samples of all packets
	flags    byte  // of the next page
	err      error
}

// NewWriter writes the two header pages.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	if o.Channels < 1 || o.Channels > 2 || o.PreSkip < 0 || o.PreSkip > math.MaxUint16 {
		return nil, fmt.Errorf("ogg: %d channels with a pre-skip of %d are not possible", o.Channels, o.PreSkip)
	}
	wr := &Writer{w: w, options: o, crc: newTable(), page: make([]byte, 0, maxPage), sizes: make([]byte, 0, maxSegments), flags: flagFirst}
	// Each header has pages of its own, at position 0: RFC 7845 §3.
	for _, packet := range [][]byte{head{o.Channels, o.PreSkip, o.InputRate}.append(nil), tags(o.Tags)} {
		if len(packet) > 255*(maxSegments-1) {
			return nil, fmt.Errorf("ogg: tags of %d bytes do not fit into a page", len(packet))
		}
		wr.add(packet)
		if err := wr.flush(0, 0); err != nil {
			return nil, err
		}
	}
	return wr, nil
}

// tags is the comment header, RFC 7845 §5.2.
func tags(list []string) []byte {
	const vendor = "Tapedeck"
	b := binary.LittleEndian.AppendUint32([]byte(tagsMagic), uint32(len(vendor)))
	b = append(b, vendor...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, t := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, t...)
	}
	return b
}

// Packet appends a packet whose audio is so many samples long, at 48 kHz and per
// channel.
func (w *Writer) Packet(b []byte, samples int) error {
	if w.err != nil {
		return w.err
	}
	if len(b) == 0 || len(b) > 255*(maxSegments-1) || samples <= 0 {
		return fmt.Errorf("ogg: a packet of %d bytes for %d samples is not possible", len(b), samples)
	}
	// A full page goes out when there is something to follow it: only the last
	// page may end before its packets do (RFC 7845 §4.4).
	full := len(w.sizes)+len(b)/255+1 > maxSegments || w.samples-w.begun+int64(samples) > perPage
	if full && len(w.sizes) > 0 {
		if err := w.flush(w.samples, 0); err != nil {
			w.err = err
			return err
		}
		w.begun = w.samples
	}
	w.add(b)
	w.samples += int64(samples)
	return nil
}

// add puts a packet onto the page, where it fits.
func (w *Writer) add(b []byte) {
	w.page = append(w.page, b...)
	for n := len(b); ; n -= 255 {
		w.sizes = append(w.sizes, byte(min(n, 255)))
		if n < 255 {
			return
		}
	}
}

// flush writes the page.
func (w *Writer) flush(granule int64, flags byte) error {
	var head [headerSize]byte
	copy(head[:], "OggS")
	head[atFlags] = w.flags | flags
	binary.LittleEndian.PutUint64(head[atGranule:], uint64(granule))
	binary.LittleEndian.PutUint32(head[atSerial:], w.options.Serial)
	binary.LittleEndian.PutUint32(head[atSequence:], w.sequence)
	head[atSegments] = byte(len(w.sizes))
	page := append(append(append(w.whole[:0], head[:]...), w.sizes...), w.page...)
	w.whole = page
	binary.LittleEndian.PutUint32(page[atCRC:], w.crc.sum(page))
	if _, err := w.w.Write(page); err != nil {
		return fmt.Errorf("ogg: write page %d: %w", w.sequence, err)
	}
	w.sequence++
	w.flags, w.page, w.sizes = 0, w.page[:0], w.sizes[:0]
	return nil
}

// Close writes the last page, which says that the audio has exactly so many
// samples at 48 kHz per channel, without the pre-skip; what the packets have more
// than that is cut off by the player. Closing again does nothing.
func (w *Writer) Close(length int64) error {
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	w.err = ErrClosed
	end := int64(w.options.PreSkip) + length
	if length < 0 || end > w.samples || end < w.begun {
		return fmt.Errorf("ogg: the audio cannot end at %d: the last page has %d to %d", end, w.begun, w.samples)
	}
	return w.flush(end, flagLast)
}
