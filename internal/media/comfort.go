package media

import (
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
)

// silenceSize is room for a packet of silence of the longest packet time.
const silenceSize = rtp.HeaderSize + 1500

// catchUp is how late a frame of silence may be and still follow in step. Later,
// the missing frames are not made up for.
const catchUp = 5

// arrangeComfort starts or stops comfort silence. A party that is connected to
// nobody gets it, so that NATs and the party's own media timeout stay calm.
func (l *Leg) arrangeComfort(at time.Duration) {
	t := &l.timers[comfortTimer]
	if l.over || !l.sends || l.peer != nil || !l.canComfort() {
		l.w.wheel.cancel(t)
		return
	}
	if !t.armed() {
		l.silenceAt = at
		l.w.wheel.arm(t, at)
	}
}

func (l *Leg) canComfort() bool {
	_, ok := codec.Silence(l.agreed.Send.Info, l.ptime, l.w.silence[rtp.HeaderSize:])
	return ok
}

// comfort sends one frame of silence and arms the next.
func (l *Leg) comfort(at time.Duration) {
	if late := at - l.silenceAt; late > catchUp*l.ptime {
		l.silenceAt = at
		l.out.Break() // time went on without us
	}
	if target := l.in.Target(); target.IsValid() {
		n, _ := codec.Silence(l.agreed.Send.Info, l.ptime, l.w.silence[rtp.HeaderSize:])
		units := int(rtp.Units(l.ptime, l.agreed.Send.ClockRate))
		packet := l.out.Own(l.w.silence[:rtp.HeaderSize+n], l.agreed.Send.PT, units, at)
		l.w.poller.send(l.media.socket, target, packet)
		l.w.flush() // the next leg uses the same bytes
	}
	l.silenceAt += l.ptime
	l.w.wheel.arm(&l.timers[comfortTimer], l.silenceAt)
}
