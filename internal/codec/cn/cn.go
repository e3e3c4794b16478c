package cn

import "math"

// Generator makes comfort noise.
type Generator struct {
	amplitude float64 // of the uniform noise, in units of 16-bit PCM
	random    uint32
}

// New makes a generator for a sample rate in Hz. It is silent until the first
// Update.
func New(sampleRate int) *Generator {
	_ = sampleRate
	return &Generator{random: 1}
}

// Update takes the payload of a comfort noise packet: its first byte is the
// level in −dBov (RFC 3389 §3.1). An empty payload changes nothing. The spectrum
// in the bytes after it is not used: the noise is white, a model of order 0,
// which RFC 3389 §3.2 lets a receiver choose.
func (g *Generator) Update(payload []byte) {
	if len(payload) == 0 {
		return
	}
	level := -float64(payload[0] & 0x7f)
	rms := (math.MaxInt16 + 1) * math.Pow(10, level/20)
	g.amplitude = rms * math.Sqrt(3) // uniform in ±a has an RMS of a/√3
}

// Fill fills dst with noise.
func (g *Generator) Fill(dst []int16) {
	for i := range dst {
		g.random = g.random*1664525 + 1013904223
		v := g.amplitude * float64(int32(g.random)) / (1 << 31)
		dst[i] = int16(min(max(v, math.MinInt16), math.MaxInt16))
	}
}
