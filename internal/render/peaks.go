package render

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
)

// A peaks file holds the least and the greatest sample of each 20 ms of a
// recording, per channel: what a picture of the audio is drawn of. The format is
// described in docs/format/peaks.md.
const (
	peaksMagic   = "TDPEAKS\x00"
	peaksVersion = 1
	peaksHeader  = 36
	peaksHashed  = peaksHeader - 4 // bytes that the header's checksum covers
	pointSize    = 4
	// peaksPerSecond is how fine the stored peaks are: a screen's width for 20 s.
	peaksPerSecond = 50
	peaksBuffer    = 1 << 15
	peaksAtOnce    = 512 // bytes of points that are summed at once
	// MaxPeaks bounds the points that ReadPeaks gives.
	MaxPeaks = 1 << 16
)

// ErrPeaks means that bytes are no peaks, or not all of them.
var ErrPeaks = errors.New("not a file of peaks")

// Peak is the least and the greatest sample of a stretch.
type Peak struct{ Min, Max int16 }

// Peaks are the extremes of a recording's audio, in stretches of equal length.
type Peaks struct {
	SampleRate int      // of the recording, Hz
	Samples    int64    // of the recording, per channel
	Sides      [][]Peak // for each channel, left first; all of the same length
}

// peaksWriter finds the extremes of audio that passes by, and writes them.
type peaksWriter struct {
	out     *bufio.Writer
	sum     hash.Hash32
	per     int64 // samples per point
	left    int64 // samples that are missing in the present point
	current []Peak
	points  []byte // that are not written yet
	err     error
}

// castagnoli is the polynomial of the journal's checksums too.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// newPeaksWriter writes the header. So many samples per channel must follow.
func newPeaksWriter(w io.Writer, rate, channels int, samples int64) *peaksWriter {
	p := &peaksWriter{out: bufio.NewWriterSize(w, peaksBuffer), sum: crc32.New(castagnoli()), per: int64(max(rate/peaksPerSecond, 1)), current: make([]Peak, channels)}
	h := make([]byte, 0, peaksHeader)
	h = append(h, peaksMagic...)
	h = binary.LittleEndian.AppendUint32(h, peaksVersion)
	h = binary.LittleEndian.AppendUint32(h, uint32(rate))
	h = binary.LittleEndian.AppendUint32(h, uint32(channels))
	h = binary.LittleEndian.AppendUint32(h, uint32(p.per))
	h = binary.LittleEndian.AppendUint64(h, uint64(samples))
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli()))
	_, p.err = p.out.Write(h)
	p.begin()
	return p
}

func (p *peaksWriter) begin() {
	p.left = p.per
	for i := range p.current {
		p.current[i] = Peak{math.MaxInt16, math.MinInt16}
	}
}

// add takes the next samples, of all channels.
func (p *peaksWriter) add(sides [][]int16) {
	for from := 0; from < len(sides[0]); {
		n := int(min(int64(len(sides[0])-from), p.left))
		for i, side := range sides {
			low, high := p.current[i].Min, p.current[i].Max
			for _, v := range side[from : from+n] {
				low, high = min(low, v), max(high, v)
			}
			p.current[i] = Peak{low, high}
		}
		from += n
		if p.left -= int64(n); p.left == 0 {
			p.end()
		}
	}
}

// end writes the present point.
func (p *peaksWriter) end() {
	for _, c := range p.current {
		p.points = binary.LittleEndian.AppendUint16(p.points, uint16(c.Min))
		p.points = binary.LittleEndian.AppendUint16(p.points, uint16(c.Max))
	}
	if len(p.points) >= peaksAtOnce {
		p.flush()
	}
	p.begin()
}

// flush sums and writes the points that there are.
func (p *peaksWriter) flush() {
	if p.err == nil {
		p.sum.Write(p.points) // a hash never fails
		_, p.err = p.out.Write(p.points)
	}
	p.points = p.points[:0]
}

// close writes the last point, and the checksum of all.
func (p *peaksWriter) close() error {
	if p.left < p.per {
		p.end()
	}
	p.flush()
	p.points = binary.LittleEndian.AppendUint32(p.points, p.sum.Sum32())
	p.flush()
	if err := errors.Join(p.err, p.out.Flush()); err != nil {
		return fmt.Errorf("write peaks: %w", err)
	}
	return nil
}

// ReadPeaks reads peaks that a Write gave to Layout.Peaks, and reduces them to so
// many points, at most MaxPeaks. When fewer are stored (there are 50 for each
// second), or points is 0 or less, it gives what is stored, up to MaxPeaks. Bytes
// that are no peaks, or not whole, are ErrPeaks; it takes no more memory than the
// points need.
func ReadPeaks(r io.Reader, points int) (Peaks, error) {
	in := bufio.NewReaderSize(r, 1<<15)
	head := make([]byte, peaksHeader)
	if _, err := io.ReadFull(in, head); err != nil {
		return Peaks{}, peaksError("header", err)
	}
	p, per, err := parsePeaksHeader(head)
	if err != nil {
		return Peaks{}, err
	}
	stored := (p.Samples + per - 1) / per
	if points <= 0 {
		points = MaxPeaks
	}
	if err := p.reduce(in, stored, min(stored, int64(points), MaxPeaks)); err != nil {
		return Peaks{}, err
	}
	return p, nil
}

func peaksError(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends in the %s", ErrPeaks, what)
	}
	return fmt.Errorf("read peaks: %w", err)
}

// parsePeaksHeader returns what it says, and the samples per point.
func parsePeaksHeader(h []byte) (Peaks, int64, error) {
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(h[at:]) }
	if string(h[:len(peaksMagic)]) != peaksMagic {
		return Peaks{}, 0, fmt.Errorf("%w: it does not begin as one", ErrPeaks)
	}
	if crc32.Checksum(h[:peaksHashed], castagnoli()) != u32(peaksHashed) {
		return Peaks{}, 0, fmt.Errorf("%w: the checksum of the header is wrong", ErrPeaks)
	}
	if v := u32(8); v != peaksVersion {
		return Peaks{}, 0, fmt.Errorf("%w: version %d is not known", ErrPeaks, v)
	}
	rate, channels, per, samples := u32(12), u32(16), u32(20), binary.LittleEndian.Uint64(h[24:])
	if rate == 0 || rate > 1<<20 || channels == 0 || channels > 2 || per == 0 || per > 1<<20 || samples > math.MaxInt64/2 {
		return Peaks{}, 0, fmt.Errorf("%w: %d Hz, %d channels, %d samples a point, %d samples", ErrPeaks, rate, channels, per, samples)
	}
	return Peaks{SampleRate: int(rate), Samples: int64(samples), Sides: make([][]Peak, channels)}, int64(per), nil
}

// reduce reads the stored points and joins them to so many. Point i holds the
// stored points from i·stored/points on.
func (p *Peaks) reduce(in io.Reader, stored, points int64) error {
	sum := crc32.New(castagnoli())
	row := make([]byte, pointSize*len(p.Sides))
	at, edge := int64(-1), int64(0)
	for k := range stored {
		if _, err := io.ReadFull(in, row); err != nil {
			return peaksError("points", err)
		}
		sum.Write(row) // a hash never fails
		fresh := k >= edge
		if fresh {
			at++
			edge = nextEdge(at, stored, points)
		}
		for i := range p.Sides {
			b := row[pointSize*i:]
			v := Peak{int16(binary.LittleEndian.Uint16(b)), int16(binary.LittleEndian.Uint16(b[2:]))}
			if fresh {
				p.Sides[i] = append(p.Sides[i], v)
				continue
			}
			last := &p.Sides[i][at]
			last.Min, last.Max = min(last.Min, v.Min), max(last.Max, v.Max)
		}
	}
	var tail [4]byte
	if _, err := io.ReadFull(in, tail[:]); err != nil {
		return peaksError("checksum", err)
	}
	if binary.LittleEndian.Uint32(tail[:]) != sum.Sum32() {
		return fmt.Errorf("%w: the checksum of the points is wrong", ErrPeaks)
	}
	return nil
}

// nextEdge is the first stored point after point at: (at+1)·stored/points,
// without overflow.
func nextEdge(at, stored, points int64) int64 {
	whole, rest := stored/points, stored%points
	return (at+1)*whole + (at+1)*rest/points
}
