package timeline

import "time"

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
