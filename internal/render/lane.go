package render

import "tapedeck/internal/audio"

// lane holds the audio of one track around the present: what was placed and not
// yet written. Positions are samples of the session's clock.
type lane struct {
	ring  []int16 // of size samples; nil while there is nothing to hold
	size  int64   // a power of two
	done  int64   // all before is written
	limit int64   // nothing from here on will be written
	last  int64   // end of the newest part
	parts []part  // what the ring holds, in order, without overlap
}

// part is a stretch of audio, or of packets that could not be decoded.
type part struct {
	from, to int64
	dead     bool
}

func newLane(size, limit int64) *lane {
	n := int64(1)
	for n < size {
		n *= 2
	}
	return &lane{size: n, limit: limit}
}

// room cuts a placement to what can still be written: from, to.
func (l *lane) room(start, length int64) (from, to int64) {
	return max(start, l.done), min(start+length, l.done+l.size, l.limit)
}

// put places audio. What was there before is overwritten. It reports whether
// anything of it can still be written.
func (l *lane) put(start int64, pcm []int16) bool {
	from, to := l.room(start, int64(len(pcm)))
	if from >= to {
		return false
	}
	if l.ring == nil {
		l.ring = make([]int16, l.size)
	}
	pcm = pcm[from-start : to-start]
	at := int(from) & (len(l.ring) - 1)
	n := copy(l.ring[at:], pcm)
	copy(l.ring, pcm[n:])
	l.cover(part{from: from, to: to})
	return true
}

// mark notes packets that cannot be decoded.
func (l *lane) mark(start, length int64) bool {
	from, to := l.room(start, length)
	if from < to {
		l.cover(part{from: from, to: to, dead: true})
	}
	return from < to
}

// cover puts a part into the list; what it overlaps is cut.
func (l *lane) cover(p part) {
	l.last = max(l.last, p.to)
	k := len(l.parts)
	if k == 0 || l.parts[k-1].to < p.from || l.parts[k-1].to == p.from && l.parts[k-1].dead != p.dead {
		l.parts = append(l.parts, p) // the usual case after silence
		return
	}
	if last := &l.parts[k-1]; last.from <= p.from && last.dead == p.dead {
		last.to = max(last.to, p.to) // the usual case within speech
		return
	}
	kept := make([]part, 0, k+2)
	placed := false
	for _, o := range l.parts {
		if o.to <= p.from {
			kept = append(kept, o)
			continue
		}
		if o.from < p.from {
			kept = append(kept, part{o.from, p.from, o.dead})
		}
		if !placed {
			kept, placed = append(kept, p), true
		}
		if o.to > p.to {
			kept = append(kept, part{max(o.from, p.to), o.to, o.dead})
		}
	}
	if !placed {
		kept = append(kept, p)
	}
	l.parts = joinParts(kept)
}

// joinParts joins neighbours of the same kind, in place.
func joinParts(parts []part) []part {
	out := parts[:0]
	for _, p := range parts {
		if k := len(out) - 1; k >= 0 && out[k].to == p.from && out[k].dead == p.dead {
			out[k].to = p.to
			continue
		}
		out = append(out, p)
	}
	return out
}

// tiny is a hole of a sample or two between two packets, left by rounding when
// the sender's clock is corrected. It is filled: a zero there would click.
const tiny = 2

// take adds the audio from lane.done on to dst, which begins there, and calls
// silent for each stretch without. It moves done to the end of dst.
func (l *lane) take(dst []int16, mixed bool, silent func(from, to int64, dead bool)) (touched bool) {
	at, end := l.done, l.done+int64(len(dst))
	used := 0
	for _, p := range l.parts {
		if p.from >= end {
			break
		}
		from, to := max(p.from, l.done), min(p.to, end)
		if hole := from - at; hole > 0 {
			if hole <= tiny && at > l.done && !p.dead {
				l.bridge(dst, at, from, mixed)
			} else {
				silent(at, from, false)
			}
		}
		if p.dead {
			silent(from, to, true)
		} else {
			l.mix(dst, from, to, mixed)
			touched = true
		}
		at = to
		if p.to <= end {
			used++
		}
	}
	if at < end {
		silent(at, end, false)
	}
	l.parts = append(l.parts[:0], l.parts[used:]...)
	l.done = end
	if len(l.parts) == 0 && l.done-l.last > l.size {
		l.ring = nil // held, or gone: a session may have many tracks in a day
	}
	return touched
}

// mix copies or adds ring samples to dst, which begins at done.
func (l *lane) mix(dst []int16, from, to int64, mixed bool) {
	for from < to {
		at := int(from) & (len(l.ring) - 1)
		n := min(int(to-from), len(l.ring)-at)
		piece := dst[from-l.done : from-l.done+int64(n)]
		if mixed {
			audio.MixAdd(piece, l.ring[at:at+n])
		} else {
			copy(piece, l.ring[at:at+n])
		}
		from += int64(n)
	}
}

// bridge fills a tiny hole with the sample before it.
func (l *lane) bridge(dst []int16, from, to int64, mixed bool) {
	before := l.ring[int(from-1)&(len(l.ring)-1)]
	for i := from; i < to; i++ {
		l.ring[int(i)&(len(l.ring)-1)] = before
	}
	l.mix(dst, from, to, mixed)
}

// skip drops what lies before a position.
func (l *lane) skip(to int64) {
	used := 0
	for used < len(l.parts) && l.parts[used].to <= to {
		used++
	}
	l.parts = append(l.parts[:0], l.parts[used:]...)
	l.done = to
}
