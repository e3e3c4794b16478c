package render

import (
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/timeline"
)

const (
	// maxConcealed is how much lost audio is made up for at once; more would be
	// invented speech. What is missing beyond it is silence.
	maxConcealed = 60 * time.Millisecond
	// ahead is how far beyond what is written the packets are decoded: the frame
	// before a packet may be in the packet, and resampling needs what follows.
	ahead = 120 * time.Millisecond
	// longest is the longest packet that is decoded.
	longest = 2 * time.Second
	// forgotten is the hole after which a decoder begins anew.
	forgotten = time.Second
	// seam is the hole between two streams that is filled as if it were loss.
	seam = 20 * time.Millisecond
	// maxSkipped is the greatest step of sequence numbers that is taken for loss.
	maxSkipped = 3000
	// maxOthers bounds the packets without audio whose numbers are remembered.
	maxOthers = 2048
)

// turns decodes the packets of a track in the order in which they were sent,
// and knows what to do between them.
type turns struct {
	rate     int // of the file, Hz
	queue    queue
	store    *store
	pcm      []int16
	flow     flow
	decoders map[*format]codec.Decoder
	desk     *Desk

	// Of arrivals.
	anchor anchor  // the packet placed last
	excuse bool    // the numbers that are missing next were not lost
	others []other // packets without audio: their numbers are not missing

	// Of the packet decoded last.
	dec    codec.Decoder // nil: there is nothing to go on from
	decs   *format       // the format of the decoder used last
	used   codec.Decoder // that decoder
	was    pending       // without payload
	top    other         // the highest number of the stream so far
	madeUp int64         // samples made up since the last good packet
	owed   int64         // samples before the next packet that it may hold itself
	broken bool          // the next packet follows a hole that was cut into the audio

	noisy   bool
	noise   codec.Noise
	noiseAt int64 // end of the noise that was made
	hiss    int   // its sample rate
}

// anchor is where a packet was placed.
type anchor struct {
	known  bool
	stream int
	start  int64
	time   uint32
	clock  int
}

type other struct {
	stream int
	seq    int64
}

func (t *turns) samplesOf(d time.Duration) int64 { return samples(d, t.rate) }

// arrive takes the next packet in the order of arrival. Start is where it belongs.
func (v *voiced) arrive(f *format, e *journal.Entry, at *timeline.Placement, begin int64) {
	switch at.Verdict {
	case timeline.Placed, timeline.Late:
	case timeline.Silent:
		v.arriveSilent(f, e, at)
		return
	default:
		return
	}
	start := at.Start - begin
	v.anchor = anchor{true, at.Stream, start, e.Packet.Time, f.info.ClockRate}
	if !v.heard(e.At) {
		v.excuse = true
		return
	}
	if start-v.samplesOf(f.source.delay) >= v.lane.limit || at.Length <= 0 || at.Length > v.samplesOf(longest) {
		return
	}
	v.queue.push(pending{
		start: start, length: at.Length, seq: at.Seq, stream: at.Stream, format: f, pt: e.Packet.PT,
		excused: v.excuse, payload: v.store.keep(e.Packet.Payload),
	})
	v.excuse = false
}

// arriveSilent takes a packet without audio: comfort noise waits for its turn, the
// numbers of others are not missing.
func (v *voiced) arriveSilent(f *format, e *journal.Entry, at *timeline.Placement) {
	if f == nil || !f.info.Is(codec.CN) || !sane(&f.info) || !v.heard(e.At) {
		if len(v.others) >= maxOthers {
			v.others = append(v.others[:0], v.others[maxOthers/2:]...)
		}
		v.others = append(v.others, other{at.Stream, at.Seq})
		return
	}
	start := v.all.session(e.At)
	if a := v.anchor; a.known && a.stream == at.Stream && a.clock == f.info.ClockRate {
		ticks := int64(int32(e.Packet.Time - a.time))
		start = min(max(a.start+ticks*int64(v.rate)/int64(a.clock), start-v.samplesOf(timeline.MaxLate)), start)
	}
	v.queue.push(pending{
		start: start, seq: at.Seq, stream: at.Stream, format: f, pt: e.Packet.PT, noise: true,
		excused: v.excuse, payload: v.store.keep(e.Packet.Payload),
	})
	v.excuse = false
}

// produce fills the lane up to a sample. All packets that belong before it must
// have arrived.
func (v *voiced) produce(until int64) {
	early := until + v.samplesOf(ahead)
	for first := v.queue.first(); first != nil && first.start < early; first = v.queue.first() {
		v.turn()
	}
	v.hush(early, false)
	if v.flow.owes(until) {
		v.flow.finish() // nothing follows at once
	}
}

// turn decodes the first packet, and makes up for what is lost after it.
func (v *voiced) turn() {
	p := v.queue.pop()
	if p.noise {
		v.quiet(&p)
	} else {
		v.hush(p.start, true)
		v.noisy = false
		v.speak(&p)
	}
	v.store.release(p.payload)
	p.payload = nil
	v.was = p
	if p.stream != v.top.stream || p.seq > v.top.seq || p.seq <= v.top.seq-maxSkipped {
		v.top = other{p.stream, p.seq}
	}
	if next := v.queue.first(); next != nil && v.dec != nil && !p.noise {
		v.bridge(next)
	}
}

// speak puts a packet's audio into its place.
func (v *voiced) speak(p *pending) {
	if p.start >= 0 && p.start+p.length <= v.lane.done {
		v.account.Stray++ // only when the pending packets had to be decoded early
		v.account.Received--
		return
	}
	v.codec(p.format, p.pt, p.start)
	if !p.format.decodable {
		v.undecodable(p)
		return
	}
	dec, info := v.decoder(p.format), &p.format.info
	if dec != v.dec || p.stream != v.was.stream || p.seq < v.was.seq || p.start-v.flow.end > v.samplesOf(forgotten) {
		dec.Reset()
		v.owed, v.flow.fresh = 0, true
	}
	v.dec = dec
	v.recover(p)
	n, err := dec.Decode(v.pcm, p.payload)
	if err != nil || n == 0 {
		v.damaged(p)
		return
	}
	pcm := mono(v.pcm[:n], info)
	if v.broken {
		fadeIn(pcm, info)
	}
	v.broken, v.madeUp = false, 0
	length := p.length
	// A packet is as long as its format says. One that is not keeps its own length.
	if own := int64(len(pcm)) * int64(v.rate) / int64(info.SampleRate); !near(own, length, length/8) {
		length = own
	}
	v.flow.put(pcm, p.format.source, p.start, length, speech)
}

func mono(pcm []int16, info *codec.Info) []int16 {
	if info.Channels > 1 {
		return pcm[:audio.Mono(pcm, pcm, info.Channels)]
	}
	return pcm
}

// fadeIn takes the step out of the beginning of audio after a hole: behind what is
// left out of it because the codec is late.
func fadeIn(pcm []int16, info *codec.Info) {
	pcm = pcm[min(int(samples(info.Delay(), info.SampleRate)), len(pcm)):]
	n := min(fade, len(pcm))
	for i := range n {
		pcm[i] = int16(int(pcm[i]) * i / n)
	}
}

// decoder returns the track's decoder of a format.
func (t *turns) decoder(f *format) codec.Decoder {
	if f == t.decs {
		return t.used // nearly always
	}
	d := t.decoders[f]
	if d == nil {
		d = t.desk.decoder(f)
		t.decoders[f] = d
	}
	t.decs, t.used = f, d
	return d
}

// undecodable notes a packet that nobody can decode.
func (v *voiced) undecodable(p *pending) {
	v.account.Undecodable++
	v.flow.finish()
	v.flow.end = p.start + p.length
	v.lane.mark(p.start, p.length)
	v.dec = nil
}

// damaged makes up for a packet of a good codec that is not decodable.
func (v *voiced) damaged(p *pending) {
	if v.madeUp+p.length > v.samplesOf(maxConcealed) {
		v.undecodable(p)
		return
	}
	v.account.Undecodable++
	if !v.flow.open || !near(p.start, v.flow.end, tiny) {
		v.flow.finish()
		v.flow.end = p.start
	}
	v.makeUp(p.format, p.length)
}

// bridge makes up for packets that were lost between the last one and the next.
// Only missing sequence numbers are loss: where the numbers go on and RTP time
// jumps, the party was silent.
func (v *voiced) bridge(next *pending) {
	gap := next.start - v.flow.end
	lost := v.missing(next)
	if lost <= 0 || gap <= tiny {
		return
	}
	n := min(gap, v.samplesOf(maxConcealed)-v.madeUp)
	frames := lost * v.was.length
	hushed := gap > frames+v.was.length/2 // lost, and silent besides
	if hushed {
		n = min(n, frames)
	}
	v.owed = 0
	if _, ok := v.dec.(codec.Recoverer); ok && !hushed && next.stream == v.was.stream && next.format != nil && next.format.info == v.was.format.info {
		v.owed = min(gap, v.was.length)
		n = min(n, gap-v.owed)
	}
	if n > 0 {
		v.makeUp(v.was.format, n)
	}
	v.broken = v.owed == 0 && v.flow.end+tiny < next.start
}

// missing is how many packets of the stream were lost before the next one.
func (v *voiced) missing(next *pending) int64 {
	if next.excused {
		return 0
	}
	if next.stream != v.was.stream {
		if gap := next.start - v.flow.end; gap > v.samplesOf(seam) {
			return 0
		}
		return 1
	}
	// Where the clock did not follow a change of codecs, packets are decoded in
	// another order than that of their numbers: they are not missing.
	lost := next.seq - v.top.seq - 1
	if lost <= 0 || lost > maxSkipped {
		return 0
	}
	kept := v.others[:0]
	for _, o := range v.others {
		if o.stream == next.stream && o.seq < next.seq {
			if o.seq > v.top.seq {
				lost--
			}
			continue
		}
		kept = append(kept, o)
	}
	v.others = kept
	return lost
}

// makeUp puts n samples that may have followed the last ones behind them.
func (v *voiced) makeUp(f *format, n int64) {
	info := &f.info
	count := int((n*int64(info.SampleRate) + int64(v.rate)/2) / int64(v.rate))
	if count *= info.Channels; count == 0 || count > len(v.pcm) {
		return
	}
	v.dec.Conceal(v.pcm[:count])
	v.madeUp += n
	v.flow.put(mono(v.pcm[:count], info), f.source, v.flow.end, n, concealed)
}

// recover takes the frame that was lost before a packet out of the packet, or makes
// up for it.
func (v *voiced) recover(p *pending) {
	n, info := v.owed, &p.format.info
	v.owed = 0
	rec, ok := v.dec.(codec.Recoverer)
	if n <= 0 || !ok {
		return
	}
	// Codecs have frames of a multiple of 2.5 ms; the clock's correction may be a
	// sample off.
	step := int64(info.SampleRate / 400)
	count := (n*int64(info.SampleRate)/int64(v.rate) + step/2) / step * step * int64(info.Channels)
	if count <= 0 || count > int64(len(v.pcm)) {
		return
	}
	got, err := rec.Recover(v.pcm[:count], p.payload)
	if err == nil && got > 0 {
		pcm := mono(v.pcm[:got], info)
		if v.flow.end+tiny < p.start-n {
			fadeIn(pcm, info)
		}
		v.flow.put(pcm, p.format.source, p.start-n, n, speech)
		return
	}
	n = min(p.start-v.flow.end, v.samplesOf(maxConcealed)-v.madeUp)
	if n > 0 {
		v.makeUp(p.format, n)
	}
	v.broken = v.flow.end+tiny < p.start
}
