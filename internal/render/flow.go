package render

import (
	"tapedeck/internal/audio"
)

// tiny is a hole or an overlap of a few samples between neighbours, left by the
// rounding of clocks. The later one is stretched over it: a zero, or a step,
// would click.
const tiny = 3

// flow carries decoded audio into a lane: it brings it to the rate of the file and
// to the length that the clock gives it. Pieces that touch are one stream, so that
// no seam is heard.
type flow struct {
	lane *lane
	rate int // of the file, Hz
	warp *audio.Stretcher

	open bool  // end is the end of a piece, and the next may touch it
	end  int64 // in samples of the session
	last [history]int16

	source  int // rate of the audio, Hz
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

// put takes a piece of audio that belongs to a place in the session.
func (f *flow) put(pcm []int16, source int, start, length int64, k kind) {
	if f.open && start != f.end && near(start, f.end, tiny) && length > 2*tiny {
		start, length = f.end, length+start-f.end
	}
	if !f.open || start != f.end || source != f.source {
		f.finish()
		f.begin(source)
	}
	f.open, f.end = true, start+length
	if f.resamp == nil {
		f.place(pcm, start, length, k)
		return
	}
	f.in += int64(len(pcm))
	due := (2*f.in*int64(f.rate) + int64(source)) / (2 * int64(source))
	f.spans = append(f.spans, span{start, length, int(due - f.due), k})
	f.due = due
	f.out = f.resamp.Process(f.out, pcm)
	f.settle()
}

func near(a, b, within int64) bool { return a-b <= within && b-a <= within }

// begin takes audio of another rate, or after a hole.
func (f *flow) begin(source int) {
	f.source, f.resamp = source, nil
	clear(f.last[:])
	if source == f.rate {
		return
	}
	f.resamp = f.resamps[source]
	if f.resamp == nil {
		f.resamp = audio.NewResampler(source, f.rate)
		f.resamps[source] = f.resamp
	}
}

// owes says whether audio that belongs before a place is still in the resampler,
// which waits for what follows it.
func (f *flow) owes(until int64) bool { return len(f.spans) > 0 && f.spans[0].start < until }

// finish ends a stream of pieces.
func (f *flow) finish() {
	if f.resamp != nil && f.in > 0 {
		f.out = f.resamp.Flush(f.out)
		f.settle()
		f.in, f.due, f.out, f.spans = 0, 0, f.out[:0], f.spans[:0]
	}
	f.open = false
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
		f.warp.Stretch(f.long[:length], pcm, f.last[:])
		f.note(pcm)
		pcm = f.long[:length]
	} else {
		f.note(pcm)
	}
	f.lane.put(start, pcm, k)
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
