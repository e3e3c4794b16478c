package render

import (
	"slices"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/timeline"
	"tapedeck/internal/voice"
)

// facts is what the control entries of a journal say. Entries that are restated
// are taken once; when the first one is lost, the restated one stands in.
type facts struct {
	seen map[factKey]bool

	begun   bool
	begin   time.Duration
	wall    time.Time
	stopped bool
	stop    time.Duration
	cause   voice.EndCause
	last    time.Duration // of any entry
	damaged bool          // bytes behind it could not be used

	desk   *Desk
	tracks []*track // by number; nil = nothing was said of it
	rate   int      // the highest of the codecs that the parties agreed on, Hz; 0 = none
	joins  []join
	pauses []Pause
	gaps   []Gap
}

type factKey struct {
	kind        journal.Kind
	at          time.Duration
	track       uint16
	call, other string
}

type join struct {
	at     time.Duration
	a, b   string
	joined bool
}

func newFacts(d *Desk) *facts { return &facts{seen: map[factKey]bool{}, desk: d} }

// damage tells that bytes of the journal could not be used.
func (f *facts) damage() { f.damaged = true }

func (f *facts) add(e *journal.Entry) {
	if f.damaged && !e.Repeat {
		// What was in them lies between the entries around them.
		f.gaps = append(f.gaps, Gap{Span: Span{min(f.last, e.At), e.At}, Damaged: true})
		f.damaged = false
	}
	f.last = max(f.last, e.At)
	if !e.Kind.Control() {
		return
	}
	d := &e.Detail
	key := factKey{e.Kind, e.At, e.Track, d.Call, d.Other}
	if f.seen[key] {
		return
	}
	f.seen[key] = true
	switch e.Kind {
	case journal.KindTrackOpened:
		t := f.track(e.Track)
		t.known = true
		t.call, t.party, t.role = voice.CallID(d.Call), d.Party, voice.Role(d.Role)
		f.codecs(t, d.Codecs)
	case journal.KindTrackClosed:
		f.track(e.Track).unheard = d.Unheard
	case journal.KindTrackChanged:
		f.codecs(f.track(e.Track), d.Codecs)
	case journal.KindJoined, journal.KindParted:
		f.joins = append(f.joins, join{e.At, d.Call, d.Other, e.Kind == journal.KindJoined})
	case journal.KindBegin:
		f.begun, f.begin, f.wall = true, e.At, d.Wall
	case journal.KindPaused:
		f.pauses = append(f.pauses, Pause{Span: Span{From: e.At}, Behavior: voice.PauseBehavior(d.Behavior), Open: true})
		slices.SortStableFunc(f.pauses, func(a, b Pause) int { return int(a.From - b.From) })
	case journal.KindResumed:
		f.resume(e.At)
	case journal.KindGap:
		f.gaps = append(f.gaps, Gap{Span: Span{d.From, e.At}, Lost: d.Lost})
	case journal.KindStop:
		f.stopped, f.stop, f.cause = true, e.At, voice.EndCause(d.Cause)
		if !f.begun && !d.Wall.IsZero() { // every Begin was lost to damage
			f.begun, f.begin, f.wall = true, e.At-d.Offset, d.Wall
		}
	}
}

// resume ends the pause that was open then.
func (f *facts) resume(at time.Duration) {
	for i := len(f.pauses) - 1; i >= 0; i-- {
		if p := &f.pauses[i]; p.From <= at {
			if p.Open || at < p.To {
				p.To, p.Open = at, false
			}
			return
		}
	}
}

// joined lists when two calls heard each other.
func (f *facts) joined(a, b string, end time.Duration) []Span {
	joins := slices.Clone(f.joins)
	slices.SortStableFunc(joins, func(x, y join) int { return int(x.at - y.at) })
	var out []Span
	open := false
	for _, j := range joins {
		if !(j.a == a && j.b == b || j.a == b && j.b == a) || j.joined == open {
			continue
		}
		if open = j.joined; open {
			// A packet that arrives with the end is in it.
			out = append(out, Span{From: j.at, To: max(end, j.at) + 1})
		} else {
			out[len(out)-1].To = j.at
		}
	}
	return out
}

// numbers lists the tracks in the order of their numbers.
func (f *facts) numbers() []uint16 {
	var out []uint16
	for n, t := range f.tracks {
		if t != nil {
			out = append(out, uint16(n))
		}
	}
	return out
}

func (f *facts) track(n uint16) *track {
	if int(n) >= len(f.tracks) {
		f.tracks = append(f.tracks, make([]*track, int(n)+1-len(f.tracks))...)
	}
	t := f.tracks[n]
	if t == nil {
		t = &track{types: f.desk.static}
		f.tracks[n] = t
	}
	return t
}

// track is what is known of a track while its entries pass by. Both passes go
// through the same states.
type track struct {
	known bool // the journal says whose it is
	call  voice.CallID
	party string
	role  voice.Role
	// unheard is known in the first pass only, after its end.
	unheard *journal.Unheard
	types   [128]*format
	survey  *timeline.Survey
}

// codecs sets what the payload types mean from now on. Static payload types
// (RFC 3551 §6) keep their meaning unless told otherwise.
func (f *facts) codecs(t *track, list []journal.Codec) {
	t.types = f.desk.static
	for _, c := range list {
		info := codec.Info{Name: c.Name, PT: c.PT, ClockRate: c.ClockRate, SampleRate: c.SampleRate, Channels: c.Channels}
		if known, ok := codec.Lookup(c.Name, c.ClockRate); ok {
			info.SampleRate, info.Channels = orElse(c.SampleRate, known.SampleRate), orElse(c.Channels, known.Channels)
		}
		info.SampleRate, info.Channels = orElse(info.SampleRate, c.ClockRate), orElse(info.Channels, 1)
		if int(c.PT) < len(t.types) && c.ClockRate > 0 {
			t.types[c.PT] = f.desk.format(info.Mono()) // a side of the file is one voice
			f.source(t.types[c.PT])
		}
	}
}

func orElse(v, fallback int) int {
	if v > 0 {
		return v
	}
	return fallback
}

// sane says whether a format is one that somebody may have agreed on. A table can
// hold any number, and decoders take memory by these.
func sane(i *codec.Info) bool {
	const low, high, most = 4000, 192000, 8
	return i.ClockRate >= low && i.ClockRate <= high && i.SampleRate >= low && i.SampleRate <= high && i.Channels <= most
}

// source takes the rate of a codec into account for the file's.
func (f *facts) source(c *format) {
	if c.decodable {
		f.rate = max(f.rate, c.info.SampleRate)
	}
}

// packet returns the format of a packet, nil when its payload type means
// nothing, and what the clock model needs of it.
func (t *track) packet(e *journal.Entry) (*format, timeline.Packet) {
	p := &e.Packet
	out := timeline.Packet{Arrival: e.At, SSRC: p.SSRC, Seq: p.Seq, Time: p.Time}
	var f *format
	if int(p.PT) < len(t.types) {
		f = t.types[p.PT]
	}
	if f != nil {
		out.Rate = f.info.ClockRate
		out.Ticks = f.ticks(p.Payload)
	}
	return f, out
}
