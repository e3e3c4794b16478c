package recorder

import (
	"slices"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/voice"
)

// TrackSpec says whose voice a track is.
type TrackSpec struct {
	Call   voice.CallID
	Party  string // number or address, for the receipt
	Role   voice.Role
	Codecs []Codec
}

// Track is where the packets of one participant go in. It is a tap of media
// legs. Between two packets nothing of it stays in the processor's caches, so what
// every packet needs lies together.
type Track struct {
	c      *Capture
	number uint16

	// Guarded by c.mu.
	closed bool
	wary   bool // shut holds something
	keys   keys
	shut   shut
}

// Track opens a track. Tracks may come and go while the capture runs; what the
// 65537th is given is dropped.
func (c *Capture) Track(s TrackSpec) *Track {
	e := journal.Entry{
		Kind: journal.KindTrackOpened,
		At:   c.r.o.Now() - c.start,
		Detail: journal.Detail{
			Call: string(s.Call), Party: s.Party, Role: string(s.Role), Codecs: s.Codecs,
		},
	}
	t, ok := c.add(s, e)
	if !ok {
		c.r.o.Logger.Error("party is not recorded: the journal has no number left for its track", "recording", c.spec.Recording, "call", s.Call)
	}
	return t
}

// add opens a track with its entry, or one that is closed when there is no number left.
func (c *Capture) add(s TrackSpec, e journal.Entry) (_ *Track, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &Track{c: c, number: uint16(c.tracks)}
	t.keys.learn(s.Codecs)
	if c.tracks == maxTracks {
		t.closed = true
		return t, false
	}
	c.tracks++
	if c.stopped || c.dead {
		t.closed = true
		return t, true
	}
	e.Track = t.number
	c.put(c.encode(e), true)
	c.all = append(c.all, t)
	return t, true
}

// Take copies a packet into the filling block. It does not block, does not keep
// the payload and does not allocate. Outside of Begin and Stop, and while
// paused, it drops the packet. Of a telephone-event that must not be known, only
// the header is kept, so that its sequence number is not missed.
func (t *Track) Take(p *rtp.Received) {
	c := t.c
	packet := journal.Packet{
		Seq: uint16(p.Seq), Time: uint32(p.Time), SSRC: p.SSRC, PT: p.PT, Marker: p.Marker, Payload: p.Payload,
	}
	at := p.Arrival - c.start
	c.mu.Lock()
	// A packet may be handed over later than it arrived, when its source had to
	// show itself first: what came during a pause stays out after it, too.
	if t.closed || !t.admit(p, &packet) {
		c.mu.Unlock()
		return
	}
	if !c.fill.None() && c.lost == 0 && c.fill.Packet(at, t.number, &packet) {
		c.packets++
		c.mu.Unlock()
		return
	}
	c.closeGap(false)
	full := !c.fill.None()
	kept := c.lost == 0 && (full && c.fill.Packet(at, t.number, &packet) || c.turn(false) && c.fill.Packet(at, t.number, &packet))
	if kept {
		c.packets++
	} else {
		c.lose(p.Arrival)
	}
	c.mu.Unlock()
	if full {
		c.r.toWrite.add(c, &c.writing.called)
	}
}

// Touch reads a word of what Take needs of a track and of its capture, and nothing that
// may be written meanwhile. What it returns means nothing.
func (t *Track) Touch() uint64 { return uint64(t.c.start) }

// admit says whether the gate lets a packet through, and takes out of it what
// must not be known; the capture's lock is held.
func (t *Track) admit(p *rtp.Received, packet *journal.Packet) bool {
	c := t.c
	event := t.keys.is(p)
	secret := event && t.read(p)
	if !c.open || p.Arrival < c.since {
		if c.begun && !c.stopped {
			t.shut.see(p, event)
			t.wary = true
		}
		return false
	}
	if t.wary {
		// First the time: a source that was forgotten meanwhile counts from its
		// beginning, and would be late for ever.
		switch {
		case p.Arrival-c.since > lateness:
			t.wary, t.shut = false, shut{}
		case t.shut.late(p, event, t.keys.hz(p.PT), c.since-resumeGuard):
			return false
		}
	}
	if event {
		if secret || c.r.o.MaskDigits {
			packet.Payload = nil
		}
	} else if t.keys.pending && p.Arrival-t.keys.last > letGo {
		t.endPress(p.Arrival)
	}
	return true
}

// TakeReport copies a sender report into the filling block.
func (t *Track) TakeReport(p *rtp.SenderReport) {
	c := t.c
	report := journal.SenderReport{SSRC: p.SSRC, NTP: p.NTP, RTPTime: p.RTPTime, Packets: p.Packets, Octets: p.Octets}
	at := p.Arrival - c.start
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open || t.closed {
		return
	}
	if !c.fill.None() && c.fill.Report(at, t.number, &report) {
		return
	}
	// A report that there is no memory for is no loss: the next one says the same.
	if c.turn(false) {
		c.fill.Report(at, t.number, &report)
	}
}

// SetCodecs notes what the track may carry from now on, after an offer and
// answer.
func (t *Track) SetCodecs(at time.Duration, codecs []Codec) {
	encoded := t.c.encode(journal.Entry{Kind: journal.KindTrackChanged, At: at - t.c.start, Track: t.number, Detail: journal.Detail{Codecs: codecs}})
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.keys.learn(codecs)
	t.note(encoded)
}

// Unheard counts the datagrams of a track's party that no track is given.
type Unheard = journal.Unheard

// Close ends the track: what it is given afterwards is dropped. It notes what
// came beside its packets while it was open.
func (t *Track) Close(at time.Duration, u Unheard) {
	e := journal.Entry{Kind: journal.KindTrackClosed, At: at - t.c.start, Track: t.number}
	if u != (Unheard{}) {
		e.Detail.Unheard = &u
	}
	c := t.c
	encoded := c.encode(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.closed && !c.stopped && !c.dead {
		t.endPress(at)
	}
	t.note(encoded)
	t.closed = true
	c.all = slices.DeleteFunc(c.all, func(other *Track) bool { return other == t })
}

// note puts a control entry of the track; the capture's lock is held.
func (t *Track) note(encoded []byte) {
	if !t.closed && !t.c.stopped && !t.c.dead {
		t.c.put(encoded, true)
	}
}
