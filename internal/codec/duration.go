package codec

import "tapedeck/internal/codec/opus"

// Duration is how long the audio of a payload is, in samples at the clock rate
// per channel, without decoding it. False for what is no audio or no payload of
// this format.
func (i Info) Duration(payload []byte) (int, bool) {
	if len(payload) == 0 || !i.Audio() {
		return 0, false
	}
	n := 0
	switch {
	case i.Is(PCMU), i.Is(PCMA), i.Is(G722):
		// G.722 has two samples in a byte but counts 8000 a second, RFC 3551
		// §4.5.2: one unit a byte as well.
		n = len(payload)
	case i.Is(L16):
		n = len(payload) / 2 / max(i.Channels, 1)
	case i.Is(Opus):
		return opus.Duration(payload)
	}
	return n, n > 0
}
