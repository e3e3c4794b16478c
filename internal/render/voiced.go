package render

import (
	"cmp"
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/timeline"
	"tapedeck/internal/voice"
)

const (
	// maxListed bounds each list of a track in the receipt, so that a bad day-long
	// recording still has a small one; what is beyond is counted.
	maxListed = 500
	// shortest is the shortest silence that is listed. Shorter ones are the
	// rounding of clocks.
	shortest = 2 * time.Millisecond
)

// voiced is a track in the second pass, with the account of it.
type voiced struct {
	plan   *TrackPlan
	all    *Plan
	placer *timeline.Placer
	lane   *lane
	turns
	now int // index in plan.Heard of the span that may cover now

	account  TrackReceipt
	open     SilenceSpan // the silence that may go on
	silent   int64       // samples
	audible  int64
	invented int64 // samples made up for lost packets
	lastPT   int
	streams  map[[2]int]int64 // packets by stream and segment
	holes    []part           // where packets were not kept
	hole     int              // index in holes, for silences
	span     int              // for silences, which come in order of samples
}

func newVoiced(p *Plan, t *TrackPlan, r *renderer, end int64) *voiced {
	lane := newLane(samples(ahead+longest+maxConcealed, p.SampleRate)+2*chunk, end)
	lane.desk = p.layout.Desk
	return &voiced{
		plan:   t,
		all:    p,
		placer: t.Clock.Placer(p.SampleRate),
		lane:   lane,
		turns: turns{
			rate: p.SampleRate, store: &r.store, pcm: r.pcm, decoders: map[*format]codec.Decoder{},
			desk: p.layout.Desk, queue: queue{items: p.layout.Desk.queue()},
			flow: flow{lane: lane, rate: p.SampleRate, warp: &r.warp, resamps: map[int]*audio.Resampler{}},
		},
		account: TrackReceipt{
			Track: t.Number, Call: t.Call, Party: t.Party, Role: t.Role, Side: t.Side, Uncertain: t.Uncertain,
		},
		lastPT:  -1,
		streams: map[[2]int]int64{},
	}
}

// count enters a packet into the account.
func (v *voiced) count(f *format, at *timeline.Placement) {
	a := &v.account
	switch at.Verdict {
	case timeline.Late:
		a.Late++
		fallthrough
	case timeline.Placed:
		a.Received++
		v.streams[[2]int{at.Stream, at.Segment}]++
	case timeline.Duplicate:
		a.Duplicate++
	case timeline.Stray:
		a.Stray++
	case timeline.Silent:
		if f == nil {
			a.Undecodable++
		} else {
			a.Other++
		}
	}
}

// heard says whether a packet that arrived then is in the file. It goes by
// arrival: a bridge passes whole packets on.
func (v *voiced) heard(at time.Duration) bool {
	if v.plan.Always {
		return true
	}
	spans := v.plan.Heard
	for v.now < len(spans)-1 && at >= spans[v.now].To {
		v.now++
	}
	return v.now < len(spans) && at >= spans[v.now].From && at < spans[v.now].To
}

// codec notes the codec of audio that begins at a session sample.
func (v *voiced) codec(f *format, pt uint8, start int64) {
	if v.lastPT == int(pt) {
		return
	}
	v.lastPT = int(pt)
	if len(v.account.Codecs) >= maxListed {
		v.account.MoreCodecs++
		return
	}
	v.account.Codecs = append(v.account.Codecs, CodecChange{
		Start: v.all.fileSample(start), PayloadType: pt, Name: f.info.Name, ClockRate: f.info.ClockRate,
	})
}

// take adds the next samples to dst, which begins at a sample of the file.
func (v *voiced) take(dst []int16, mixed bool, file int64, paused bool) bool {
	from := v.lane.done
	silent := int64(0)
	touched := v.lane.take(dst, mixed, func(a, b int64, k kind) {
		switch {
		case paused:
		case k == concealed:
			v.invented += b - a
		default:
			silent += b - a
			v.classify(a, b, file-from, reasonOf(k))
		}
	})
	if paused {
		silent = int64(len(dst))
		v.silence(file, silent, SilencePaused)
	}
	v.silent += silent
	v.audible += int64(len(dst)) - silent
	return touched
}

func reasonOf(k kind) SilenceReason {
	switch k {
	case noise:
		return SilenceComfortNoise
	case dead:
		return SilenceUndecodable
	}
	return SilenceNoPackets
}

// classify divides a silence by whether the track was to be heard at all. Shift
// turns session samples into samples of the file.
func (v *voiced) classify(from, to, shift int64, reason SilenceReason) {
	if v.plan.Always {
		v.explain(from, to, shift, reason)
		return
	}
	for from < to {
		for v.span < len(v.plan.Heard) && v.all.session(v.plan.Heard[v.span].To) <= from {
			v.span++
		}
		if v.span >= len(v.plan.Heard) {
			v.silence(from+shift, to-from, SilenceNotBridged)
			return
		}
		next := v.plan.Heard[v.span]
		end := min(to, v.all.session(next.From))
		why := SilenceNotBridged
		if end <= from {
			end, why = min(to, v.all.session(next.To)), reason
		}
		v.explain(from, end, shift, why)
		from = end
	}
}

// explain finds out where packets may be missing because they were not kept.
func (v *voiced) explain(from, to, shift int64, reason SilenceReason) {
	for reason == SilenceNoPackets && from < to {
		for v.hole < len(v.holes) && v.holes[v.hole].to <= from {
			v.hole++
		}
		if v.hole == len(v.holes) || v.holes[v.hole].from >= to {
			break
		}
		if g := v.holes[v.hole]; g.from > from {
			v.silence(from+shift, g.from-from, reason)
			from = g.from
		}
		end := min(to, v.holes[v.hole].to)
		v.silence(from+shift, end-from, SilenceNotRecorded)
		from = end
	}
	if from < to {
		v.silence(from+shift, to-from, reason)
	}
}

// holes lists where packets may be missing because they were not kept, in
// samples of the session, in order.
func (p *Plan) holes() []part {
	// A packet's audio is older than the packet, by its length and the jitter.
	const before = 100 * time.Millisecond
	var out []part
	for _, g := range p.Gaps {
		if !g.Tail {
			out = append(out, part{from: p.session(g.From - before), to: p.session(g.To)})
		}
	}
	slices.SortFunc(out, func(a, b part) int { return cmp.Compare(a.from, b.from) })
	merged := out[:0]
	for _, g := range out {
		if k := len(merged) - 1; k >= 0 && g.from <= merged[k].to {
			merged[k].to = max(merged[k].to, g.to)
			continue
		}
		merged = append(merged, g)
	}
	return merged
}

// silence adds to the list of silences; touching ones of one reason are one.
func (v *voiced) silence(start, length int64, reason SilenceReason) {
	if v.open.Reason == reason && v.open.Start+v.open.Length == start {
		v.open.Length += length
		return
	}
	v.endSilence()
	v.open = SilenceSpan{Start: start, Length: length, Reason: reason}
}

func (v *voiced) endSilence() {
	s := v.open
	v.open = SilenceSpan{}
	switch {
	case s.Length < samples(shortest, v.all.SampleRate):
	case len(v.account.Silence) >= maxListed:
		v.account.MoreSilence++
	default:
		v.account.Silence = append(v.account.Silence, s)
	}
}

// finish closes the account.
func (v *voiced) finish() TrackReceipt {
	v.endSilence()
	a := &v.account
	rate := int64(v.all.SampleRate)
	a.Lost = v.placer.Lost()
	a.NoMedia, a.Unheard = a.Received == 0, v.plan.Unheard
	a.SilenceMs, a.AudioMs = v.silent*1000/rate, v.audible*1000/rate
	a.ConcealedMs = v.invented * 1000 / rate
	a.OverlaidMs = (v.lane.overlaid*1000 + rate - 1) / rate // rounded up: nothing is hidden
	a.DriftPPM = round(v.plan.Clock.DriftPPM())
	for i := range v.plan.Clock.Streams {
		s := &v.plan.Clock.Streams[i]
		for k := range s.Segments {
			if len(a.Streams) >= maxListed {
				a.MoreStreams++
				continue
			}
			a.Streams = append(a.Streams, Stream{
				SSRC:     s.SSRC,
				Start:    v.all.fileSample(v.all.session(s.Segments[k].At)),
				Packets:  v.streams[[2]int{i, k}],
				DriftPPM: round(s.Segments[k].DriftPPM()),
			})
		}
	}
	return *a
}

// round keeps two digits: more would be noise.
func round(ppm float64) float64 { return float64(int64(ppm*100+signed(0.5, ppm))) / 100 }

func signed(v, like float64) float64 {
	if like < 0 {
		return -v
	}
	return v
}

// fileSample is the sample of the file that a session sample became: the nearest
// one, where it was cut out.
func (p *Plan) fileSample(s int64) int64 {
	out := s
	for _, pause := range p.Pauses {
		if from, to := p.session(pause.From), p.session(pause.To); pause.Behavior == voice.PauseSkip && s > from {
			out -= min(s, to) - from
		}
	}
	return min(max(out, 0), p.Samples)
}
