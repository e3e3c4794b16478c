package timeline

import (
	"slices"
	"time"
)

// Report is what the clock model needs of an RTCP sender report (RFC 3550
// §6.4.1): RTP time Time was NTP by the sender's own wall clock.
type Report struct {
	Arrival time.Duration // on the session's clock
	SSRC    uint32
	NTP     uint64 // seconds since 1900, 32 bits of whole ones and 32 of fraction
	Time    uint32
}

// noted is a report, on the stream's extended RTP time.
type noted struct {
	n       int64 // audio packets of the stream before it
	ext     int64
	ntp     int64 // nanoseconds since the stream's first report
	arrival time.Duration
}

// Report gives a sender report of the track, in its place among the packets. A
// report of a stream that has sent no audio yet is of no use. One a second is
// kept.
func (v *Survey) Report(r Report) {
	s := v.streams[r.SSRC]
	if s == nil || !s.clocked || r.NTP == 0 {
		return
	}
	if k := len(s.reports) - 1; k >= 0 && r.Arrival < s.reports[k].arrival+bucket {
		return
	}
	if len(s.reports) == 0 {
		s.ntp = r.NTP
	}
	s.reports = append(s.reports, noted{
		n:       s.packets,
		ext:     s.ext + int64(int32(r.Time-uint32(s.ext))),
		ntp:     ntpNanos(r.NTP - s.ntp),
		arrival: r.Arrival,
	})
}

// ntpNanos turns a difference of NTP times into nanoseconds.
func ntpNanos(d uint64) int64 {
	whole, rest := int64(int32(d>>32)), int64(d&0xffffffff)
	return whole*int64(time.Second) + rest*int64(time.Second)>>32
}

const (
	// A sender's wall clock is believed when it and arrival pass alike from one
	// report to the next, but for jitter and what clocks are off.
	reportJitter = int64(500 * time.Millisecond)
	// stoodLeast is the shortest time for which a sender is found to have stood
	// still by its reports. Less is how they are made: of times that were rounded
	// to packets.
	stoodLeast = int64(30 * time.Millisecond)
	// reportsApart is how far apart two reports may be to say something of what
	// was between them. RFC 3550 §6.2 has five seconds, or more in a crowd.
	reportsApart = 30 * time.Second
)

// stall is a packet before which the sender stood still for so long with a
// frozen RTP clock.
type stall struct {
	at mark
	by int64
}

// reportsIn returns the reports that came between two packets.
func (s *surveyed) reportsIn(from, to int64) []noted {
	var out []noted
	for _, r := range s.reports {
		if r.n >= from && r.n <= to {
			out = append(out, r)
		}
	}
	return out
}

// believable returns the reports, or none when the sender's wall clock does not
// go as ours does, or its RTP times are not those of the run.
func believable(reports []noted, r *rawRun) []noted {
	const off = 1000 // 1/1000 is far more than clocks are off
	for i := 1; i < len(reports); i++ {
		a, b := &reports[i-1], &reports[i]
		passed := int64(b.arrival - a.arrival)
		if abs(b.ntp-a.ntp-passed) > reportJitter+passed/off {
			return nil
		}
		if still := still(a, b, r.rate); still < -stoodLeast-passed/off {
			return nil
		}
	}
	return reports
}

// still is how long RTP time stood still between two reports.
func still(a, b *noted, rate int) int64 { return b.ntp - a.ntp - nanos(b.ext-a.ext, rate) }

// stalls finds where the sender stood still, by its own account, for less than
// what arrival alone makes a new run of. Each is looked for without those before
// it: the envelope from before one of them would hide the next.
func (f *fitter) stalls() []stall {
	var out []stall
	pts := slices.Clone(f.run.points)
	for i := 1; i < len(f.reports) && len(pts) > 0; i++ {
		a, b := &f.reports[i-1], &f.reports[i]
		by := still(a, b, f.run.rate)
		if by < stoodLeast || b.arrival-a.arrival > reportsApart {
			continue
		}
		if at, ok := f.stoodAt(pts, a, b, by); ok {
			s := stall{at, by}
			out, pts = append(out, s), s.takeOut(pts)
		}
	}
	return out
}

// stoodAt returns the first packet after a stall between two reports. When what
// came was no later after it than before, there was none: a report that is made
// while the sender is behind tells the time of a packet that should have gone
// before.
func (f *fitter) stoodAt(pts []point, a, b *noted, by int64) (mark, bool) {
	from, to := 0, len(pts)
	for from < len(pts)-1 && pts[from+1].first.n <= a.n {
		from++
	}
	for to > from+1 && pts[to-1].first.n > b.n {
		to--
	}
	if to < len(pts) {
		to++ // where most packets after the stall are too late for the run, none may be before the report
	}
	at, better, ok := f.change(pts, from, to, by)
	return at, ok && better
}

// vetoed says whether reports before and after a point tell that the sender's
// clock went on: what looks like a step there is the network's doing.
func (f *fitter) vetoed(p point) bool {
	var before, after *noted
	for i := range f.reports {
		switch r := &f.reports[i]; {
		case r.n < p.first.n-p.packets:
			before = r
		case r.n > p.first.n+2*p.packets && after == nil:
			after = r
		}
	}
	return before != nil && after != nil && after.arrival-before.arrival <= reportsApart &&
		still(before, after, f.run.rate) < stoodLeast
}
