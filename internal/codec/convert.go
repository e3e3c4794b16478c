package codec

import (
	"time"

	"tapedeck/internal/codec/g711"
)

// Converter returns a function that turns payloads of one format into another's
// in place, without decoding to PCM in between. False when there is none: then
// the way goes through a Decoder and an Encoder.
func Converter(from, to Info) (func(payload []byte), bool) {
	switch {
	case from.ClockRate != to.ClockRate || from.Channels != to.Channels:
		return nil, false
	case from.Is(PCMU) && to.Is(PCMA):
		return g711.MuToA, true
	case from.Is(PCMA) && to.Is(PCMU):
		return g711.AToMu, true
	}
	return nil, false
}

// Silence fills dst with the payload of so much silence in the format, and
// returns how many bytes that takes. False when the format has none that we can
// make, or dst is too small.
func Silence(i Info, d time.Duration, dst []byte) (int, bool) {
	n := int(d * time.Duration(i.SampleRate) / time.Second * time.Duration(i.Channels))
	code := byte(0)
	switch {
	case i.Is(PCMU):
		code = g711.SilenceMu
	case i.Is(PCMA):
		code = g711.SilenceA
	case i.Is(L16):
		n *= 2
	default:
		return 0, false
	}
	if n <= 0 || n > len(dst) {
		return 0, false
	}
	for k := range dst[:n] {
		dst[k] = code
	}
	return n, true
}
