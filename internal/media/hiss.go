package media

import (
	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
)

// hiss is the comfort noise of a party, at the rate of its audio. It is made at the
// clock rate of the packets that describe it: their spectrum goes up to half of that
// (RFC 3389 §3.2), and not to half of the rate of wider audio. Noise has no places
// that must be kept, so what the resampler gives beyond what was asked for begins
// the next piece.
type hiss struct {
	clock    int // Hz; 0 before the first packet
	noise    codec.Noise
	resample *audio.Resampler
	made     []int16 // 10 ms at clock
	ready    []int16
}

// describe takes a packet of comfort noise at its clock rate, for audio of a rate.
func (h *hiss) describe(payload []byte, clock, rate int) {
	if h.clock != clock {
		h.clock, h.noise = clock, codec.NewNoise(clock)
		h.resample = audio.NewResampler(clock, rate)
		h.made, h.ready = make([]int16, max(clock/100, 1)), h.ready[:0]
	}
	h.noise.Update(payload)
}

// fill fills dst with noise. There was a packet.
func (h *hiss) fill(dst []int16) {
	for len(h.ready) < len(dst) {
		h.noise.Fill(h.made)
		h.ready = h.resample.Process(h.ready, h.made)
	}
	n := copy(dst, h.ready)
	h.ready = h.ready[:copy(h.ready, h.ready[n:])]
}
