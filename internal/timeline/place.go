package timeline

import (
	"math"
	"time"
)

// Map is the result of the first pass: for each stream, where its RTP clock
// stands on the session's clock.
type Map struct {
	Streams []Stream `json:"streams,omitempty"`
}

// Stream is the clock of one SSRC.
type Stream struct {
	SSRC     uint32    `json:"ssrc"`
	Packets  int64     `json:"packets"` // of audio, without duplicates
	Segments []Segment `json:"segments"`
}

// Segment is a straight part of a stream's clock: RTP time RTPTime is at session
// time At, and time passes at 1+Drift of what RTP time says.
type Segment struct {
	First   int64         `json:"first"`   // ordinal of its first packet in the stream
	RTPTime int64         `json:"rtpTime"` // extended
	At      time.Duration `json:"atNs"`
	Rate    int           `json:"clockRate"`
	Drift   float64       `json:"drift,omitempty"`
	Joined  bool          `json:"joined,omitempty"` // RTP time goes on from the segment before
	seq     int64         // of the first packet of its run
}

// DriftPPM is how fast the sender's clock is against the session's, in parts per
// million.
func (s *Segment) DriftPPM() float64 {
	if s.Drift == 0 {
		return 0
	}
	return (1/(1+s.Drift) - 1) * 1e6
}

// Verdict says what became of a packet.
type Verdict uint8

// The verdicts.
const (
	Placed    Verdict = iota // at its place
	Late                     // at its place, but it arrived after a later one
	Duplicate                // was there before: drop it
	Stray                    // goes with no stream of the track: drop it
	Silent                   // carries no audio
)

// Placement is where a packet's audio belongs, in samples of the session's
// clock. The length may be one sample off the packet's duration, where the
// sender's clock is corrected: the audio is to be stretched to it.
type Placement struct {
	Verdict Verdict
	Start   int64
	Length  int64
	Stream  int // index in Map.Streams
	Segment int // index in Stream.Segments
	// Seq is the sequence number without wraps. Within a stream, numbers that are
	// missing between two packets were lost or are still to come; a step back, or
	// one of thousands, is a sender that began to count anew.
	Seq int64
}

const (
	// MaxLate is how late a packet may be to be placed. The renderer holds so much
	// audio back.
	MaxLate = 10 * time.Second
	// otherRates is how many changes of the clock rate a packet may come late by.
	otherRates = 16
	// slewMax is the difference between where audio should go on and where it ended
	// that is taken back by one sample each slewStep, which nobody hears. More is a
	// new anchor.
	slewMax  = 20 * time.Millisecond
	slewStep = 20 * time.Millisecond
)

// Placer is the second pass.
type Placer struct {
	m       *Map
	rate    int64
	streams map[uint32]*placing
	latest  *placing // of the packet before: most packets are of one stream
	ssrc    uint32
}

type placing struct {
	stream
	index   int
	segment int     // the present one, by the ordinal of packets
	slew    []int64 // of each segment at its beginning, in samples
}

// Placer begins a second pass at a sample rate in hertz.
func (m *Map) Placer(sampleRate int) *Placer {
	p := &Placer{m: m, rate: int64(sampleRate), streams: map[uint32]*placing{}}
	for i := range m.Streams {
		p.streams[m.Streams[i].SSRC] = &placing{index: i, slew: p.slews(m.Streams[i].Segments)}
	}
	return p
}

// slews returns by how much each segment begins off its own line, because it
// goes on where the one before ended.
func (p *Placer) slews(segments []Segment) []int64 {
	out := make([]int64, len(segments))
	for k := 1; k < len(segments); k++ {
		if s := &segments[k]; s.Joined {
			off := p.sample(&segments[k-1], out[k-1], s.RTPTime) - s.sample(s.RTPTime, p.rate)
			if abs(off) <= samples(int64(slewMax), p.rate) {
				out[k] = off
			}
		}
	}
	return out
}

// sample is the session sample of an RTP time. It depends on nothing else, so
// that neighbours touch to the sample in whatever order they come.
func (p *Placer) sample(s *Segment, slew, ext int64) int64 {
	at := s.sample(ext, p.rate)
	if slew == 0 {
		return at
	}
	taken := max(0, nanos(ext-s.RTPTime, s.Rate)/int64(slewStep))
	if slew > 0 {
		return at + max(0, slew-taken)
	}
	return at + min(0, slew+taken)
}

// Lost is how many packets never came, as the sequence numbers tell.
func (p *Placer) Lost() int64 {
	var lost int64
	for _, s := range p.streams {
		lost += s.lost
	}
	return lost
}

// Withheld tells that packets may have come that were not kept, as in a pause:
// the sequence numbers missing next are no loss.
func (p *Placer) Withheld() {
	for _, s := range p.streams {
		s.excused = true
	}
}

// Place gives the next packet its place.
func (p *Placer) Place(pk Packet) Placement {
	s := p.latest
	if s == nil || p.ssrc != pk.SSRC {
		if s = p.streams[pk.SSRC]; s == nil {
			return Placement{Verdict: Stray}
		}
		p.latest, p.ssrc = s, pk.SSRC
	}
	seq, ord := s.sequence(&pk)
	switch {
	case ord == duplicate:
		return Placement{Verdict: Duplicate}
	case pk.Ticks <= 0 || pk.Rate <= 0:
		return Placement{Verdict: Silent, Stream: s.index, Seq: seq}
	}
	ext := s.extend(&pk)
	n := s.packets
	s.packets++
	segments := p.m.Streams[s.index].Segments
	if len(segments) == 0 {
		return Placement{Verdict: Stray}
	}
	for s.segment+1 < len(segments) && segments[s.segment+1].First <= n {
		s.segment++
	}
	now := s.segment
	if ord == late {
		now = overtook(segments, now, seq, pk.Rate)
	}
	k, ok := choose(segments, now, &pk, seq, ext)
	if !ok && now < s.segment {
		k, ok = choose(segments, s.segment, &pk, seq, ext)
	}
	if !ok {
		return Placement{Verdict: Stray}
	}
	start := p.sample(&segments[k], s.slew[k], ext)
	end := p.sample(&segments[k], s.slew[k], ext+int64(pk.Ticks))
	out := Placement{Verdict: Placed, Start: start, Length: end - start, Stream: s.index, Segment: k, Seq: seq}
	if ord == late {
		out.Verdict = Late
	}
	return out
}

// overtook is what surveyed.overtook is, of segments.
func overtook(segments []Segment, now int, seq int64, rate int) int {
	at := now
	for k := now; k > max(0, now-otherRates); k-- {
		if g := &segments[k]; g.Rate != rate && seq < g.seq && g.seq-seq < seqWindow {
			at = k - 1
		}
	}
	return at
}

// choose returns the segment that a packet belongs to: the present one, or an
// earlier one for what comes late after a change.
func choose(segments []Segment, now int, p *Packet, seq, ext int64) (int, bool) {
	d := delay(p, ext)
	if k := byTime(segments, now, ext); k != now {
		if _, ok := segments[k].above(p.Rate, d, ext); ok {
			return k, true
		}
	}
	best, least, ok := 0, int64(math.MaxInt64), false
	for k, tried := now, 0; k >= max(0, now-otherRates) && tried < 3; k-- {
		if segments[k].Rate != p.Rate {
			if seq >= segments[k].seq {
				break // it was sent after that codec
			}
			continue
		}
		tried++
		if above, fits := segments[k].above(p.Rate, d, ext); fits && above < least {
			best, least, ok = k, above, true
		}
		if ok && ext >= segments[k].RTPTime {
			break // not from before the change, so there is nothing to choose
		}
	}
	if next := now + 1; !ok && next < len(segments) {
		// Packets on their way when the numbers jumped arrive among those from after
		// it: this one was overtaken by packets from before the jump.
		_, ok = segments[next].above(p.Rate, d, ext)
		best = next
	}
	return best, ok
}

// byTime returns the segment, near the present one, that RTP time says. It does
// where RTP time goes on from one to the next.
func byTime(segments []Segment, now int, ext int64) int {
	k := now
	for k+1 < len(segments) && segments[k+1].Joined && ext >= segments[k+1].RTPTime {
		k++
	}
	for k > 0 && segments[k].Joined && ext < segments[k].RTPTime {
		k--
	}
	return k
}

// above is by how much a delay is more than the segment's least one, and whether
// it can be one of the segment's at all: hardly less than the least, and not more
// than can be placed. Less counts as more than anything: it takes a fault in the
// fit, and a segment without it is the better one.
func (s *Segment) above(rate int, d, ext int64) (int64, bool) {
	const exact = int64(20 * time.Millisecond)
	if s.Rate != rate {
		return 0, false
	}
	above := d - (s.at(ext) - nanos(ext, s.Rate))
	if above < -step || above > int64(MaxLate) {
		return 0, false
	}
	if above < -exact {
		above = int64(MaxLate) - above
	}
	return above, true
}

// at is the session time of an RTP time, in nanoseconds.
func (s *Segment) at(ext int64) int64 {
	passed := nanos(ext-s.RTPTime, s.Rate)
	return int64(s.At) + passed + int64(math.Round(s.Drift*float64(passed)))
}

// sample is the session sample of an RTP time. Without drift it is exact: the
// same anchor, plus ticks in samples.
func (s *Segment) sample(ext, rate int64) int64 {
	anchor := samples(int64(s.At), rate)
	ticks := (ext - s.RTPTime) * rate
	at := anchor + floorDiv(ticks, int64(s.Rate))
	if s.Drift == 0 {
		return at
	}
	return at + int64(math.Round(s.Drift*float64(ticks)/float64(s.Rate)))
}

// samples is the number of the sample nearest to a time in nanoseconds.
func samples(ns, rate int64) int64 {
	second := int64(time.Second)
	whole := floorDiv(ns, second)
	return whole*rate + floorDiv((ns-whole*second)*rate+second/2, second)
}

// floorDiv divides towards minus infinity, so that negative times round the same
// way as positive ones.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// DriftPPM is the drift of the segment that lasted longest, over all streams.
func (m *Map) DriftPPM() float64 {
	ppm, most := 0.0, int64(-1)
	for i := range m.Streams {
		st := &m.Streams[i]
		for k := range st.Segments {
			end := st.Packets
			if k+1 < len(st.Segments) {
				end = st.Segments[k+1].First
			}
			if n := end - st.Segments[k].First; n > most {
				ppm, most = st.Segments[k].DriftPPM(), n
			}
		}
	}
	return ppm
}
