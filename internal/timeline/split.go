package timeline

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// level is the envelope of a few points: how much its points move, and how far
// its packets are above it, the mean.
type level struct{ least, moves, mean, packets, points int64 }

// noise is how sure the levels of two sides of a step are. The least of few
// packets is as far from the envelope as their number and jitter say, which one
// packet alone does not know. Wide is how much all points of the run move.
func noise(l, r *level, wide int64) int64 {
	const sure = 12
	jitter := max(l.mean, r.mean)
	moves := max(l.moves, r.moves)
	if min(l.points, r.points) <= nearby/2 {
		moves = max(3*moves, 2*wide) // what moves slowly does not show in few points, as at the end of a run
	}
	return max(moves, sure*jitter/min(l.packets, r.packets))
}

// split returns the index of the point at which the envelope makes a step for
// good, and the packet; 0 when it makes none. A part in the middle that comes
// back is the network's doing and stays on the line.
func (f *fitter) split(pts []point, base int64, slope float64) (int, mark) {
	above := make([]int64, len(pts))
	for i := range pts {
		above[i] = pts[i].above(pts[0].ext, f.run.rate, base, slope)
	}
	wide := spread(above)
	best, most := 0, int64(0)
	for i := 1; i < len(pts); i++ {
		l, r := f.level(pts, above, max(0, i-nearby), i), f.level(pts, above, i, min(len(pts), i+nearby))
		by := r.least - l.least
		if min(l.packets, r.packets) < stepPackets {
			continue // one or two late ones
		}
		if abs(by) < strayed+stepNoise*noise(&l, &r, wide)/2 || abs(by) < abs(most) {
			continue
		}
		// Around a step up, the first place of several is the one; around a step
		// down, the last: the envelope of a window is that of its lowest point.
		if abs(by) == abs(most) && by > 0 {
			continue
		}
		if f.vetoed(pts[i]) || comesBack(pts, above, i, by) {
			continue
		}
		best, most = i, by
	}
	if best > 0 {
		return best, f.stepAt(pts, best, most)
	}
	return f.bend(pts, above)
}

// spread is how far above the lowest point most of them are.
func spread(above []int64) int64 {
	sorted := slices.Sorted(slices.Values(above))
	return sorted[len(sorted)*3/4] - sorted[0]
}

// level looks at the points from one index to before another.
func (f *fitter) level(pts []point, above []int64, from, to int) level {
	out := level{least: math.MaxInt64}
	for _, a := range above[from:to] {
		out.least = min(out.least, a)
	}
	var window [nearby]int64
	over := window[:0]
	for i := from; i < to; i++ {
		over = append(over, above[i]-out.least)
		out.packets += pts[i].packets
		for _, b := range f.run.above[pts[i].bytes : pts[i].bytes+int(pts[i].packets)] {
			out.mean += int64(b) * int64(time.Millisecond)
		}
	}
	// One point may be of the other side, or of a moment without network.
	slices.Sort(over)
	out.points = int64(len(over))
	out.moves, out.mean = over[len(over)-1-len(over)/4], out.mean/out.packets
	return out
}

// comesBack says whether the high side of a step falls back to the low side's
// level soon, away from the step, without RTP time having jumped to it: a
// congested network, not a sender that stood still. A call may begin in such a
// network: it has no low side to fall back to, only one that follows.
func comesBack(pts []point, above []int64, i int, by int64) bool {
	away, low := 1, int64(math.MaxInt64)
	from := i
	if by < 0 {
		away, from = -1, i-1
		if caughtUp(pts[max(0, i-1):min(len(pts), i+2)]) {
			return false
		}
		for _, a := range above[i:min(len(pts), i+nearby)] {
			low = min(low, a)
		}
	} else {
		for _, a := range above[max(0, i-nearby):i] {
			low = min(low, a)
		}
	}
	limit := low + abs(by)*3/10
	for k := from; k >= 0 && k < len(pts); k += away {
		if !passing(&pts[from], &pts[k], int(abs(int64(k-from)))) {
			return false
		}
		if pts[k].jumped {
			return false
		}
		if above[k] <= limit {
			return true
		}
	}
	return by < 0
}

// caughtUp says whether RTP time jumped ahead in one of a few points.
func caughtUp(pts []point) bool {
	return slices.ContainsFunc(pts, func(p point) bool { return p.jumped })
}

// passing says whether what lasts from one point to another, so many points on, may
// be a congestion. What the network did in a pause nobody heard, and congestion at
// the end of a talk spurt and at the beginning of the next, minutes later, is two.
func passing(a, b *point, points int) bool {
	return time.Duration(abs(b.second-a.second))*bucket <= lastingly || points < briefly
}

// bend returns the middle when the points leave their line for long without a
// step: the sender's clock changed its pace.
func (f *fitter) bend(pts []point, above []int64) (int, mark) {
	since := -1
	for i := 0; i+curveBlock <= len(pts); i += curveBlock {
		l := f.level(pts, above, i, i+nearby)
		if l.least < strayed+stepNoise*l.moves/2 {
			since = -1
			continue
		}
		if since < 0 {
			since = i
		}
		last := i + curveBlock - 1
		if !passing(&pts[since], &pts[last], last-since) {
			return len(pts) / 2, pts[len(pts)/2].first
		}
	}
	return 0, mark{}
}

// stepAt returns the first packet after the step before point i.
func (f *fitter) stepAt(pts []point, i int, by int64) mark {
	from, to := max(0, i-2), min(len(pts), i+2)
	at, _, ok := f.change(pts, from, to, by)
	if !ok {
		return pts[i].first
	}
	return at
}

// change finds where among the packets of some points the envelope rises, or
// falls, by so much: the first packet after it. No packet is below its envelope,
// and of the places that allow for that, the one with the least jitter is it.
// Better means that there is less jitter than without any change.
func (f *fitter) change(pts []point, from, to int, by int64) (at mark, better, ok bool) {
	var packets []heard
	for k := from; k < to; k++ {
		packets = f.heard(packets, &pts[k])
	}
	slices.SortStableFunc(packets, func(a, b heard) int { return cmp.Compare(a.ext, b.ext) })
	before, after := int64(math.MaxInt64), int64(math.MaxInt64)
	all, ahead := int64(len(packets)), int64(0)
	for k := max(0, from-nearby); k < min(len(pts), to+nearby); k++ {
		switch {
		case k < from:
			before = min(before, pts[k].delay)
			all += pts[k].packets
			ahead += pts[k].packets
		case k >= to:
			after = min(after, pts[k].delay-by)
			all += pts[k].packets
		}
	}
	// Of each place, the least delay of what is behind it.
	behind := make([]int64, len(packets)+1)
	behind[len(packets)] = after
	for k := len(packets) - 1; k >= 0; k-- {
		behind[k] = min(behind[k+1], packets[k].delay-by)
	}
	const unit = int64(time.Microsecond)
	// Without a change: one envelope, and nothing behind it that is put back.
	plain := before
	for _, p := range packets {
		plain = min(plain, p.delay)
	}
	if after < math.MaxInt64 {
		plain = min(plain, after+by)
	}
	none := all*(plain/unit) - (all-ahead)*(by/unit)
	best, most := -1, int64(math.MinInt64)
	for k := 0; k <= len(packets); k++ {
		if k > 0 {
			before = min(before, packets[k-1].delay)
		}
		envelope := min(before, behind[k]) / unit
		if sum := all*envelope - int64(k)*(by/unit); sum > most {
			best, most = k, sum
		}
	}
	if best < 0 || best >= len(packets) {
		return mark{}, false, false
	}
	better = most > none
	if best == 0 {
		return packets[0].mark, better, true
	}
	// Right behind the last one before: what came next may not be in the run.
	last := packets[best-1]
	return mark{last.n + 1, last.ext + last.ticks}, better, true
}

// heard is a packet of which only its delay matters.
type heard struct {
	mark
	delay int64
	ticks int64 // its length, nearly
}

// heard appends the packets of a point, with their delays rounded up to the
// millisecond, so that none seems to be below its envelope. Their ordinals are as
// if no stray had been among them.
func (f *fitter) heard(to []heard, p *point) []heard {
	for k := range p.packets {
		i := int64(p.bytes) + k
		ext := p.first.ext + (k+int64(f.run.order[i]))*p.ticks
		delay := p.delay
		if above := int64(f.run.above[i]); above > 0 {
			delay += (above + 1) * int64(time.Millisecond)
		}
		to = append(to, heard{mark{p.first.n + k, ext}, delay, p.ticks})
	}
	return to
}
