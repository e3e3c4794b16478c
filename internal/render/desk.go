package render

import (
	"bufio"
	"io"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/wav"
)

// Desk is the memory that renderings work in, one after the other: what one of
// them took is there for the next, so that many short recordings do not keep the
// garbage collector busy. It must not be used by two at once.
type Desk struct {
	window   []byte // on the journal
	formats  map[codec.Info]*format
	static   [128]*format // by payload type, RFC 3551 §6
	decoders map[*format][]codec.Decoder
	rings    [][]int16 // of lanes, all of one length
	queues   [][]pending
	payloads [][]byte
	sides    [2][]int16
	pcm      []int16
	out      []byte // audio of the file that is not written yet
	peaks    *bufio.Writer
}

const (
	// maxFormats bounds the formats that are remembered: a journal can say anything.
	maxFormats = 256
	// The others bound what is kept for later: lanes and queues, packets in a queue,
	// bytes of payloads, decoders of a format, and formats with decoders.
	maxRings    = 8
	maxQueue    = 2048
	maxPayloads = 1 << 20
	maxDecoders = 4
	maxCodecs   = 16
)

// NewDesk makes an empty desk.
func NewDesk() *Desk {
	d := &Desk{
		decoders: map[*format][]codec.Decoder{}, window: make([]byte, journal.Window),
		sides: [2][]int16{make([]int16, chunk), make([]int16, chunk)}, pcm: make([]int16, maxFrame),
		out: make([]byte, wav.BufferSize),
	}
	d.forget()
	return d
}

// Window is memory for the reader of the journal, while nothing else reads.
func (d *Desk) Window() []byte { return d.window }

// forget begins the formats anew.
func (d *Desk) forget() {
	d.formats = map[codec.Info]*format{}
	clear(d.decoders)
	for pt := range d.static {
		if info, ok := codec.LookupStatic(uint8(pt)); ok {
			d.static[pt] = d.format(info)
		}
	}
}

// ready makes it so for the next rendering.
func (d *Desk) ready() {
	if len(d.formats) > maxFormats {
		d.forget()
	}
}

// format is what packets of one payload type are.
type format struct {
	info      codec.Info
	decodable bool
	bytewise  bool // a byte of payload is a unit of RTP time
	source    source
}

// format says what packets of a codec are. What cannot be decoded is silence with a
// reason, not a failed recording.
func (d *Desk) format(info codec.Info) *format {
	if f := d.formats[info]; f != nil {
		return f
	}
	f := &format{
		info: info, source: source{info.SampleRate, info.Delay()},
		bytewise: info.Is(codec.PCMU) || info.Is(codec.PCMA) || info.Is(codec.G722),
	}
	if info.Audio() && sane(&info) {
		dec, err := codec.NewDecoder(info)
		if f.decodable = err == nil; f.decodable {
			d.keep(f, dec)
		}
	}
	d.formats[info] = f
	return f
}

// ticks is how long the payload's audio is, in units of RTP time; 0 for what is
// no audio.
func (f *format) ticks(payload []byte) int {
	if f.bytewise {
		return len(payload)
	}
	c := &f.info
	if n, ok := c.Duration(payload); ok {
		return n
	}
	if len(payload) == 0 || !c.Audio() || c.Is(codec.Opus) {
		return 0
	}
	return c.ClockRate / 50 // of a format that we do not know: the usual 20 ms
}

// decoder returns one that nobody uses. Whoever takes it resets it.
func (d *Desk) decoder(f *format) codec.Decoder {
	if free := d.decoders[f]; len(free) > 0 {
		dec := free[len(free)-1]
		d.decoders[f] = free[:len(free)-1]
		return dec
	}
	dec, _ := codec.NewDecoder(f.info) // it is decodable: this was tried
	return dec
}

// keep takes a decoder back.
func (d *Desk) keep(f *format, dec codec.Decoder) {
	free, known := d.decoders[f]
	if len(free) < maxDecoders && (known || len(d.decoders) < maxCodecs) {
		d.decoders[f] = append(free, dec)
	}
}

// ring returns memory for a lane. What it holds is of no meaning.
func (d *Desk) ring(size int64) []int16 {
	if d == nil {
		return make([]int16, size)
	}
	if k := len(d.rings) - 1; k >= 0 {
		ring := d.rings[k]
		d.rings = d.rings[:k]
		if int64(len(ring)) == size {
			return ring
		}
	}
	return make([]int16, size)
}

// queue returns room for packets that wait.
func (d *Desk) queue() []pending {
	k := len(d.queues) - 1
	if k < 0 {
		return nil
	}
	out := d.queues[k]
	d.queues = d.queues[:k]
	return out
}

// writer is a buffer in front of w.
func (d *Desk) writer(w io.Writer) *bufio.Writer {
	if d.peaks == nil {
		d.peaks = bufio.NewWriterSize(nil, peaksBuffer)
	}
	d.peaks.Reset(w)
	return d.peaks
}

// clear takes back what a rendering worked with.
func (d *Desk) clear(r *renderer) {
	for _, v := range r.voices {
		for f, dec := range v.decoders {
			d.keep(f, dec)
		}
		if v.lane.ring != nil && len(d.rings) < maxRings {
			d.rings = append(d.rings, v.lane.ring)
		}
		if items := v.queue.items; cap(items) > 0 && cap(items) <= maxQueue && len(d.queues) < maxRings {
			clear(items)
			d.queues = append(d.queues, items[:0])
		}
	}
	d.payloads = r.store.free
	if r.store.spare > maxPayloads {
		d.payloads = nil
	}
	if d.peaks != nil {
		d.peaks.Reset(nil)
	}
}
