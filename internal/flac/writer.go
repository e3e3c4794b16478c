package flac

import (
	"crypto/md5" // what the format has, RFC 9639 §8.2
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Format says what the samples are. They are 16-bit PCM always.
type Format struct {
	SampleRate int // Hz, up to 655350
	Channels   int // 1 to 8; two are coded together where they are alike
}

// blockSize is how many samples per channel are coded at once: what libFLAC
// takes, and the most that every streamable file may have at 48 kHz (RFC 9639 §7).
const blockSize = 4096

const (
	infoSize = 34
	width    = 16 // bits of a sample
)

// ErrClosed means that a writer was used after its Close.
var ErrClosed = errors.New("flac: writer is closed")

// Writer writes a FLAC file.
type Writer struct {
	w       io.WriteSeeker
	format  Format
	start   int64 // where the file begins in w
	md5     hash.Hash
	raw     []byte // samples as the MD5 wants them
	block   [][]int32
	fill    int // samples per channel in block
	frames  int64
	samples int64
	least   int // bytes of the smallest frame
	most    int
	enc     encoder
	err     error
}

// NewWriter writes the header. Close completes it by seeking back.
func NewWriter(w io.WriteSeeker, f Format) (*Writer, error) {
	if f.SampleRate < 1 || f.SampleRate > 655350 || f.Channels < 1 || f.Channels > 8 {
		return nil, fmt.Errorf("flac: %d Hz with %d channels is not possible", f.SampleRate, f.Channels)
	}
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("flac: find the start: %w", err)
	}
	wr := &Writer{w: w, format: f, start: start, md5: md5.New(), block: make([][]int32, f.Channels), enc: newEncoder(f)}
	for i := range wr.block {
		wr.block[i] = make([]int32, blockSize)
	}
	if _, err := w.Write(wr.header(make([]byte, md5.Size))); err != nil {
		return nil, fmt.Errorf("flac: write header: %w", err)
	}
	return wr, nil
}

// header is the marker, the stream's description and the name of the program,
// RFC 9639 §8. A sum of zeros is not known yet.
func (w *Writer) header(sum []byte) []byte {
	const vendor = "Tapedeck"
	b := append([]byte("fLaC"), 0, 0, 0, infoSize)
	b = binary.BigEndian.AppendUint16(b, blockSize)
	b = binary.BigEndian.AppendUint16(b, blockSize)
	b = append(b, byte(w.least>>16), byte(w.least>>8), byte(w.least), byte(w.most>>16), byte(w.most>>8), byte(w.most))
	// 20 bits of rate, 3 of channels, 5 of width, 36 of length; 0 is unknown.
	length := uint64(w.samples)
	if length >= 1<<36 {
		length = 0
	}
	b = binary.BigEndian.AppendUint64(b, uint64(w.format.SampleRate)<<44|uint64(w.format.Channels-1)<<41|(width-1)<<36|length)
	b = append(b, sum...)
	b = append(b, 0x80|4, 0, 0, byte(4+len(vendor)+4)) // the last block: tags, none
	b = binary.LittleEndian.AppendUint32(b, uint32(len(vendor)))
	b = append(b, vendor...)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// Write appends interleaved samples: a whole number of frames.
func (w *Writer) Write(pcm []int16) error {
	if w.err != nil {
		return w.err
	}
	c := w.format.Channels
	if len(pcm)%c != 0 {
		return fmt.Errorf("flac: %d samples are no whole frames of %d channels", len(pcm), c)
	}
	for len(pcm) > 0 {
		n := min(len(pcm)/c, blockSize-w.fill)
		for i := range n {
			for k := range c {
				w.block[k][w.fill+i] = int32(pcm[i*c+k])
			}
		}
		w.sum(pcm[:n*c])
		w.fill, pcm = w.fill+n, pcm[n*c:]
		if w.fill == blockSize {
			if err := w.flush(); err != nil {
				w.err = err
				return err
			}
		}
	}
	return nil
}

// sum adds samples to the MD5, which is over their bytes, the lower first
// (RFC 9639 §8.2).
func (w *Writer) sum(pcm []int16) {
	w.raw = w.raw[:0]
	for _, v := range pcm {
		w.raw = append(w.raw, byte(v), byte(v>>8))
	}
	w.md5.Write(w.raw)
}

// flush writes the block as a frame.
func (w *Writer) flush() error {
	b := w.enc.frame(uint64(w.frames), w.block, w.fill)
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("flac: write frame %d: %w", w.frames, err)
	}
	if w.least == 0 || len(b) < w.least {
		w.least = len(b)
	}
	w.most = max(w.most, len(b))
	w.frames++
	w.samples += int64(w.fill)
	w.fill = 0
	return nil
}

// Close writes what is left, and the length and the checksum of the audio into
// the header. It leaves w at the end of the file. Closing again does nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	if w.fill > 0 {
		if w.err = w.flush(); w.err != nil {
			return w.err
		}
	}
	w.err = ErrClosed
	end, err := w.w.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = w.w.Seek(w.start, io.SeekStart)
	}
	if err == nil {
		_, err = w.w.Write(w.header(w.md5.Sum(nil)))
	}
	if err == nil {
		_, err = w.w.Seek(end, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("flac: complete the header: %w", err)
	}
	return nil
}
