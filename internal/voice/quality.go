package voice

import "time"

// Quality is how well a call went. Zero members are not known.
type Quality struct {
	PDD time.Duration `json:"pdd,omitempty"` // from the INVITE to the ringing, or to the answer where there was none
	MOS float64       `json:"mos,omitempty"` // 1 to 4.5, of what came from the party
}

// minHeard is how many packets an estimate of the quality needs: some seconds.
const minHeard = 100

// Opinion estimates how the party sounds, as a mean opinion score, from the packets
// that came in time and those that did not, and from how unevenly they came. It is
// the E-model of ITU-T G.107 with the values of G.113 for G.711 with loss
// concealment, of the loss and the delay of the jitter buffer alone; 0 = too few
// packets came to tell.
func Opinion(heard, lost uint64, jitter time.Duration) float64 {
	if heard < minHeard {
		return 0
	}
	const (
		best   = 93.2 // R with everything else at its default (G.107 §7.7)
		robust = 25.1 // Bpl of G.711 with concealment (G.113 appendix I)
	)
	loss := 100 * float64(lost) / float64(heard+lost)
	delay := 20 + 2*float64(jitter)/float64(time.Millisecond) // a packet, and the buffer that evens them out
	r := best - 95*loss/(loss+robust) - 0.024*delay
	if delay > 177.3 {
		r -= 0.11 * (delay - 177.3)
	}
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6) // G.107 annex B
}
