package opus

import (
	"errors"
	"fmt"

	"tapedeck/internal/native"
)

// Numbers of opus_defines.h.
const (
	applicationVoIP  = 2048
	applicationAudio = 2049

	setBitrate       = 4002
	setComplexity    = 4010
	setInbandFEC     = 4012
	setPacketLoss    = 4014
	setDTX           = 4016
	getLookahead     = 4027
	errBadArg        = -1
	errTooSmall      = -2
	errInternal      = -3
	errInvalid       = -4
	errUnimplemented = -5
)

// ErrShort means that the destination is too small for the frame.
var ErrShort = errors.New("opus: destination buffer is too small")

// Options are of decoders and encoders alike.
type Options struct {
	Channels int // 1 or 2; 0 is 1
	// Absent acts as if libopus were not installed, for tests and comparisons.
	Absent bool
}

func (o Options) channels() (int, error) {
	if o.Channels < 0 || o.Channels > 2 {
		return 0, fmt.Errorf("opus: %d channels are not possible", o.Channels)
	}
	return max(o.Channels, 1), nil
}

// library is libopus with the functions that we call.
type library struct {
	decoderSize, decoderInit, decode            native.Func
	encoderSize, encoderInit, encode, encodeCtl native.Func
}

// open finds libopus. The interface of libopus.so.0 has been the same since 2012.
func open(absent bool) (*library, error) {
	l, err := native.Open(native.Options{
		Name:    "libopus",
		Package: "libopus0",
		Files:   []string{"libopus.so.0", "libopus.0.dylib", "/opt/homebrew/lib/libopus.0.dylib"},
		Needs: []string{
			"opus_decoder_get_size", "opus_decoder_init", "opus_decode",
			"opus_encoder_get_size", "opus_encoder_init", "opus_encode", "opus_encoder_ctl",
		},
		Absent: absent,
	})
	if err != nil {
		return nil, fmt.Errorf("opus: %w", err)
	}
	return &library{
		decoderSize: l.Func("opus_decoder_get_size"), decoderInit: l.Func("opus_decoder_init"), decode: l.Func("opus_decode"),
		encoderSize: l.Func("opus_encoder_get_size"), encoderInit: l.Func("opus_encoder_init"), encode: l.Func("opus_encode"),
		encodeCtl: l.Func("opus_encoder_ctl"),
	}, nil
}

// Available reports, as an error, why there is no encoder on this machine: it
// is native.ErrMissing and names the package to install. Nil when there is one.
func Available(o Options) error {
	_, err := open(o.Absent)
	return err
}

// result is what a function of libopus returned: a count, or an error.
func result(r uintptr) (int, error) {
	n := int(int32(r))
	if n >= 0 {
		return n, nil
	}
	switch n {
	case errBadArg:
		return 0, errors.New("opus: libopus was given a bad argument")
	case errTooSmall:
		return 0, ErrShort
	case errInternal:
		return 0, errors.New("opus: internal error of libopus")
	case errInvalid:
		return 0, fmt.Errorf("%w: libopus cannot decode it", ErrPacket)
	case errUnimplemented:
		return 0, errors.New("opus: libopus does not have this")
	}
	return 0, fmt.Errorf("opus: error %d of libopus", n)
}
