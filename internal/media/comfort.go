package media

import (
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
)

// silenceSize is room for a packet of silence.
const silenceSize = rtp.HeaderSize + mostPayload

// catchUp is how late a frame of silence may be and still follow in step. Later,
// the missing frames are not made up for.
const catchUp = 5

// arrangeComfort starts or stops what a leg says by itself: what is played, and
// comfort silence otherwise. A party that is connected to nobody gets it, so that
// NATs and the party's own media timeout stay calm.
func (l *Leg) arrangeComfort(at time.Duration) {
	t := &l.timers[comfortTimer]
	if l.over || l.peer != nil || l.player == nil && !(l.sends && l.canComfort()) {
		l.w.wheel.cancel(t)
		return
	}
	if !t.armed() {
		l.silenceAt = at
		l.w.wheel.arm(t, at)
	}
}

func (l *Leg) canComfort() bool {
	_, ok := l.silence()
	return ok
}

// silence makes the payload of one frame of silence behind the header room of the
// worker's packet of it, and returns its size.
func (l *Leg) silence() (int, bool) {
	payload := l.w.silence[rtp.HeaderSize:]
	c := l.agreed.Send.Info
	if n, ok := codec.Silence(c, l.ptime, payload); ok {
		return n, true
	}
	encoder := l.voice()
	if encoder == nil {
		return 0, false
	}
	n, err := encoder.Encode(payload, l.w.nothing[:rtp.Units(l.ptime, c.SampleRate)])
	return n, err == nil && n > 0
}

// comfort sends one frame of what is played, or of silence, and arms the next.
func (l *Leg) comfort(at time.Duration) {
	if late := at - l.silenceAt; late > catchUp*l.ptime {
		l.silenceAt = at
		l.out.Break() // time went on without us
	}
	if l.player == nil || !l.perform(at) {
		if !l.sends {
			return // arranged when the hold is over
		}
		l.hushed(at)
	}
	l.silenceAt += l.ptime
	l.w.wheel.arm(&l.timers[comfortTimer], l.silenceAt)
}

// hushed sends one frame of silence.
func (l *Leg) hushed(at time.Duration) {
	target := l.in.Target()
	if !target.IsValid() {
		return
	}
	n, ok := l.silence()
	if !ok {
		return
	}
	units := int(rtp.Units(l.ptime, l.agreed.Send.ClockRate))
	packet := l.out.Own(l.w.silence[:rtp.HeaderSize+n], l.agreed.Send.PT, units, at)
	l.w.poller.send(l.media.socket, target, packet)
	l.w.flush() // the next leg uses the same bytes
}
