package cn

import "math"

// maxOrder is the most reflection coefficients that are used; those after it are
// left out, which RFC 3389 §3.2 allows.
const maxOrder = 32

// Generator makes comfort noise.
type Generator struct {
	reflection [maxOrder]float64
	order      int
	behind     [maxOrder]float64 // backward values of the lattice
	spread     [maxOrder]float64 // their RMS against that of the noise
	excited    float64           // by what part of the noise's amplitude the lattice is excited
	amplitude  float64           // of uniform noise of the level, in units of 16-bit PCM
	target     float64           // where the amplitude goes
	step       float64           // how far per sample
	ramp       float64           // samples of a change of level
	begun      bool
	random     uint32
}

// New makes a generator for a sample rate in Hz, which is the clock rate of the CN
// format: the spectrum that its packets describe goes up to half of that. It is
// silent until the first Update.
func New(sampleRate int) *Generator {
	const change = 50 // a change of level takes 20 ms
	g := &Generator{ramp: max(float64(sampleRate)/change, 1)}
	g.Reset()
	return g
}

// Reset makes the generator as new.
func (g *Generator) Reset() { *g = Generator{ramp: g.ramp, random: 1} }

// Update takes the payload of a comfort noise packet, RFC 3389 §3: a byte with the
// level in −dBov, where 0 dBov is a square wave at full scale, and a byte for each
// reflection coefficient of an all-pole model of the spectrum, in the sign of
// A(z) = 1 + k₁z⁻¹ for the first. Without them the noise is white. An empty payload
// changes nothing.
func (g *Generator) Update(payload []byte) {
	if len(payload) == 0 {
		return
	}
	const fullScale = 1 << 15
	level := fullScale * math.Pow(10, -float64(payload[0]&0x7f)/20)
	// The lattice makes white noise louder by the inverse of the product of all
	// 1−k². The amplitude of uniform noise is √3 of its RMS.
	gain := 1.0
	order := 0
	was := g.spread
	for _, index := range payload[1:] {
		const reserved = 255
		if index == reserved || order == maxOrder {
			break
		}
		k := 258 * (float64(index) - 127) / 32768 // RFC 3389 §3.2
		g.reflection[order] = k
		g.spread[order] = math.Sqrt(gain)
		gain *= 1 - k*k
		order++
	}
	// What is in the lattice is as large as the spectrum before made it. Under
	// another it would be heard as a bang, so it is brought to the size that it has
	// under that one: then no change of spectrum makes the noise louder than its level.
	for k := range min(order, g.order) {
		g.behind[k] *= g.spread[k] / was[k]
	}
	if order < g.order {
		clear(g.behind[order:])
	}
	g.order = order
	g.excited = math.Sqrt(gain)
	g.target = level * math.Sqrt(3)
	if !g.begun {
		g.begun, g.amplitude = true, g.target
	}
	g.step = (g.target - g.amplitude) / g.ramp
}

// Fill fills dst with noise.
func (g *Generator) Fill(dst []int16) {
	if g.amplitude == 0 && g.target == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		if g.amplitude != g.target {
			if g.amplitude += g.step; (g.target-g.amplitude)*g.step <= 0 {
				g.amplitude = g.target
			}
		}
		g.random = g.random*1664525 + 1013904223
		v := g.excited * g.amplitude * float64(int32(g.random)) / (1 << 31)
		for k := g.order - 1; k >= 0; k-- {
			v -= g.reflection[k] * g.behind[k]
			if k+1 < g.order {
				g.behind[k+1] = g.behind[k] + g.reflection[k]*v
			}
		}
		if g.order > 0 {
			g.behind[0] = v
		}
		dst[i] = int16(min(max(math.RoundToEven(v), math.MinInt16), math.MaxInt16))
	}
}
