package codec

import "tapedeck/internal/codec/cn"

// Noise makes comfort noise as RFC 3389 packets describe it.
type Noise struct{ *cn.Generator }

// NewNoise makes a generator of comfort noise for a sample rate in Hz: Update
// takes the payloads of CN packets, Fill makes mono audio. It is silent until the
// first payload. The spectrum of a packet reaches up to half of the clock rate of
// its CN format, and that of the noise to half of sampleRate: at another rate, it
// is drawn out.
func NewNoise(sampleRate int) Noise { return Noise{cn.New(sampleRate)} }
