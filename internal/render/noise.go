package render

import "tapedeck/internal/codec"

// quiet begins comfort noise, or changes it (RFC 3389 §4).
func (v *voiced) quiet(p *pending) {
	v.hush(p.start, true)
	const lowest, highest = 8000, 192000
	rate := p.format.info.ClockRate
	if rate < lowest || rate > highest { // the journal says what no audio has
		rate = lowest
	}
	if !v.noisy || v.hiss != rate {
		v.noise, v.hiss = codec.NewNoise(rate), rate
		v.noiseAt = p.start
		// What lies between speech and noise is quiet too.
		if near(p.start, v.flow.end, v.samplesOf(maxConcealed)) {
			v.noiseAt = v.flow.end
		}
	}
	v.noisy = true
	v.noise.Update(p.payload)
}

// hush makes comfort noise up to a sample; when it need not end there, it may
// go on a little further.
func (v *voiced) hush(until int64, ends bool) {
	if !v.noisy {
		return
	}
	until = min(until, v.lane.limit)
	v.noiseAt = max(v.noiseAt, v.lane.done)
	for v.noiseAt < until {
		n := int64(v.rate / 50)
		if ends {
			n = min(n, until-v.noiseAt)
		}
		from, to := v.heardPart(v.noiseAt, v.noiseAt+n)
		if count := ((to-from)*int64(v.hiss) + int64(v.rate) - 1) / int64(v.rate); count > 0 {
			v.noise.Fill(v.pcm[:count])
			v.flow.put(v.pcm[:count], source{rate: v.hiss}, from, to-from, noise)
		}
		v.noiseAt += n
	}
}

// heardPart is the part of a stretch in which the track is in the file: the first
// one, when there are several.
func (v *voiced) heardPart(from, to int64) (int64, int64) {
	if v.plan.Always {
		return from, to
	}
	for _, s := range v.plan.Heard {
		a, b := max(from, v.all.session(s.From)), min(to, v.all.session(s.To))
		if a < b {
			return a, b
		}
	}
	return to, to
}
