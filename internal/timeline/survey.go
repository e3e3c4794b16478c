package timeline

import (
	"math"
	"time"
)

const (
	// bucket is the time whose packets give one point of the envelope.
	bucket = time.Second
	// recent is how many points back the present envelope is looked for: long
	// against jitter, short against drift.
	recent = 16
	// step is how far a delay must be from the envelope to be looked at as a jump:
	// more than the jitter that is promised to be taken (200 ms).
	step = int64(250 * time.Millisecond)
	// A jump of RTP time against sequence numbers is believed after so many
	// packets in a row: one or two may be strays.
	jumpPackets = 3
	// For so long after a jump packets from before it may arrive among those from
	// after it: the jitter that is promised to be taken, and that of one overtaken.
	mixed = 500 * time.Millisecond
	// A jump of the delay alone may be a congested network, which comes back. It
	// is believed when it has not come back for so long, with so many packets.
	stallTime    = 5 * time.Second
	stallPackets = 20
	// A stream of fewer packets beside others is of strays.
	minStream = 3
)

// Survey is the first pass: it finds the runs of each stream.
type Survey struct {
	streams map[uint32]*surveyed
	order   []uint32  // SSRCs as they came
	latest  *surveyed // of the packet before: most packets are of one stream
	ssrc    uint32
}

// NewSurvey begins a first pass.
func NewSurvey() *Survey { return &Survey{streams: map[uint32]*surveyed{}} }

// surveyed is one stream in the first pass.
type surveyed struct {
	stream
	runs []rawRun
	cand rawRun // packets that may begin a new run
	kind candidacy

	prevExt   int64
	prevSeq   int64
	prevDelay int64
	length    int64 // of the newest packet, nanoseconds

	reports []noted
	ntp     uint64 // of the first report
}

type candidacy uint8

const (
	noCandidate candidacy = iota
	jumped                // RTP time does not go with the sequence numbers
	delayed               // it does, but the packets come later than they should
)

// rawRun is a run while its packets come.
type rawRun struct {
	delayed bool // RTP time goes on from the run before
	first   mark
	rate    int
	seq     int64 // of its first packet
	packets int64
	begin   time.Duration // arrival of its first packet
	low     int64         // extremes of the delay
	high    int64
	points  []point
	// Of each packet: milliseconds over its point's least delay, and by how many
	// packets its RTP time is off what its place in the point says.
	above []uint8
	order []int8
	fresh []fresh // of the last point
}

// fresh is a packet of the present second.
type fresh struct{ delay, ext int64 }

// far is rawRun.above of what is further above than can be told.
const far = 255

// point is the least delay among the packets of a second.
type point struct {
	second  int64
	ext     int64 // RTP time of the packet with the least delay
	delay   int64
	packets int64
	ticks   int64 // of its shortest packet
	first   mark  // its first packet
	bytes   int   // index in rawRun.above of its first packet
	jumped  bool  // RTP time jumped ahead to catch up with arrival
}

// mark is a packet: its ordinal in the stream, and its RTP time.
type mark struct{ n, ext int64 }

// Add gives the next packet of the track.
func (v *Survey) Add(p Packet) {
	if v.latest != nil && v.ssrc == p.SSRC {
		v.latest.add(&p)
		return
	}
	s := v.streams[p.SSRC]
	if s == nil {
		if len(v.streams) >= maxStreams {
			return
		}
		s = &surveyed{}
		v.streams[p.SSRC] = s
		v.order = append(v.order, p.SSRC)
	}
	v.latest, v.ssrc = s, p.SSRC
	s.add(&p)
}

func (s *surveyed) add(p *Packet) {
	seq, ord := s.sequence(p)
	if ord == duplicate || p.Ticks <= 0 || p.Rate <= 0 {
		return
	}
	at := mark{n: s.packets, ext: s.extend(p)}
	s.packets++
	d := delay(p, at.ext)
	if ord == late && len(s.runs) > 0 {
		k := s.overtook(seq, p.Rate)
		if (k < len(s.runs)-1 || s.runs[k].rate != p.Rate) && s.overtaken(p, seq, d, k) {
			return
		}
		if s.runs[len(s.runs)-1].rate != p.Rate {
			// The first of its rate that came was sent before others that came: when,
			// the sequence numbers tell.
			d -= max(0, int64(p.Arrival-s.newest)+(s.high-seq)*s.length)
			s.settle(1) // what jumped went over to another codec and back
		}
	}
	if ord == inOrder {
		s.length = nanos(int64(p.Ticks), p.Rate)
	}
	change := d - s.prevDelay
	// How far RTP time stayed behind what the sequence numbers promise. A pause
	// between two talk spurts makes it negative.
	lag := nanos((seq-s.prevSeq)*int64(p.Ticks)-(at.ext-s.prevExt), p.Rate)
	if by := seq - s.prevSeq; by > maxDropout || by < -seqWindow {
		lag = change // the numbers jumped too, and say nothing of the time
	}
	s.prevExt, s.prevSeq, s.prevDelay = at.ext, seq, d

	if len(s.runs) == 0 || s.runs[len(s.runs)-1].rate != p.Rate {
		s.settle(jumpPackets)
		s.runs = append(s.runs, rawRun{rate: p.Rate, seq: seq})
		s.runs[len(s.runs)-1].add(p, at, d, false)
		return
	}
	run := &s.runs[len(s.runs)-1]
	if p.Arrival-run.begin < mixed && s.fromBefore(p, d) {
		return
	}
	far := d - run.envelope()
	goesOn := s.kind != noCandidate && d > s.cand.low-step && d < s.cand.high+step
	switch {
	case far > step && !goesOn && lag > step/2, far < -step && !goesOn && lag < -step/2:
		s.begin(jumped, p, at, d, seq)
	case far > step && !goesOn:
		s.begin(delayed, p, at, d, seq)
	case (far > step || far < -step) && goesOn:
		s.goOn(p, at, d)
	default:
		// In the run, or back in it: the candidate was strays, or a congestion that
		// is over. A lower delay on a steady clock is a network that got better. After
		// a jump, packets from before it still arrive for a while.
		if s.kind != jumped || p.Arrival-s.cand.begin > mixed {
			s.kind = noCandidate
		}
		// RTP time jumped by what the delay fell: the sender's doing, not the network's.
		caughtUp := change < -strayed && lag < 0 && abs(change-lag) < strayed
		run.add(p, at, d, caughtUp)
	}
}

// overtook returns the newest run that a packet which comes late can be of: not one
// that began after another codec whose packets all have higher numbers.
func (s *surveyed) overtook(seq int64, rate int) int {
	at := len(s.runs) - 1
	for k := at; k > max(0, len(s.runs)-otherRates); k-- {
		if r := &s.runs[k]; r.rate != rate && seq < r.seq && r.seq-seq < seqWindow {
			at = k - 1
		}
	}
	return at
}

// overtaken says whether a packet that comes late is of one of the runs up to last,
// before the codec changed. It says nothing of either then: the run is over.
func (s *surveyed) overtaken(p *Packet, seq, d int64, last int) bool {
	for k := last; k >= max(0, last-otherRates); k-- {
		r := &s.runs[k]
		if r.rate != p.Rate {
			if seq >= r.seq {
				break // it was sent after that codec
			}
			continue
		}
		if above := d - r.envelope(); above > -step && above <= int64(MaxLate) {
			return true
		}
	}
	return false
}

// fromBefore says whether a packet is of the run before the present one, from
// before a jump. Its place is known, and it tells nothing new.
func (s *surveyed) fromBefore(p *Packet, d int64) bool {
	k := len(s.runs) - 2
	if k < 0 || s.runs[k].rate != p.Rate || s.runs[k+1].delayed {
		return false
	}
	above := d - s.runs[k].envelope()
	here := d - s.runs[k+1].envelope()
	return abs(above) < step && abs(here) > step
}

// begin takes a packet that does not go with the run as the first of a
// candidate.
func (s *surveyed) begin(kind candidacy, p *Packet, at mark, d, seq int64) {
	if kind == jumped && s.kind == delayed && s.cand.packets >= stallPackets {
		s.settle(jumpPackets) // the sender had stood still, and its numbers jump soon after
	}
	s.cand, s.kind = rawRun{rate: p.Rate, seq: seq}, kind
	s.cand.add(p, at, d, false)
}

// goOn adds a packet to the candidate and makes a run of it when enough packets
// go with each other.
func (s *surveyed) goOn(p *Packet, at mark, d int64) {
	c := &s.cand
	c.add(p, at, d, false)
	enough := c.packets >= jumpPackets
	if s.kind == delayed {
		enough = c.packets >= stallPackets && p.Arrival-c.begin >= stallTime && c.high-c.low <= 2*step
	}
	if enough {
		c.delayed = s.kind == delayed
		s.runs = append(s.runs, *c)
		s.cand, s.kind = rawRun{}, noCandidate
	}
}

// settle decides about a candidate that no more packets come to: what has stood
// together until the end is a run, if it is so many packets.
func (s *surveyed) settle(least int64) {
	if s.kind != noCandidate && s.cand.packets >= least && s.cand.high-s.cand.low <= step {
		s.cand.delayed = s.kind == delayed
		s.runs = append(s.runs, s.cand)
	}
	s.cand, s.kind = rawRun{}, noCandidate
}

func (r *rawRun) add(p *Packet, at mark, d int64, jumped bool) {
	if r.packets == 0 {
		r.first, r.begin, r.low, r.high = at, p.Arrival, d, d
	}
	r.packets++
	r.low, r.high = min(r.low, d), max(r.high, d)
	second := int64(p.Arrival / bucket)
	if k := len(r.points) - 1; k < 0 || r.points[k].second < second {
		r.close()
		r.points = append(r.points, point{second: second, ext: at.ext, delay: d, first: at, ticks: int64(p.Ticks), bytes: len(r.above)})
	}
	pt := &r.points[len(r.points)-1]
	pt.packets++
	pt.ticks = min(pt.ticks, int64(p.Ticks))
	pt.jumped = pt.jumped || jumped
	r.fresh = append(r.fresh, fresh{d, at.ext})
	if d < pt.delay {
		pt.ext, pt.delay = at.ext, d
	}
}

// close writes down how far the packets of the last point are above its least.
func (r *rawRun) close() {
	for k, f := range r.fresh {
		pt := &r.points[len(r.points)-1]
		over := (f.delay - pt.delay) / int64(time.Millisecond)
		r.above = append(r.above, uint8(min(over, far)))
		off := floorDiv(f.ext-pt.first.ext, pt.ticks) - int64(k)
		r.order = append(r.order, int8(min(max(off, math.MinInt8), math.MaxInt8)))
	}
	r.fresh = r.fresh[:0]
}

// envelope is the least delay of late.
func (r *rawRun) envelope() int64 {
	least := int64(math.MaxInt64)
	for _, pt := range r.points[max(0, len(r.points)-recent):] {
		least = min(least, pt.delay)
	}
	return least
}

// merge makes one run of those whose RTP time goes on: where the sender stood
// still between them is seen better in the whole.
func (s *surveyed) merge() {
	var out []rawRun
	for i := range s.runs {
		r := &s.runs[i]
		r.close()
		if k := len(out) - 1; k >= 0 && r.delayed {
			for j := range r.points {
				r.points[j].bytes += len(out[k].above)
			}
			out[k].points = append(out[k].points, r.points...)
			out[k].above = append(out[k].above, r.above...)
			out[k].order = append(out[k].order, r.order...)
			out[k].packets += r.packets
			continue
		}
		out = append(out, *r)
	}
	s.runs = out
}

// Finish ends the first pass.
func (v *Survey) Finish() *Map {
	m := &Map{}
	most := v.longest()
	for _, ssrc := range v.order {
		s := v.streams[ssrc]
		s.settle(jumpPackets)
		s.merge()
		if s.packets > 0 && s.packets < minStream && most >= minStream {
			continue
		}
		st := Stream{SSRC: ssrc, Packets: s.packets}
		for i := range s.runs {
			last := s.packets
			if i+1 < len(s.runs) {
				last = s.runs[i+1].first.n
			}
			for _, seg := range fit(&s.runs[i], s.reportsIn(s.runs[i].first.n, last)) {
				seg.seq = s.runs[i].seq
				st.Segments = append(st.Segments, seg)
			}
		}
		// Where packets of two runs came among each other, the ordinal of a step may
		// be a few off.
		for k := len(st.Segments) - 2; k >= 0; k-- {
			st.Segments[k].First = min(st.Segments[k].First, st.Segments[k+1].First)
		}
		m.Streams = append(m.Streams, st)
	}
	return m
}

func (v *Survey) longest() int64 {
	var most int64
	for _, s := range v.streams {
		most = max(most, s.packets)
	}
	return most
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
