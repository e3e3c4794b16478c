package timeline

import (
	"math"
	"slices"
	"time"
)

const (
	// A slope is taken to be real when it moves the audio by more than slopeLeast,
	// and by so many times what the envelope is uncertain. Below, a flat line is
	// nearer to the truth than a slope fitted to jitter.
	slopeLeast  = int64(250 * time.Microsecond)
	slopeNoise  = 6
	slopePoints = 8
	slopeBlocks = 12
	// slopeSure is how many packets must be missing where a flat line would have them
	// before a slope is believed.
	slopeSure = 20
	// slopeMax is what a sound card's clock can be off at all; over a short time
	// less is believed.
	slopeMax      = 1e-3
	slopeMaxShort = 5e-4
	slopeShort    = int64(30 * time.Second)
	// strayed is how far the points may be above their line before the line is
	// taken to be two.
	strayed = int64(15 * time.Millisecond)
	// A step must be so many times larger than the noise around it.
	stepNoise = 3
	// stepPackets is how many packets there must be on each side of a step.
	stepPackets = 3
	// nearby is how many points each side of a step are compared.
	nearby = 8
	// lastingly is how long the middle of a run may be above its line: a congested
	// network comes back sooner.
	lastingly = 2 * time.Minute
	// briefly is how many points may be, with a pause among them that is longer.
	briefly = 16
	// maxSplits bounds how often the pieces of a run are split again.
	maxSplits = 16
	// curveBlock is how many points are taken together to see a line that bends.
	curveBlock = 16
)

// fitter describes one run by straight lines.
type fitter struct {
	run     *rawRun
	reports []noted // of the run, when the sender's wall clock can be believed
	segs    []Segment
}

// fit describes a run by one segment, or by several when one line does not do.
func fit(r *rawRun, reports []noted) []Segment {
	f := &fitter{run: r, reports: believable(reports, r)}
	stalls := f.stalls()
	if len(r.points) <= 4*len(stalls) {
		stalls = nil // hardly anything would be left
	}
	pts := slices.Clone(r.points)
	for _, s := range stalls {
		pts = s.takeOut(pts)
	}
	f.fit(pts, r.first, false, maxSplits)
	return stand(f.segs, stalls)
}

// takeOut makes of the points what they were without the stall. What lies next
// to it is left out: a packet on the wrong side would be far below the rest.
func (s *stall) takeOut(pts []point) []point {
	const next = 5
	kept := pts[:0]
	for _, p := range pts {
		begins, ends := p.first.n, p.first.n+p.packets
		if begins-next <= s.at.n && s.at.n < ends+next {
			continue
		}
		if begins >= s.at.n {
			p.delay -= s.by
		}
		kept = append(kept, p)
	}
	return kept
}

// stand puts the stalls that sender reports told of, and that were taken out,
// back in.
func stand(segs []Segment, stalls []stall) []Segment {
	if len(stalls) == 0 {
		return segs
	}
	var out []Segment
	by := int64(0)
	for i, s := range segs {
		for len(stalls) > 0 && stalls[0].at.n <= s.First {
			by += stalls[0].by
			stalls = stalls[1:]
		}
		next := int64(math.MaxInt64)
		if i+1 < len(segs) {
			next = segs[i+1].First
		}
		moved := s
		moved.At += time.Duration(by)
		out = append(out, moved)
		for len(stalls) > 0 && stalls[0].at.n < next {
			by += stalls[0].by
			after := s
			after.First, after.Joined = stalls[0].at.n, true
			after.At = time.Duration(s.at(stalls[0].at.ext) + by)
			after.RTPTime = stalls[0].at.ext
			out = append(out, after)
			stalls = stalls[1:]
		}
	}
	return out
}

func (f *fitter) fit(pts []point, first mark, joined bool, depth int) {
	base, slope := f.line(pts)
	if depth > 0 {
		if i, at := f.split(pts, base, slope); i > 0 {
			f.fit(pts[:i], first, joined, depth-1)
			f.fit(pts[i:], at, true, depth-1)
			return
		}
	}
	seg := Segment{First: first.n, RTPTime: pts[0].ext, Rate: f.run.rate, Drift: slope, Joined: joined}
	seg.At = time.Duration(base + nanos(pts[0].ext, f.run.rate))
	// The same line, told from the first packet on.
	seg.At, seg.RTPTime = time.Duration(seg.at(first.ext)), first.ext
	f.segs = append(f.segs, seg)
}

// line fits the lower envelope: of all lines below all points, the one nearest
// to them on the whole. That is the edge of the lower convex hull over the mean
// of the times (Moon, Skelly, Towsley, "Estimation and removal of clock skew from
// network delay measurements", 1999). It returns the delay at the first point.
func (f *fitter) line(pts []point) (base int64, slope float64) {
	rate := f.run.rate
	least, mean := int64(math.MaxInt64), 0.0
	x0 := pts[0].ext
	for _, p := range pts {
		least = min(least, p.delay)
		mean += float64(p.ext-x0) / float64(len(pts))
	}
	if len(pts) < slopePoints {
		return least, 0
	}
	a, b := hullEdge(pts, x0, mean)
	dx := float64(nanos(b.ext-a.ext, rate))
	if dx <= 0 {
		return least, 0
	}
	slope = float64(b.delay-a.delay) / dx
	base = a.delay - int64(math.Round(slope*float64(nanos(a.ext-x0, rate))))
	span := nanos(pts[len(pts)-1].ext-x0, rate)
	most := slopeMax
	if span < slopeShort {
		most = slopeMaxShort
	}
	moves := int64(math.Abs(slope) * float64(span))
	if math.Abs(slope) > most || moves < slopeLeast+slopeNoise*roughness(pts, rate, base, slope) {
		return least, 0
	}
	middle := base + int64(slope*mean*float64(time.Second)/float64(rate))
	if !f.likely(pts, middle-least, base, slope) {
		return least, 0
	}
	return base, slope
}

// likely says whether the packets speak for a line rather than for a flat one. Gain
// is how far the line is above the flat one on the mean of the times. Were the flat
// one true, chance alone would have kept every packet out of what lies between the
// two. With jitter of an even spread, twice its mean wide, gain*packets/spread of
// them would be expected there, and none comes with e to the minus that.
func (f *fitter) likely(pts []point, gain int64, base int64, slope float64) bool {
	var packets, jitter float64
	for i := range pts {
		p := &pts[i]
		packets += float64(p.packets)
		jitter += float64(p.packets) * float64(p.above(pts[0].ext, f.run.rate, base, slope))
		for _, over := range f.run.above[p.bytes : p.bytes+int(p.packets)] {
			jitter += float64(over) * float64(time.Millisecond)
		}
	}
	return float64(gain)*packets*packets >= slopeSure*2*jitter
}

// roughness is how far the least of each block of points is above the line, the
// median of all blocks: how sure the envelope is.
func roughness(pts []point, rate int, base int64, slope float64) int64 {
	size := max(1, len(pts)/slopeBlocks)
	var lows []int64
	for i := 0; i+size <= len(pts); i += size {
		low := int64(math.MaxInt64)
		for _, p := range pts[i : i+size] {
			low = min(low, p.above(pts[0].ext, rate, base, slope))
		}
		lows = append(lows, low)
	}
	return median(lows)
}

// above is how far a point is above a line that begins at x0.
func (p *point) above(x0 int64, rate int, base int64, slope float64) int64 {
	return p.delay - base - int64(slope*float64(nanos(p.ext-x0, rate)))
}

func median(v []int64) int64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// hullEdge returns the ends of the lower hull's edge over the given time.
func hullEdge(pts []point, x0 int64, mean float64) (a, b point) {
	var hull []point
	for _, p := range pts {
		if len(hull) > 0 && p.ext <= hull[len(hull)-1].ext {
			if p.delay >= hull[len(hull)-1].delay {
				continue
			}
			hull = hull[:len(hull)-1]
		}
		for len(hull) >= 2 && !convex(hull[len(hull)-2], hull[len(hull)-1], p) {
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, p)
	}
	for i := 1; i < len(hull); i++ {
		if float64(hull[i].ext-x0) >= mean {
			return hull[i-1], hull[i]
		}
	}
	return hull[len(hull)-1], hull[len(hull)-1]
}

// convex reports whether b lies below the line from a to c.
func convex(a, b, c point) bool {
	return float64(b.delay-a.delay)*float64(c.ext-a.ext) < float64(c.delay-a.delay)*float64(b.ext-a.ext)
}
