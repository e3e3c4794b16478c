package codec

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
		n = opusDuration(payload)
	}
	return n, n > 0
}

// opusDuration reads the length of an Opus packet from its first bytes (RFC 6716
// §3.1 and §3.2), in samples at 48 kHz; 0 when they are not valid.
func opusDuration(b []byte) int {
	const (
		ms      = 48
		longest = 120 * ms // RFC 6716 §3.2.5, R5
	)
	config := b[0] >> 3
	var frame int
	switch {
	case config < 12: // SILK
		frame = [...]int{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config&3]
	case config < 16: // hybrid
		frame = [...]int{10 * ms, 20 * ms}[config&1]
	default: // CELT
		frame = [...]int{5 * ms / 2, 5 * ms, 10 * ms, 20 * ms}[config&3]
	}
	count := 0
	switch b[0] & 3 {
	case 0:
		count = 1
	case 1, 2:
		count = 2
	default:
		if len(b) > 1 {
			count = int(b[1] & 63)
		}
	}
	if count*frame > longest {
		return 0
	}
	return count * frame
}
