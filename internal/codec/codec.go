package codec

import (
	"errors"
	"fmt"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/codec/g722"
	"tapedeck/internal/codec/l16"
	"tapedeck/internal/codec/opus"
)

// ErrUnsupported means that the format can be negotiated, but not decoded or
// encoded by this build.
var ErrUnsupported = errors.New("codec is not supported")

// ErrShortBuffer means that the destination is too small for the frame.
var ErrShortBuffer = errors.New("codec: destination buffer is too small")

// Decoder turns the payloads of one stream, in the order of their sequence
// numbers, into 16-bit PCM at Info.SampleRate, interleaved when there are several
// channels. It keeps state between packets: one decoder serves one stream.
type Decoder interface {
	// Decode writes the audio of a payload to dst and returns how many values
	// that are: ErrShortBuffer when they do not fit.
	Decode(dst []int16, payload []byte) (int, error)
	// Conceal fills dst, of whatever length, with what may have followed the last
	// frame. It fades to silence by 60 ms of concealment in a row. Before the
	// first frame it is silence.
	Conceal(dst []int16)
	// Reset forgets what was decoded: a new stream, or a long gap.
	Reset()
}

// Recoverer is a Decoder of a format whose packets may carry the frame before
// them once more (in-band FEC of Opus, RFC 6716 §2.1.7).
type Recoverer interface {
	// Recover writes the audio of the frame before the payload's own to dst, as
	// long as dst, and returns how many values that are: 0 when the payload does
	// not carry it. It stands in the place of Conceal, and the Decode of the same
	// payload follows.
	Recover(dst []int16, payload []byte) (int, error)
}

// Encoder turns 16-bit PCM at Info.SampleRate into the payload of one RTP packet
// and returns how many bytes it wrote to dst. One encoder serves one stream.
type Encoder interface {
	Encode(dst []byte, pcm []int16) (int, error)
}

// NewDecoder makes a decoder of the format, or fails with ErrUnsupported.
func NewDecoder(i Info) (Decoder, error) {
	switch {
	case i.Is(PCMU):
		return newSteady(i, density{1, 1}, g711.DecodeMu), nil
	case i.Is(PCMA):
		return newSteady(i, density{1, 1}, g711.DecodeA), nil
	case i.Is(G722):
		return newWideband(i), nil
	case i.Is(L16):
		return newSteady(i, density{1, l16.Bytes}, l16.Decode), nil
	case i.Is(Opus):
		return newOpusDecoder(i)
	}
	return nil, fmt.Errorf("decoder of %s/%d: %w", i.Name, i.ClockRate, ErrUnsupported)
}

// NewEncoder makes an encoder of the format, or fails with ErrUnsupported: for
// Opus, when libopus is not on this machine.
func NewEncoder(i Info) (Encoder, error) { return NewEncoderFor(i, "") }

// NewEncoderFor is NewEncoder for a receiver that said so much of itself in
// a=fmtp. For Opus that is the rate and whether it has use for in-band FEC.
func NewEncoderFor(i Info, fmtp string) (Encoder, error) {
	switch {
	case i.Is(PCMU):
		return steadyEncoder{density{1, 1}, g711.EncodeMu}, nil
	case i.Is(PCMA):
		return steadyEncoder{density{1, 1}, g711.EncodeA}, nil
	case i.Is(G722):
		return steadyEncoder{density{2, 1}, g722.NewEncoder().Encode}, nil
	case i.Is(L16):
		return steadyEncoder{density{1, l16.Bytes}, l16.Encode}, nil
	case i.Is(Opus):
		return newOpusEncoder(i, fmtp)
	}
	return nil, fmt.Errorf("encoder of %s/%d: %w", i.Name, i.ClockRate, ErrUnsupported)
}

// Encodable reports whether this machine can send the format. Offer nothing
// that is not.
func Encodable(i Info) bool {
	return i.Is(PCMU) || i.Is(PCMA) || i.Is(G722) || i.Is(L16) || i.Is(Opus) && opus.Available(opus.Options{}) == nil
}
