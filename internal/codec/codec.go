package codec

import (
	"errors"
	"fmt"

	"tapedeck/internal/codec/g711"
)

// ErrUnsupported means that the format can be negotiated, but not decoded or
// encoded by this build.
var ErrUnsupported = errors.New("codec is not supported")

// ErrShortBuffer means that the destination is too small for the frame.
var ErrShortBuffer = errors.New("codec: destination buffer is too small")

// Decoder turns the payload of one RTP packet into 16-bit PCM, interleaved when
// there are several channels. It returns how many values it wrote to dst. One
// decoder serves one stream; it may keep state between packets.
type Decoder interface {
	Decode(dst []int16, payload []byte) (int, error)
}

// Encoder turns 16-bit PCM into the payload of one RTP packet and returns how
// many bytes it wrote to dst. One encoder serves one stream.
type Encoder interface {
	Encode(dst []byte, pcm []int16) (int, error)
}

// NewDecoder makes a decoder of the format, or fails with ErrUnsupported.
func NewDecoder(i Info) (Decoder, error) {
	switch {
	case i.Is(PCMU):
		return companded{decode: g711.DecodeMu}, nil
	case i.Is(PCMA):
		return companded{decode: g711.DecodeA}, nil
	}
	return nil, fmt.Errorf("decoder of %s/%d: %w", i.Name, i.ClockRate, ErrUnsupported)
}

// NewEncoder makes an encoder of the format, or fails with ErrUnsupported.
func NewEncoder(i Info) (Encoder, error) {
	switch {
	case i.Is(PCMU):
		return companded{encode: g711.EncodeMu}, nil
	case i.Is(PCMA):
		return companded{encode: g711.EncodeA}, nil
	}
	return nil, fmt.Errorf("encoder of %s/%d: %w", i.Name, i.ClockRate, ErrUnsupported)
}

// companded is G.711: one byte per sample, no state.
type companded struct {
	decode func(dst []int16, src []byte)
	encode func(dst []byte, src []int16)
}

func (c companded) Decode(dst []int16, payload []byte) (int, error) {
	if len(dst) < len(payload) {
		return 0, ErrShortBuffer
	}
	c.decode(dst, payload)
	return len(payload), nil
}

func (c companded) Encode(dst []byte, pcm []int16) (int, error) {
	if len(dst) < len(pcm) {
		return 0, ErrShortBuffer
	}
	c.encode(dst, pcm)
	return len(pcm), nil
}
