package rtp

import "time"

// payloadTypes is how many payload types there are (7 bits).
const payloadTypes = 128

// Format is what a payload type means to a leg.
type Format struct {
	PT        uint8
	Kind      Verdict // Audio, Event or Noise
	ClockRate int     // of its timestamps, Hz
}

// formerFormats is how long a payload type is still understood after it was
// negotiated away: what was under way when the answer was sent must be received
// (RFC 3264 §8.3.2).
const formerFormats = 2 * time.Second

// formats finds a Format by payload type.
type formats struct {
	index [payloadTypes]uint8 // 1 + place in list, 0 = unknown
	list  []formatEntry
}

type formatEntry struct {
	Format
	until time.Duration // 0 = in force; else the end of its grace
}

// set replaces the formats. Payload types which the new set does not mention
// are understood a little longer.
func (f *formats) set(now []Format, at time.Duration) {
	var next formats
	add := func(e formatEntry) {
		if e.PT < payloadTypes && next.index[e.PT] == 0 {
			next.list = append(next.list, e)
			next.index[e.PT] = uint8(len(next.list))
		}
	}
	for _, n := range now {
		add(formatEntry{Format: n})
	}
	for _, old := range f.list {
		if old.until == 0 {
			old.until = at + formerFormats
		}
		if old.until > at {
			add(old)
		}
	}
	*f = next
}

// find returns the format of a payload type at a time, or nil.
func (f *formats) find(pt uint8, at time.Duration) *Format {
	i := f.index[pt]
	if i == 0 {
		return nil
	}
	e := &f.list[i-1]
	if e.until != 0 && at > e.until {
		return nil
	}
	return &e.Format
}
