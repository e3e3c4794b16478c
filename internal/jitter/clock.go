package jitter

import "time"

// Limits of the sender's clock.
const (
	ahead = 150 * time.Millisecond // media time that runs ahead of arrival by more is another clock
	stall = time.Second            // media time that falls behind by more stood still
)

// The windows of the lower envelope and of the delay.
const (
	bucket   = 500 * time.Millisecond
	buckets  = 8 // four seconds
	margin   = 5 * time.Millisecond
	fall     = 5 // ms a second, by which the delay is lowered
	moved    = 2 // the envelope higher by Max/2 in a whole bucket is another path
	leastPut = 5 // packets in a bucket that can tell that
)

// clock maps the numbers of the stream to one media time that goes on, and keeps
// the envelope and the delay.
type clock struct {
	anchored bool
	rate     int
	seqOff   uint64        // buffer's sequence number = the packet's + seqOff
	time     uint64        // the packet's time at the anchor
	media    time.Duration // media time there
	lastAt   time.Duration // arrival of the newest packet
	lastMed  time.Duration // its media time

	lows   [buckets]time.Duration // least transit of each bucket
	highs  [buckets]time.Duration // most
	filled [buckets]int           // packets in it
	at     int
	ends   time.Duration // of the bucket in use
	low    time.Duration // least of lows; the base
	known  bool

	target  time.Duration // the delay without Lead
	lowered time.Duration // when it was lowered last
}

// base is the transit of the fastest packets of late.
func (c *clock) base() time.Duration { return c.low }

// place says where a packet belongs. It anchors the numbers anew at the first
// packet, after Restart, with another clock rate, and when the sender's clock
// jumped or stood still.
func (c *clock) place(p *Packet, newest uint64, frame time.Duration, begun bool) (seq uint64, media time.Duration) {
	if c.anchored && p.Class == Mark {
		// An event's time stands still, and may be of another clock: only audio and
		// noise tell of the sender's.
		return p.Seq + c.seqOff, c.lastMed
	}
	if c.anchored && c.rate == p.ClockRate {
		seq, media = p.Seq+c.seqOff, c.mediaOf(p)
		if int64(seq-newest) <= 0 && media <= c.lastMed {
			return seq, media
		}
		step, passed := media-c.lastMed, p.Arrival-c.lastAt
		steady := time.Duration(seq-newest)*frame + ahead
		if step >= 0 && passed-step <= stall && (step <= steady || step-passed <= ahead) {
			c.lastAt, c.lastMed = p.Arrival, media
			return seq, media
		}
	}
	return c.anchor(p, newest, begun)
}

func (c *clock) mediaOf(p *Packet) time.Duration {
	units := int64(p.Time - c.time)
	rate := int64(c.rate)
	return c.media + time.Duration(units/rate)*time.Second + time.Duration(units%rate*int64(time.Second)/rate)
}

// anchor lets a packet follow the newest one in number, and come as fast as the
// fastest.
func (c *clock) anchor(p *Packet, newest uint64, begun bool) (uint64, time.Duration) {
	seq := newest + 1
	switch {
	case !begun:
		seq = 1 << 32 // room below for packets that were overtaken by the first one
	case c.anchored:
		seq = p.Seq + c.seqOff // the time alone begins anew
	}
	media := time.Duration(0)
	if c.known {
		media = max(p.Arrival-c.low, c.lastMed)
	}
	c.anchored, c.rate, c.seqOff, c.time, c.media = true, p.ClockRate, seq-p.Seq, p.Time, media
	c.lastAt, c.lastMed = p.Arrival, media
	return seq, media
}

// note takes the transit of a packet into the envelope and the delay.
func (c *clock) note(transit, at, most time.Duration) {
	if !c.known {
		c.known, c.low, c.ends, c.lowered = true, transit, at+bucket, at
		c.filled[c.at] = 0
	}
	if at >= c.ends {
		c.turn(at, most)
	}
	i := c.at
	if c.filled[i] == 0 {
		c.lows[i], c.highs[i] = transit, transit
	}
	c.filled[i]++
	c.lows[i], c.highs[i] = min(c.lows[i], transit), max(c.highs[i], transit)
	c.low = min(c.low, transit)

	if need := min(transit-c.low+margin, most); need > c.target {
		c.target, c.lowered = need, at
	}
	c.lower(at)
}

// turn begins another bucket.
func (c *clock) turn(at, most time.Duration) {
	done := c.at
	if c.filled[done] >= leastPut && c.lows[done]-c.low > most/moved {
		// Not one packet was fast: the path is longer now, or the clock stood still.
		for i := range c.filled {
			if i != done {
				c.filled[i] = 0
			}
		}
	}
	c.at = (c.at + 1) % buckets
	c.filled[c.at] = 0
	c.ends = at + bucket
	before, first := c.low, true
	for i, n := range c.filled {
		if n == 0 {
			continue
		}
		if first || c.lows[i] < c.low {
			c.low, first = c.lows[i], false
		}
	}
	if c.low > before { // the delay counts from the base: what is due when stays as it is
		c.target = max(c.target-(c.low-before), margin)
	}
}

// lower brings the delay down slowly, to what the last four seconds needed.
func (c *clock) lower(at time.Duration) {
	passed := at - c.lowered
	if passed < bucket {
		return
	}
	c.lowered = at
	need := time.Duration(0)
	for i, n := range c.filled {
		if n > 0 {
			need = max(need, c.highs[i]-c.low+margin)
		}
	}
	if need < c.target {
		c.target = max(need, c.target-min(passed, time.Second)*fall/1000)
	}
}
