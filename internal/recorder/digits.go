package recorder

import (
	"slices"
	"strings"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
)

const (
	// eventName is the codec name of telephone-events in SDP (RFC 4733 §7.1.1).
	eventName = "telephone-event"
	// eventRate is their clock rate where nobody says another, Hz (RFC 4733 §2.1).
	eventRate = 8000
	// letGo is how long nothing may come of a key that is pressed until it counts as
	// let go: all three packets of its end were lost. Senders repeat it every 50 ms
	// (RFC 4733 §2.5.1.2).
	letGo = 250 * time.Millisecond
	// maxPress bounds the length of a key in clock units, so that no row of segments
	// makes it overflow: more than an hour at 192 kHz.
	maxPress = 1 << 30
	// stale is how far back, in units of RTP time, a packet belongs to what was
	// before; farther, the sender has set its clock anew.
	stale = 1 << 20
)

// keys follows the keys that a party presses, from telephone-events (RFC 4733).
// The capture's lock guards it.
type keys struct {
	// What every packet asks for comes first: it shares the cache line of the track's head.
	events  [2]uint64     // a bit for each payload type that is a telephone-event
	last    time.Duration // of what is pending
	pending bool          // its entry was not written yet

	any    bool // the rest holds a press
	hidden bool // it began while the gate was shut
	code   uint8
	volume uint8
	units  uint16 // clock units of the present segment so far
	ssrc   uint32
	rate   uint32 // of its clock, Hz
	time   uint64 // RTP time of its beginning
	before uint64 // clock units of its segments that are over
	from   time.Duration

	rates []rate // of all payload types that were told of, each once
}

// rate is the clock of a payload type. A party may have two telephone-events: with
// Opus, events count in its 48 kHz.
type rate struct {
	pt uint8
	hz uint32 // 0 = unknown
}

// learn notes which payload types are telephone-events. One that is not told of
// keeps its meaning: packets of a former agreement may still come.
func (k *keys) learn(codecs []Codec) {
	for _, c := range codecs {
		pt := c.PT & 127
		bit := uint64(1) << (pt & 63)
		k.events[pt>>6] &^= bit
		if strings.EqualFold(c.Name, eventName) {
			k.events[pt>>6] |= bit
		}
		known := rate{pt: pt, hz: uint32(max(0, c.ClockRate))}
		if i := slices.IndexFunc(k.rates, func(r rate) bool { return r.pt == pt }); i >= 0 {
			k.rates[i] = known
		} else {
			k.rates = append(k.rates, known)
		}
	}
}

// is reports whether a packet is a telephone-event, be it late or a duplicate.
func (k *keys) is(p *rtp.Received) bool {
	return p.Verdict == rtp.Event || k.told(p.PT&127)
}

// told reports whether a payload type is known to be a telephone-event.
func (k *keys) told(pt uint8) bool { return k.events[pt>>6]>>(pt&63)&1 != 0 }

// hz is the clock rate of a payload type; 0 = unknown.
func (k *keys) hz(pt uint8) uint32 {
	for _, r := range k.rates {
		if r.pt == pt&127 {
			return r.hz
		}
	}
	return 0
}

// read takes the packet of a telephone-event, whether it is kept or not, and
// reports whether its payload must stay out: the key was pressed while the gate
// was shut. A press is known by the RTP time of its beginning, so that a key
// which is held until after the pause, and the repeated packets of its end, stay
// out with it.
func (t *Track) read(p *rtp.Received) (secret bool) {
	k := &t.keys
	e, ok := rtp.ParseEvent(p.Payload)
	if !ok {
		return true // no telephone-event as we know them: nothing to tell, nothing to keep
	}
	open := t.c.open && p.Arrival >= t.c.since
	same := k.any && k.ssrc == p.SSRC
	switch {
	case same && p.Time < k.time && k.time-p.Time < stale: // of a press before
		return !open || t.hides(p, e)
	case same && p.Time == k.time:
	case same && !p.Marker && e.Code == k.code && p.Time == k.time+uint64(k.units):
		// RFC 4733 §2.5.1.3: a long press goes on in another segment.
		k.before = min(k.before+uint64(k.units), maxPress)
		k.time, k.units = p.Time, 0
	default:
		t.endPress(p.Arrival)
		k.any, k.ssrc, k.code, k.time, k.before, k.units = true, p.SSRC, e.Code, p.Time, 0, 0
		k.rate = k.clock(p.PT)
		k.hidden = !open || t.hides(p, e)
		_, isKey := e.Digit()
		k.pending, k.from = isKey && !k.hidden && !t.c.r.o.MaskDigits, p.Arrival
	}
	k.units, k.volume, k.last = max(k.units, e.Duration), e.Volume, p.Arrival
	if !open {
		k.hidden, k.pending = true, false
	}
	if e.End && k.pending {
		t.endPress(p.Arrival)
	}
	return k.hidden
}

// hides reports whether a press began before the gate opened again.
func (t *Track) hides(p *rtp.Received, e rtp.TelephoneEvent) bool {
	if s := t.shut.find(p.SSRC); s != nil && p.Time <= s.time && s.time-p.Time < stale {
		return true
	}
	pressed := time.Duration(e.Duration) * time.Second / time.Duration(t.keys.clock(p.PT))
	return t.c.resumed && p.Arrival-pressed < t.c.since
}

// clock is the rate that the events of a payload type count in.
func (k *keys) clock(pt uint8) uint32 {
	if hz := k.hz(pt); hz != 0 && k.told(pt&127) {
		return hz
	}
	return eventRate
}

// endPress writes the entry of the key that is pressed, if there is one; the
// capture's lock is held.
func (t *Track) endPress(at time.Duration) {
	k, c := &t.keys, t.c
	if !k.pending {
		return
	}
	k.pending = false
	key, _ := rtp.TelephoneEvent{Code: k.code}.Digit()
	d := journal.Digit{
		Key: key, Volume: k.volume, From: k.from - c.start,
		Length: time.Duration(k.before+uint64(k.units)) * time.Second / time.Duration(k.rate),
	}
	if c.fill.None() || !c.fill.Digit(at-c.start, t.number, &d) {
		c.turn(true)
		c.fill.Digit(at-c.start, t.number, &d) // fits an empty block
	}
}

// endPresses writes what is pressed on all tracks: what comes of it is not kept.
func (c *Capture) endPresses(at time.Duration) {
	for _, t := range c.all {
		t.endPress(at)
	}
}
