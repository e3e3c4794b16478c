package opus

import (
	"fmt"
	"unsafe"
)

// EncoderOptions say how to encode. The zero value is for telephony: one channel,
// 24 kbit/s, no redundancy.
type EncoderOptions struct {
	Options
	// Bitrate in bit/s, 6000 to 510000 (RFC 7587 §6.1); 0 is 24000 for each channel.
	Bitrate int
	// Music gives up the speech mode of low rates and its help for hearing, and
	// keeps the signal as it is.
	Music bool
	// FEC carries each frame of speech again, coarser, in the packet after it.
	// Only for receivers that said useinbandfec=1 (RFC 7587 §6.1).
	FEC bool
	// Loss is how many packets of a hundred the encoder expects to be lost; with
	// FEC, 0 is 10. Without losses to expect it spends no bits on redundancy.
	Loss int
	// DTX sends next to nothing while nobody speaks.
	DTX bool
	// Complexity is 1 (fast) to 10 (good); 0 is 5, which costs about half of 10.
	Complexity int
}

// Encoder turns PCM at 48 kHz into packets. It is for one goroutine at a time.
type Encoder struct {
	channels  int
	lib       *library
	state     []uint64
	lookahead int
}

// NewEncoder makes an encoder of libopus. Without libopus the error is
// native.ErrMissing, and names the package to install.
func NewEncoder(o EncoderOptions) (*Encoder, error) {
	channels, err := o.channels()
	if err != nil {
		return nil, err
	}
	lib, err := open(o.Absent)
	if err != nil {
		return nil, err
	}
	size, err := result(lib.encoderSize.Call6(uintptr(channels), 0, 0, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	e := &Encoder{channels: channels, lib: lib, state: make([]uint64, (size+7)/8)}
	application := uintptr(applicationVoIP)
	if o.Music {
		application = applicationAudio
	}
	if _, err := result(lib.encoderInit.Call6(uintptr(unsafe.Pointer(&e.state[0])), SampleRate, uintptr(channels), application, 0, 0)); err != nil {
		return nil, err
	}
	if err := e.configure(o); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Encoder) configure(o EncoderOptions) error {
	if o.Bitrate == 0 {
		o.Bitrate = 24000 * e.channels
	}
	if o.Complexity == 0 {
		o.Complexity = 5
	}
	if o.FEC && o.Loss == 0 {
		o.Loss = 10
	}
	flag := map[bool]int{true: 1}
	for _, set := range []struct{ request, value int }{
		{setBitrate, o.Bitrate}, {setComplexity, o.Complexity}, {setInbandFEC, flag[o.FEC]}, {setPacketLoss, o.Loss}, {setDTX, flag[o.DTX]},
	} {
		if _, err := result(e.lib.encodeCtl.CallVariadic(2, uintptr(unsafe.Pointer(&e.state[0])), uintptr(set.request), uintptr(set.value))); err != nil {
			return fmt.Errorf("opus: setting %d to %d: %w", set.request, set.value, err)
		}
	}
	var lookahead int32
	if _, err := result(e.lib.encodeCtl.CallVariadic(2, uintptr(unsafe.Pointer(&e.state[0])), getLookahead, uintptr(unsafe.Pointer(&lookahead)))); err != nil {
		return fmt.Errorf("opus: ask for the lookahead: %w", err)
	}
	e.lookahead = int(lookahead)
	return nil
}

// Lookahead is by how many samples what is decoded lags behind what was encoded:
// the pre-skip of a file (RFC 7845 §4.2).
func (e *Encoder) Lookahead() int { return e.lookahead }

// Encode turns one frame of 2.5, 5, 10, 20, 40 or 60 ms into a packet and returns
// its size. MaxPacket bytes are always enough room; with less the rate is lower.
func (e *Encoder) Encode(dst []byte, pcm []int16) (int, error) {
	if n := len(pcm) / e.channels; !frameFits(n) || n*e.channels != len(pcm) {
		return 0, fmt.Errorf("opus: there are no frames of %d values", len(pcm))
	}
	if len(dst) == 0 {
		return 0, ErrShort
	}
	return result(e.lib.encode.Call6(
		uintptr(unsafe.Pointer(&e.state[0])),
		uintptr(unsafe.Pointer(&pcm[0])), uintptr(len(pcm)/e.channels),
		uintptr(unsafe.Pointer(&dst[0])), uintptr(len(dst)), 0,
	))
}

// frameFits tells the lengths of frames, in samples per channel.
func frameFits(n int) bool {
	switch n {
	case quantum, 2 * quantum, 4 * quantum, 8 * quantum, 16 * quantum, 24 * quantum:
		return true
	}
	return false
}
