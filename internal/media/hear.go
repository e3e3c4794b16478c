package media

import (
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/dtmf"
	"tapedeck/internal/jitter"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// ListenRate is the sample rate of what a Listener hears, Hz.
const ListenRate = 16000

// listenFrame is how long a frame of a Listener is.
const listenFrame = 20 * time.Millisecond

// Listener hears what a leg's party says: every 20 ms a frame of so much audio at
// ListenRate, mono, without gaps: what was lost is made up for, and where nothing
// comes there is silence. At is when the frame is heard. Hear is called by the leg's
// worker: it must not block or allocate, and must not keep the frame.
type Listener interface {
	Hear(frame []int16, at time.Duration)
}

// Listen replaces all listeners of the leg; none = nobody listens. When it returns, no
// former one is called any more. The error is ErrBridged while the leg is joined, and
// ErrClosed after its end; a bridge ends all of this listening.
func (l *Leg) Listen(ls ...Listener) error {
	own := append([]Listener(nil), ls...)
	err := l.do(func(w *worker) error {
		switch {
		case l.over && len(own) > 0:
			return ErrClosed
		case l.peer != nil && len(own) > 0:
			return ErrBridged
		}
		l.listeners = own
		l.arrangeAudience(w.now())
		return nil
	})
	if err != nil && (len(own) > 0 || !errors.Is(err, ErrClosed)) {
		return fmt.Errorf("listen to leg %s: %w", l.name, err)
	}
	return nil
}

// Follow replaces the listeners that are not to be ended by a bridge: what the party
// says is decoded for them also while it is passed on, so that they should not stay
// long. Else they are as those of Listen.
func (l *Leg) Follow(ls ...Listener) error {
	own := append([]Listener(nil), ls...)
	err := l.do(func(w *worker) error {
		if l.over && len(own) > 0 {
			return ErrClosed
		}
		l.followers = own
		l.arrangeAudience(w.now())
		return nil
	})
	if err != nil && (len(own) > 0 || !errors.Is(err, ErrClosed)) {
		return fmt.Errorf("follow leg %s: %w", l.name, err)
	}
	return nil
}

// HearKeys lets the leg listen for keys in the audio, which come as Digit events. It
// does so while the leg is not bridged, and only as long as no telephone-event is
// agreed on: a key that comes both ways is one.
func (l *Leg) HearKeys(on bool) error {
	err := l.do(func(w *worker) error {
		if l.over {
			return ErrClosed
		}
		l.hearKeys(on, w.now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("hear keys on leg %s: %w", l.name, err)
	}
	return nil
}

func (l *Leg) hearKeys(on bool, at time.Duration) {
	l.inBand = on
	l.arrangeAudience(at)
}

// audience decodes what a leg's party says for who listens.
type audience struct {
	hearing
	epoch uint32
	due   time.Duration  // when the next frame is heard
	keys  *dtmf.Detector // nil = none are listened for
}

// wantsKeys reports whether keys are to be heard in the audio.
func (l *Leg) wantsKeys() bool {
	return l.inBand && l.configured && l.peer == nil && l.agreed.Event == nil
}

// leisure is how late what a party says is heard at the least. Who listens does not
// talk with it, and can wait: packets that the network, or a busy machine, holds up
// for a moment do not tear a tone or a word in two.
const leisure = 100 * time.Millisecond

// arrangeAudience starts or stops decoding. For keys it starts with the first packet:
// most calls are bridged, or over, before one comes.
func (l *Leg) arrangeAudience(at time.Duration) {
	if l.over || !l.configured || len(l.listeners)+len(l.followers) == 0 && !l.wantsKeys() {
		l.audible = nil
		l.w.wheel.cancel(&l.timers[hearTimer])
		return
	}
	if l.audible != nil || len(l.listeners)+len(l.followers) > 0 {
		l.openAudience(at)
	}
}

func (l *Leg) openAudience(at time.Duration) {
	t := &l.timers[hearTimer]
	if l.audible == nil {
		a := &audience{hearing: hearing{buffer: jitter.New(jitter.Options{Min: leisure, Lead: listenFrame}), rate: ListenRate, usual: listenFrame}}
		a.epoch, a.due = l.in.Epoch(), at+listenFrame
		l.audible = a
	}
	switch a := l.audible; {
	case !l.wantsKeys():
		a.keys = nil
	case a.keys == nil:
		a.keys = dtmf.New(ListenRate)
	}
	if !t.armed() {
		l.w.wheel.arm(t, l.audible.due)
	}
}

// leaveAudience ends all listening but following, because the leg is bridged.
func (l *Leg) leaveAudience(at time.Duration) {
	l.listeners = nil
	l.arrangeAudience(at)
}

// take puts a packet of the leg into the buffer.
func (a *audience) take(l *Leg, p *rtp.Received) {
	if p.Verdict == rtp.Late {
		if ssrc, _ := l.in.SSRC(); p.SSRC != ssrc {
			return // of a stream that another has replaced: it has no place any more
		}
	}
	if epoch := l.in.Epoch(); epoch != a.epoch {
		a.epoch = epoch
		a.buffer.Restart()
	}
	k := jitter.Packet{Seq: p.Seq, Time: p.Time, Arrival: p.Arrival, Payload: p.Payload}
	c := l.agreedOn(p.PT)
	if c == nil || c.Is(codec.Event) {
		k.Class, k.Payload = jitter.Mark, nil
		a.buffer.Put(k)
		return
	}
	k.ClockRate = c.ClockRate
	a.put(k, p, c.Info)
}

// agreedOn finds the format of a payload type, by the last exchange or the one before
// it, of which something may still be under way.
func (l *Leg) agreedOn(pt uint8) *sdp.Codec {
	for i := range l.agreed.Receive {
		if l.agreed.Receive[i].PT == pt {
			return &l.agreed.Receive[i]
		}
	}
	for i := range l.former {
		if l.former[i].PT == pt {
			return &l.former[i]
		}
	}
	return nil
}

// listen gives listeners the frames that are due.
func (l *Leg) listen(at time.Duration) {
	a := l.audible
	if a == nil {
		return
	}
	if at-a.due > catchUp*listenFrame {
		a.due = at // time went on without us
	}
	const n = int(ListenRate * listenFrame / time.Second)
	for a.due <= at {
		for len(a.ready) < n {
			a.pull(a.due + time.Duration(len(a.ready))*time.Second/ListenRate)
		}
		frame := a.ready[:n]
		for _, who := range l.listeners {
			who.Hear(frame, a.due)
		}
		for _, who := range l.followers {
			who.Hear(frame, a.due)
		}
		if a.keys != nil {
			if key, ok := a.keys.Feed(frame); ok {
				l.tell(Event{Kind: Digit, Digit: key, At: a.due})
			}
		}
		a.ready = a.ready[:copy(a.ready, a.ready[n:])]
		a.due += listenFrame
	}
	l.w.wheel.arm(&l.timers[hearTimer], a.due)
}
