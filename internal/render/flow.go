package render

import (
	"time"

	"tapedeck/internal/audio"
)

// tiny is a hole or an overlap of a few samples between neighbours, left by the
// rounding of clocks. The later one is stretched over it: a zero, or a step,
// would click.
const tiny = 3

// flow carries decoded audio into a lane: it brings it to the rate of the file and
// to the length that the clock gives it. Pieces that touch are one stream, so that
// no seam is heard.
//
// Places are those of packets. Where a codec is late, what was decoded goes that
// much before its packet's place: the first of a stream of pieces, which is from
// before anything was sent, is left out, and the last, which was never sent, is made
// of what was there before it. So a stream of pieces covers what its packets do.
type flow struct {
	lane *lane
	rate int // of the file, Hz
	warp *audio.Stretcher

	open bool  // end is the end of a piece, and the next may touch it
	end  int64 // in samples of the session
	last [history]int16

	source  source
	fresh   bool    // the decoder begins anew with the next piece
	delay   int64   // of the source, in samples of the file
	lead    int64   // how much of it is still to be left out
	past    []int16 // the newest samples, as many as the delay
	resamps map[int]*audio.Resampler
	resamp  *audio.Resampler // from source to rate; nil when they are the same
	in, due int64            // samples that went into it since it began, and that come out of them
	spans   []span           // what they are for
	out     []int16
	long    []int16
}

// history is how much of the audio before a piece is known when it is stretched.
const history = 64

// span is where so many samples go that are still in the resampler.
type span struct {
	start, length int64
	samples       int
	kind          kind
}

// source is what audio comes from.
type source struct {
	rate  int           // Hz
	delay time.Duration // of its codec
}

// put takes a piece of audio that belongs to a place in the session.
func (f *flow) put(pcm []int16, from source, start, length int64, k kind) {
	if f.open && start != f.end && near(start, f.end, tiny) && length > 2*tiny {
		start, length = f.end, length+start-f.end
	}
	if !f.open || start != f.end || from != f.source || f.fresh && f.delay > 0 {
		f.finish()
		f.begin(from)
	}
	f.open, f.fresh, f.end = true, false, start+length
	if f.resamp == nil {
		f.place(pcm, start, length, k)
		return
	}
	f.in += int64(len(pcm))
	due := (2*f.in*int64(f.rate) + int64(from.rate)) / (2 * int64(from.rate))
	f.spans = append(f.spans, span{start, length, int(due - f.due), k})
	f.due = due
	f.out = f.resamp.Process(f.out, pcm)
	f.settle()
}

func near(a, b, within int64) bool { return a-b <= within && b-a <= within }

// begin takes audio of another source, or after a hole.
func (f *flow) begin(from source) {
	f.source, f.resamp = from, nil
	clear(f.last[:])
	f.delay = samples(from.delay, f.rate)
	f.lead, f.past = f.delay, f.past[:0]
	if from.rate == f.rate {
		return
	}
	f.resamp = f.resamps[from.rate]
	if f.resamp == nil {
		f.resamp = audio.NewResampler(from.rate, f.rate)
		f.resamps[from.rate] = f.resamp
	}
}

// owes says whether audio that belongs before a place is not in the lane yet: it
// waits in the resampler for what follows it, or is the last of a codec that is late.
func (f *flow) owes(until int64) bool {
	return len(f.spans) > 0 && f.spans[0].start < until || f.open && f.delay > 0 && f.end-f.delay < until
}

// finish ends a stream of pieces.
func (f *flow) finish() {
	if f.resamp != nil && f.in > 0 {
		f.out = f.resamp.Flush(f.out)
		f.settle()
		f.in, f.due, f.out, f.spans = 0, 0, f.out[:0], f.spans[:0]
	}
	if f.open && f.delay > 0 {
		f.fill()
	}
	f.open = false
}

// fill makes the last of a stream whose codec is late: the newest samples once
// more, from the last one back, so that there is no step. It counts as speech: as much
// of that gave way to what was made up for a loss, if the stream ends in one.
func (f *flow) fill() {
	n := min(f.delay-f.lead, int64(len(f.past)))
	f.long = f.long[:0]
	for i := range n {
		f.long = append(f.long, f.past[int64(len(f.past))-1-i])
	}
	f.lane.put(f.end-n, f.long, speech)
}

// settle places what came out of the resampler.
func (f *flow) settle() {
	done, used := 0, 0
	for _, s := range f.spans {
		if len(f.out)-used < s.samples {
			break
		}
		f.place(f.out[used:used+s.samples], s.start, s.length, s.kind)
		used += s.samples
		done++
	}
	f.spans = append(f.spans[:0], f.spans[done:]...)
	f.out = append(f.out[:0], f.out[used:]...)
}

// place puts audio of the file's rate into the lane, at the length that it has
// there.
func (f *flow) place(pcm []int16, start, length int64, k kind) {
	if int64(len(pcm)) != length && len(pcm) > 0 {
		if int64(cap(f.long)) < length {
			f.long = make([]int16, length)
		}
		f.long = f.long[:length]
		f.warp.Stretch(f.long, pcm, f.last[:])
		f.note(pcm)
		pcm = f.long
	} else {
		f.note(pcm)
	}
	if f.delay > 0 {
		start -= f.delay
		f.remember(pcm)
		cut := min(f.lead, int64(len(pcm)))
		f.lead -= cut
		start, pcm = start+cut, pcm[cut:]
	}
	f.lane.put(start, pcm, k)
}

// remember keeps the newest samples, as many as the codec is late.
func (f *flow) remember(pcm []int16) {
	if over := int64(len(pcm)) - f.delay; over >= 0 {
		f.past = append(f.past[:0], pcm[over:]...)
		return
	}
	if over := int64(len(f.past)+len(pcm)) - f.delay; over > 0 {
		f.past = append(f.past[:0], f.past[over:]...)
	}
	f.past = append(f.past, pcm...)
}

// note remembers the end of the audio.
func (f *flow) note(pcm []int16) {
	if n := len(pcm); n < history {
		copy(f.last[:], f.last[n:])
		copy(f.last[history-n:], pcm)
	} else {
		copy(f.last[:], pcm[n-history:])
	}
}
