package callgen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Audit is what became of the counted frames of one call of a load in a stereo
// file at 8 kHz: the caller left, the callee right.
type Audit struct {
	Call      int
	Kept      uint64        // frames that are in the file, each once
	Blurred   uint64        // frames whose place is loud, but whose mark cannot be read: they were stretched by a sample
	Lost      uint64        // frames that are not
	Misplaced uint64        // frames of the wrong side or of another call
	Moved     time.Duration // by how much a frame is off its place among the others, at worst
}

// ErrUnmarked means that a side of a file has no mark of a load.
var ErrUnmarked = errors.New("callgen: no mark in the file")

// Audit reads the marks of a file and compares them with what was sent.
func (r *LoadReport) Audit(sides [][]int16) (Audit, error) {
	a := Audit{Call: -1}
	if len(sides) != 2 {
		return a, fmt.Errorf("callgen: the file has %d sides, want 2", len(sides))
	}
	for side, pcm := range sides {
		seen := a.read(side, pcm)
		if a.Call < 0 || 2*a.Call+side >= len(r.Legs) || len(seen) == 0 {
			return a, fmt.Errorf("%w: side %d", ErrUnmarked, side)
		}
		sent := r.Legs[2*a.Call+side].Sent
		a.Kept += uint64(len(seen))
		a.missing(pcm, seen, uint32(sent))
		a.compare(seen)
	}
	return a, nil
}

// read finds the marks of a side: by counter, where the stream would begin.
func (a *Audit) read(side int, pcm []int16) map[uint32]int {
	seen := map[uint32]int{}
	for i := 0; i+StampSamples <= len(pcm); {
		s, ok := ReadStamp(pcm[i:])
		if !ok {
			i++
			continue
		}
		if a.Call < 0 {
			a.Call = int(s.Call)
		}
		switch {
		case int(s.Call) != a.Call || int(s.Leg) != side:
			a.Misplaced++
		case s.Counter > 0:
			seen[s.Counter] = i - loadFrame*int(s.Counter)
		}
		i += StampSamples
	}
	return seen
}

// loud is what a mark has at least somewhere, and silence nowhere.
const loud = 2000

// missing looks at the places of the frames that were not found.
func (a *Audit) missing(pcm []int16, seen map[uint32]int, sent uint32) {
	origin := seen[first(seen)]
	for c := uint32(1); c <= sent; c++ {
		if at, ok := seen[c]; ok {
			origin = at
			continue
		}
		at := origin + loadFrame*int(c)
		from, to := max(0, min(at, len(pcm))), max(0, min(at+StampSamples, len(pcm)))
		if slices.ContainsFunc(pcm[from:to], func(v int16) bool { return v > loud || v < -loud }) {
			a.Blurred++
		} else {
			a.Lost++
		}
	}
}

// compare finds the frame that is furthest from its place by the others.
func (a *Audit) compare(seen map[uint32]int) {
	origin := seen[first(seen)]
	for _, at := range seen {
		off := time.Duration(at-origin) * time.Second / Rate
		a.Moved = max(a.Moved, off.Abs())
	}
}

// first is the lowest counter.
func first(seen map[uint32]int) uint32 {
	low := uint32(math.MaxUint32)
	for c := range seen {
		low = min(low, c)
	}
	return low
}
