package opus

import (
	"fmt"
	"unsafe"

	pion "github.com/pion/opus"
)

// Concealment is as loud as the audio was for 10 ms and fades out until 60 ms,
// like that of G.711 (ITU-T G.711 Appendix I): after that nothing plausible is
// left to say.
const (
	fadeStart = SampleRate / 100
	fadeEnd   = 6 * SampleRate / 100
)

// Decoder turns packets of one stream into PCM at 48 kHz, interleaved. It is
// for one goroutine at a time.
type Decoder struct {
	channels  int
	lib       *library // nil: pure
	state     []uint64 // of libopus; uint64 for the alignment
	pure      pion.Decoder
	began     bool
	concealed int      // samples per channel concealed in a row
	spare     []int16  // concealment that libopus made beyond what was asked
	piece     []int16  // one quantum of it
	last      []int16  // pure: the end of the last frame, to fade out
	frames    [][]byte // pure: of the packet
	single    []byte   // pure: one of them, as a packet
}

// NewDecoder makes a decoder: of libopus where that is installed, else of
// pion/opus. A stereo stream decoded to one channel is mixed by the decoder, a mono
// stream decoded to two is the same on both.
func NewDecoder(o Options) (*Decoder, error) {
	channels, err := o.channels()
	if err != nil {
		return nil, err
	}
	d := &Decoder{channels: channels}
	if lib, err := open(o.Absent); err == nil { // its absence is no error here
		d.lib = lib
		size, err := result(lib.decoderSize.Call6(uintptr(channels), 0, 0, 0, 0, 0))
		if err != nil {
			return nil, err
		}
		d.state = make([]uint64, (size+7)/8)
		d.piece = make([]int16, quantum*channels)
	} else {
		if d.pure, err = pion.NewDecoderWithOutput(SampleRate, channels); err != nil {
			return nil, fmt.Errorf("opus: make a decoder: %w", err)
		}
		d.last = make([]int16, 0, MaxFrame*channels)
	}
	if err := d.init(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Decoder) init() error {
	if d.lib == nil {
		return d.pure.Init(SampleRate, d.channels)
	}
	_, err := result(d.lib.decoderInit.Call6(uintptr(unsafe.Pointer(&d.state[0])), SampleRate, uintptr(d.channels), 0, 0, 0))
	return err
}

// Native reports whether the decoder is that of libopus.
func (d *Decoder) Native() bool { return d.lib != nil }

// Decode writes the audio of a packet to dst, which has room for it (Duration, or
// MaxFrame per channel), and returns how many values that are. What is no
// packet is ErrPacket and changes nothing. A packet without audio (DTX) is the
// silence, or the noise, that the decoder fills in.
func (d *Decoder) Decode(dst []int16, payload []byte) (int, error) {
	p, err := Parse(payload)
	if err != nil {
		return 0, err
	}
	want := p.Samples() * d.channels
	if len(dst) < want {
		return 0, fmt.Errorf("%w: %d values into %d", ErrShort, want, len(dst))
	}
	dst = dst[:want]
	if d.lib == nil {
		return d.decodePure(dst, payload, p)
	}
	n, err := d.call(payload, dst, false)
	if err != nil {
		return 0, err
	}
	d.heard()
	return n * d.channels, nil
}

// heard notes that there was audio.
func (d *Decoder) heard() {
	d.began, d.concealed, d.spare = true, 0, nil
}

// call runs opus_decode; without a payload it conceals.
func (d *Decoder) call(payload []byte, dst []int16, fec bool) (int, error) {
	var flag uintptr
	if fec {
		flag = 1
	}
	return result(d.lib.decode.Call6(
		uintptr(unsafe.Pointer(&d.state[0])),
		uintptr(unsafe.Pointer(unsafe.SliceData(payload))), uintptr(len(payload)),
		uintptr(unsafe.Pointer(&dst[0])), uintptr(len(dst)/d.channels), flag,
	))
}

// Recover writes the audio of the frame before the packet's own to dst, as long
// as dst, when the packet carries it (RFC 6716 §2.1.7), and returns how many values
// that are; else 0. Where dst is longer than one frame, its front is concealed.
// Without libopus it is always 0.
func (d *Decoder) Recover(dst []int16, payload []byte) (int, error) {
	p, err := Parse(payload)
	if err != nil {
		return 0, err
	}
	frame := p.Frame * d.channels
	if d.lib == nil || !p.Recovers || len(dst) < frame {
		return 0, nil
	}
	front := dst[:len(dst)-frame]
	d.Conceal(front)
	n, err := d.call(payload, dst[len(front):], true)
	if err != nil {
		return 0, err
	}
	d.heard()
	return len(front) + n*d.channels, nil
}

// Conceal fills dst, whole samples of all channels, with what may have followed
// the last frame, fading to silence by 60 ms in a row. Before the first frame it
// is silence.
func (d *Decoder) Conceal(dst []int16) {
	if !d.began || d.concealed >= fadeEnd {
		clear(dst)
		return
	}
	todo := dst[:min(len(dst), (fadeEnd-d.concealed)*d.channels)]
	clear(dst[len(todo):])
	if d.lib != nil {
		d.concealNative(todo)
	} else {
		d.concealPure(todo)
	}
	for i := range todo {
		at := d.concealed + i/d.channels
		if at >= fadeStart {
			todo[i] = int16(int(todo[i]) * (fadeEnd - at) / (fadeEnd - fadeStart))
		}
	}
	d.concealed += len(dst) / d.channels
}

// concealNative asks libopus, which conceals whole steps of 2.5 ms; what is beyond
// the length asked for begins the next concealment. As much as possible is asked
// for at once: libopus takes each call for a frame that was lost, and fades.
func (d *Decoder) concealNative(dst []int16) {
	for len(dst) > 0 {
		if n := copy(dst, d.spare); n > 0 {
			dst, d.spare = dst[n:], d.spare[n:]
			continue
		}
		into := d.piece
		if whole := len(dst) / len(d.piece) * len(d.piece); whole > 0 {
			into = dst[:whole]
		}
		if n, err := d.call(nil, into, false); err != nil || n*d.channels != len(into) {
			clear(dst)
			return
		}
		if len(into) <= len(dst) && &into[0] == &dst[0] {
			dst = dst[len(into):]
			continue
		}
		d.spare = into
	}
}

// Reset forgets the stream.
func (d *Decoder) Reset() {
	d.began, d.concealed, d.spare, d.last = false, 0, nil, d.last[:0]
	// With the arguments that it took before, init has nothing to refuse.
	_ = d.init()
}
