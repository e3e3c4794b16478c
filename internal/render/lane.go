package render

import "tapedeck/internal/audio"

// lane holds the audio of one track around the present: what was placed and not
// yet written. Positions are samples of the session's clock.
type lane struct {
	ring  []int16 // of size samples; nil while there is nothing to hold
	size  int64   // a power of two
	desk  *Desk   // has memory for it
	done  int64   // all before is written
	limit int64   // nothing from here on will be written
	last  int64   // end of the newest part
	parts []part  // what the ring holds, in order, without overlap
	// overlaid is how many samples that the party sent gave way to others that it
	// sent for the same time.
	overlaid int64
}

// kind says what a stretch of a lane is.
type kind uint8

const (
	speech    kind = iota // what the party sent
	concealed             // made up for lost packets
	noise                 // comfort noise
	dead                  // packets that could not be decoded: no audio
	nothing               // no packets: no audio
)

// part is a stretch of one kind.
type part struct {
	from, to int64
	kind     kind
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

// put places audio. What was there before is faded out, or overwritten;
// what can no longer be written is left out.
func (l *lane) put(start int64, pcm []int16, k kind) {
	from, to := l.room(start, int64(len(pcm)))
	if from >= to {
		return
	}
	if l.ring == nil {
		l.ring = l.desk.ring(l.size)
	}
	pcm = pcm[from-start : to-start]
	if k == speech && from < l.last {
		l.overlay(from, to)
	}
	l.fadeOut(from, pcm)
	at := int(from) & (len(l.ring) - 1)
	n := copy(l.ring[at:], pcm)
	copy(l.ring, pcm[n:])
	l.cover(part{from, to, k})
}

// overlay counts the speech that what comes now covers. A few samples are the
// rounding of clocks, and pass into each other.
func (l *lane) overlay(from, to int64) {
	var over int64
	for _, p := range l.parts {
		if p.kind == speech {
			over += max(0, min(to, p.to)-max(from, p.from))
		}
	}
	if over > fade {
		l.overlaid += over
	}
}

// fade is over how many samples audio that is overlapped passes into what comes
// now.
const fade = 48

// fadeOut lets the audio that lies where pcm will go pass into it.
func (l *lane) fadeOut(from int64, pcm []int16) {
	if len(l.parts) == 0 || from >= l.last {
		return
	}
	old := l.parts[len(l.parts)-1]
	if old.kind >= dead || from < old.from {
		return
	}
	n := min(fade, int(old.to-from), len(pcm))
	for i := range n {
		before := int(l.ring[int(from+int64(i))&(len(l.ring)-1)])
		pcm[i] = int16((before*(n-i) + int(pcm[i])*i) / n)
	}
}

// mark notes packets that cannot be decoded.
func (l *lane) mark(start, length int64) bool {
	from, to := l.room(start, length)
	if from < to {
		l.cover(part{from, to, dead})
	}
	return from < to
}

// cover puts a part into the list; what it overlaps is cut.
func (l *lane) cover(p part) {
	l.last = max(l.last, p.to)
	k := len(l.parts)
	if k == 0 || l.parts[k-1].to < p.from || l.parts[k-1].to == p.from && l.parts[k-1].kind != p.kind {
		l.parts = append(l.parts, p) // the usual case after silence
		return
	}
	if last := &l.parts[k-1]; last.from <= p.from && last.kind == p.kind {
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
			kept = append(kept, part{o.from, p.from, o.kind})
		}
		if !placed {
			kept, placed = append(kept, p), true
		}
		if o.to > p.to {
			kept = append(kept, part{max(o.from, p.to), o.to, o.kind})
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
		if k := len(out) - 1; k >= 0 && out[k].to == p.from && out[k].kind == p.kind {
			out[k].to = p.to
			continue
		}
		out = append(out, p)
	}
	return out
}

// take adds the audio from lane.done on to dst, which begins there, and tells of
// each stretch that is not what the party sent. It moves done to the end of dst.
func (l *lane) take(dst []int16, mixed bool, tell func(from, to int64, k kind)) (touched bool) {
	at, end := l.done, l.done+int64(len(dst))
	used := 0
	for _, p := range l.parts {
		if p.from >= end {
			break
		}
		from, to := max(p.from, l.done), min(p.to, end)
		if at < from {
			tell(at, from, nothing)
		}
		if p.kind != speech {
			tell(from, to, p.kind)
		}
		if p.kind != dead {
			l.mix(dst, from, to, mixed)
			touched = true
		}
		at = to
		if p.to <= end {
			used++
		}
	}
	if at < end {
		tell(at, end, nothing)
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

// skip drops what lies before a position.
func (l *lane) skip(to int64) {
	used := 0
	for used < len(l.parts) && l.parts[used].to <= to {
		used++
	}
	l.parts = append(l.parts[:0], l.parts[used:]...)
	l.done = to
}
