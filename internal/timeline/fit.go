package timeline

import (
	"math"
	"time"
)

const (
	// A slope is taken to be real when it moves the audio by so much, over so long,
	// and is one that a sound card's clock can have. Below, a flat line is nearer
	// to the truth than a slope fitted to jitter.
	slopeExcursion = int64(3 * time.Millisecond)
	slopeSpan      = int64(30 * time.Second)
	slopeMax       = 1e-3
	// strayed is how far the points may be above their line before the line is
	// taken to be two.
	strayed = int64(15 * time.Millisecond)
	// groupPackets is how many packets it takes for the least delay among them to
	// be within a few milliseconds of the envelope at 200 ms of jitter.
	groupPackets = 200
	// lastingly is how long the middle of a run may be above its line: a congested
	// network comes back sooner.
	lastingly = 2 * time.Minute
	// maxSplits bounds how often the pieces of a run are split again.
	maxSplits = 16
	// nearby is how many points each side of a step are compared.
	nearby = 8
)

// fit describes a run by one segment, or by several when one line does not do.
func fit(r *rawRun) []Segment {
	return fitPoints(r.points, r.first, r.rate, maxSplits)
}

func fitPoints(pts []point, first mark, rate, depth int) []Segment {
	base, slope := line(pts, rate)
	at := split(pts, rate, base, slope)
	if at > 0 && depth > 0 {
		left := fitPoints(pts[:at], first, rate, depth-1)
		return append(left, fitPoints(pts[at:], stepAt(pts, at), rate, depth-1)...)
	}
	seg := Segment{First: first.n, RTPTime: pts[0].ext, Rate: rate, Drift: slope}
	seg.At = time.Duration(base + nanos(pts[0].ext, rate))
	// The same line, told from the first packet on.
	seg.At, seg.RTPTime = time.Duration(seg.at(first.ext)), first.ext
	return []Segment{seg}
}

// line fits the lower envelope: of all lines below all points, the one nearest
// to them on the whole. That is the edge of the lower convex hull over the mean
// of the times (Moon, Skelly, Towsley, "Estimation and removal of clock skew from
// network delay measurements", 1999). It returns the delay at the first point.
func line(pts []point, rate int) (base int64, slope float64) {
	least, mean := int64(math.MaxInt64), 0.0
	x0 := pts[0].ext
	for _, p := range pts {
		least = min(least, p.delay)
		mean += float64(p.ext-x0) / float64(len(pts))
	}
	span := nanos(pts[len(pts)-1].ext-x0, rate)
	if span < slopeSpan {
		return least, 0
	}
	a, b := hullEdge(pts, x0, mean)
	dx := float64(nanos(b.ext-a.ext, rate))
	if dx <= 0 {
		return least, 0
	}
	slope = float64(b.delay-a.delay) / dx
	if math.Abs(slope) > slopeMax || math.Abs(slope)*float64(span) < float64(slopeExcursion) {
		return least, 0
	}
	return a.delay - int64(math.Round(slope*float64(nanos(a.ext-x0, rate)))), slope
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

// split returns the index of the point at which the points leave their line for
// good, or 0. A part in the middle that comes back is the network's doing and
// stays on the line.
func split(pts []point, rate int, base int64, slope float64) int {
	above := func(p point) int64 {
		return p.delay - base - int64(slope*float64(nanos(p.ext-pts[0].ext, rate)))
	}
	type group struct {
		from, to int // points
		least    int64
	}
	var groups []group
	g, packets := group{least: math.MaxInt64}, int64(0)
	for i, p := range pts {
		g.least, g.to = min(g.least, above(p)), i+1
		if packets += p.packets; packets >= groupPackets {
			groups = append(groups, g)
			g, packets = group{from: i + 1, least: math.MaxInt64}, 0
		}
	}
	if len(groups) < 2 {
		return 0
	}
	for i := 0; i < len(groups); {
		j := i
		for j < len(groups) && groups[j].least > strayed {
			j++
		}
		if j == i {
			i++
			continue
		}
		lasts := time.Duration(pts[groups[j-1].to-1].second-pts[groups[i].from].second) * bucket
		if i == 0 || j == len(groups) || lasts >= lastingly {
			return boundary(pts, above)
		}
		i = j
	}
	return 0
}

// boundary returns the point at which the envelope changes most.
func boundary(pts []point, above func(point) int64) int {
	least := func(pts []point) int64 {
		low := int64(math.MaxInt64)
		for _, p := range pts {
			low = min(low, above(p))
		}
		return low
	}
	best, most := 0, int64(0)
	for i := 1; i < len(pts); i++ {
		change := abs(least(pts[max(0, i-nearby):i]) - least(pts[i:min(len(pts), i+nearby)]))
		if change > most {
			best, most = i, change
		}
	}
	if most < strayed/2 {
		return len(pts) / 2 // no step, a curve
	}
	return best
}

// stepAt returns the packet at which the step before point i took place: it is
// in that second or in the one before.
func stepAt(pts []point, i int) mark {
	before, after := &pts[i-1], &pts[i]
	if abs(before.change) > abs(after.change) && before.changeAt.n > pts[0].first.n {
		return before.changeAt
	}
	return after.changeAt
}
