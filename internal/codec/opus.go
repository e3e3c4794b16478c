package codec

import (
	"errors"
	"fmt"

	"tapedeck/internal/codec/opus"
	"tapedeck/internal/native"
)

// opusDecoder puts Opus into the words of this package.
type opusDecoder struct{ *opus.Decoder }

func newOpusDecoder(i Info) (Decoder, error) {
	d, err := opus.NewDecoder(opus.Options{Channels: i.Channels})
	if err != nil {
		return nil, fmt.Errorf("decoder of %s/%d: %w", i.Name, i.ClockRate, err)
	}
	return opusDecoder{d}, nil
}

func (d opusDecoder) Decode(dst []int16, payload []byte) (int, error) {
	n, err := d.Decoder.Decode(dst, payload)
	if errors.Is(err, opus.ErrShort) {
		return 0, ErrShortBuffer
	}
	return n, err
}

type opusEncoder struct{ *opus.Encoder }

// newOpusEncoder makes the encoder that a receiver with these parameters wants.
func newOpusEncoder(i Info, fmtp string) (Encoder, error) {
	p := opus.ParseParameters(fmtp)
	e, err := opus.NewEncoder(opus.EncoderOptions{Options: opus.Options{Channels: i.Channels}, FEC: p.FEC, Bitrate: opusRate(i, p)})
	if errors.Is(err, native.ErrMissing) {
		return nil, fmt.Errorf("encoder of %s/%d: %w: %w", i.Name, i.ClockRate, ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("encoder of %s/%d: %w", i.Name, i.ClockRate, err)
	}
	return opusEncoder{e}, nil
}

// opusRate is 32 kbit/s for each channel, at which speech is beyond complaint
// (RFC 7587 §3.1.1 has 28 to 40 kbit/s for fullband speech), or what the receiver
// allows.
func opusRate(i Info, p opus.Parameters) int {
	rate := 32000 * max(i.Channels, 1)
	if p.Bitrate != 0 {
		rate = min(rate, p.Bitrate)
	}
	return rate
}

func (e opusEncoder) Encode(dst []byte, pcm []int16) (int, error) {
	n, err := e.Encoder.Encode(dst, pcm)
	if errors.Is(err, opus.ErrShort) {
		return 0, ErrShortBuffer
	}
	return n, err
}
