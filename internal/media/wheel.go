package media

import "time"

// tick is the grain of a worker's timers. Packet times are multiples of 5 ms.
const tick = 5 * time.Millisecond

// slots is how many ticks the wheel goes round in: 1.28 s. Later timers stay in
// their slot for more than one round.
const slots = 256

// timerKind says what a leg does when its timer fires.
type timerKind uint8

const (
	comfortTimer timerKind = iota // send a frame of silence
	controlTimer                  // send an RTCP report
	watchTimer                    // look whether media stopped
	playTimer                     // send what was transcoded for the peer
	hearTimer                     // give listeners what the party says
	timerKinds
)

// timer is one entry of a wheel, part of its leg. The zero value is not armed.
type timer struct {
	leg        *Leg
	kind       timerKind
	due        int64 // in ticks
	next, prev *timer
}

func (t *timer) armed() bool { return t.next != nil }

// wheel is a hashed timing wheel: arming, cancelling and firing a timer take the
// same short time however many there are. It belongs to one worker.
type wheel struct {
	now  int64 // the tick that was served last
	ring [slots]timer
	due  timer // taken off the ring, about to fire
}

func newWheel(now time.Duration) *wheel {
	w := &wheel{now: int64(now / tick)}
	for i := range w.ring {
		w.ring[i].next, w.ring[i].prev = &w.ring[i], &w.ring[i]
	}
	w.due.next, w.due.prev = &w.due, &w.due
	return w
}

func (t *timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
}

func (t *timer) link(head *timer) {
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
}

// arm sets a timer to a time, at the next tick at the earliest.
func (w *wheel) arm(t *timer, at time.Duration) {
	w.cancel(t)
	t.due = max(int64((at+tick-1)/tick), w.now+1)
	t.link(&w.ring[t.due%slots])
}

func (w *wheel) cancel(t *timer) {
	if t.armed() {
		t.unlink()
	}
}

// advance fires what is due at a time. A timer may be armed or cancelled while
// another fires.
func (w *wheel) advance(now time.Duration, fire func(*timer)) {
	to := int64(now / tick)
	for first := max(w.now+1, to-slots+1); first <= to; first++ {
		head := &w.ring[first%slots]
		for t := head.next; t != head; {
			following := t.next
			if t.due <= to {
				t.unlink()
				t.link(&w.due)
			}
			t = following
		}
	}
	w.now = max(w.now, to)
	for w.due.next != &w.due {
		t := w.due.next
		t.unlink()
		fire(t)
	}
}

// next is when advance should be called again; false when no timer is armed. A
// timer of a later round makes it return early, which does no harm.
func (w *wheel) next() (time.Duration, bool) {
	for ahead := int64(1); ahead <= slots; ahead++ {
		if head := &w.ring[(w.now+ahead)%slots]; head.next != head {
			return time.Duration(w.now+ahead) * tick, true
		}
	}
	return 0, false
}
