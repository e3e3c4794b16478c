package codec

import (
	"time"

	"tapedeck/internal/codec/g722"
)

// opusDelay is how far an Opus encoder looks ahead, in samples at 48 kHz: 2.5 ms
// for the overlap of its transform and 4 ms with which it makes its modes equally
// late (libopus opus_encoder.c; it is the usual pre-skip of RFC 7845 §4.2 too).
// The packets do not tell it. An encoder for restricted low delay, which
// telephones do not use, looks ahead by 2.5 ms alone.
const opusDelay = 312

// Delay is how much later the audio of a decoded packet is than the packet: what a
// decoder gives first, for so long, is from before the packet's own time. Nothing
// for formats without memory. For G.722 it is the two quadrature mirror filters
// (ITU-T G.722 §1.4: 24 taps each), 1.375 ms; for Opus what the encoder looks
// ahead, 6.5 ms.
func (i Info) Delay() time.Duration {
	const g722Rate, opusRate = 16000, 48000
	switch {
	case i.Is(G722):
		return g722.Delay * time.Second / g722Rate
	case i.Is(Opus):
		return opusDelay * time.Second / opusRate
	}
	return 0
}
