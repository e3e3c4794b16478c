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

// formats finds a Format by payload type: the one that was found last without a look
// at the others.
type formats struct {
	usual formatEntry // found last; a clock rate of 0: none
	table *formatTable
}

type formatTable struct {
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
	var next formatTable
	add := func(e formatEntry) {
		if e.PT < payloadTypes && next.index[e.PT] == 0 {
			next.list = append(next.list, e)
			next.index[e.PT] = uint8(len(next.list))
		}
	}
	for _, n := range now {
		add(formatEntry{Format: n})
	}
	for _, old := range f.all() {
		if old.until == 0 {
			old.until = at + formerFormats
		}
		if old.until > at {
			add(old)
		}
	}
	*f = formats{table: &next}
}

// all lists what set was told and what is left of the time before.
func (f *formats) all() []formatEntry {
	if f.table == nil {
		return nil
	}
	return f.table.list
}

// find returns the format of a payload type at a time; false when it has none.
func (f *formats) find(pt uint8, at time.Duration) (Format, bool) {
	if e := &f.usual; e.PT != pt || e.ClockRate == 0 {
		if f.table == nil || f.table.index[pt] == 0 {
			return Format{}, false
		}
		f.usual = f.table.list[f.table.index[pt]-1]
	}
	e := &f.usual
	return e.Format, e.until == 0 || at <= e.until
}
