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
	case i.Is(Opus):
		return opusSilence(d, dst)
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

// opusSilence is a packet of one to three frames of digital silence: mono CELT
// of the full band (RFC 6716 §3.1), whose two bytes say that nothing sounds.
func opusSilence(d time.Duration, dst []byte) (int, bool) {
	const (
		ten, twenty = 30 << 3, 31 << 3 // configurations of 10 and 20 ms
		two, many   = 1, 3             // frame counts of RFC 6716 §3.2
	)
	var head [2]byte
	size, frames := 1, 1
	switch d {
	case 10 * time.Millisecond:
		head[0] = ten
	case 20 * time.Millisecond:
		head[0] = twenty
	case 40 * time.Millisecond:
		head[0], frames = twenty|two, 2
	case 60 * time.Millisecond:
		head, size, frames = [2]byte{twenty | many, 3}, 2, 3
	default:
		return 0, false
	}
	if len(dst) < size+2*frames {
		return 0, false
	}
	n := copy(dst, head[:size])
	for range frames {
		n += copy(dst[n:], []byte{0xff, 0xfe})
	}
	return n, true
}
