package media

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"tapedeck/internal/rtp"
)

// worker owns legs: their sockets, their state, their timers. Everything below
// load and mail is touched by its own goroutine only.
type worker struct {
	index  int
	engine *Engine
	log    *slog.Logger
	now    func() time.Duration
	mail   mailbox
	load   atomic.Int32 // legs, for placing new ones; changes with legs only

	poller poller
	shared []*shared        // ports that legs share, received from here
	turns  atomic.Uint32    // which of them a new leg gets
	owners [batchSize]owner // of a batch of them
	urgent urgency
	// careful: garbage is collected, see Engine.Relent.
	careful bool
	wheel   *wheel
	legs    map[*Leg]struct{}
	orders  []command // commands that were taken from the mailbox; done up to next
	next    int
	ending  bool

	gone    Stats  // counters of the legs that ended here
	refused uint64 // datagrams that the system did not take
	faults  uint64 // panics caught

	coming  [maxEvents]*Leg // whose packets are about to be served
	touched uint64          // see soon.go

	// packet is where the receiver of a leg puts what it reads.
	packet rtp.Received
	// The same for RTCP, and room for a report to be sent.
	control rtp.Control
	report  [512]byte
	// busy is the leg that is being served: the one at fault when something panics.
	busy *Leg
	// fire is a method, bound once: binding it at each call allocates.
	fire    func(*timer)
	silence [silenceSize]byte
	nothing [48 * 60]int16 // samples of silence: the longest packet at the highest rate
}

func newWorker(e *Engine, index int, p poller) *worker {
	w := &worker{
		index: index, engine: e, log: e.log, now: e.now,
		poller: p, wheel: newWheel(e.now()), legs: make(map[*Leg]struct{}),
	}
	w.fire = w.expire
	return w
}

// run serves legs until the engine posts the end, and then ends them all. An
// error means that the system does not let it wait for packets any more. It says
// which thread it has.
func (w *worker) run(thread chan<- int) error {
	// One thread per worker: the thread that waits in epoll is the one that goes on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread <- threadID()
	w.hurry()
	defer w.urgent.end()
	err := w.attachShared()
	for !w.ending && err == nil {
		err = w.turn()
	}
	w.finish()
	return err
}

// hurry lets the worker's thread go before others, where that is wanted and allowed.
func (w *worker) hurry() {
	if !w.engine.realTime {
		return
	}
	if err := w.urgent.begin(w.now()); err != nil && w.index == 0 {
		w.log.Info("media has no real-time priority: calls near the limit of a core wait longer", "error", err,
			"to do", "allow it (CAP_SYS_NICE, or RLIMIT_RTPRIO of 1), or set media.realtime to false")
	}
}

// turn is one round: wait, packets, timers, commands. A panic in it ends the leg
// that was being served, and nothing else.
func (w *worker) turn() error {
	defer w.guard()
	if err := w.poller.wait(w.timeout(), w); err != nil {
		return fmt.Errorf("media worker %d waits for packets: %w", w.index, err)
	}
	now := w.now()
	changed, rest := w.urgent.look(now, w.engine.behind)
	if changed {
		w.poller.urgent(w.urgent.on)
	}
	w.wheel.advance(now, w.fire)
	w.flush()
	w.commands()
	if rest > 0 {
		letOthers(rest)
	}
	return nil
}

// timeout is how long the worker may wait; below zero: until something happens.
func (w *worker) timeout() time.Duration {
	if w.next < len(w.orders) {
		return 0
	}
	at, ok := w.wheel.next()
	if !ok {
		return -1
	}
	return max(at-w.now(), 0)
}

func (w *worker) guard() {
	cause := recover()
	if cause == nil {
		return
	}
	w.faults++
	leg := w.busy
	w.busy = nil
	if leg == nil {
		w.log.Error("media worker: fault", "worker", w.index, "cause", cause, "stack", string(debug.Stack()))
		return
	}
	w.log.Error("media worker: fault, the leg ends", "worker", w.index, "leg", leg.name, "cause", cause, "stack", string(debug.Stack()))
	w.end(leg, true)
}

// receive takes one batch of one socket: the hot path begins here.
func (w *worker) receive(p *port, batch []datagram, dropped uint32) {
	l := p.leg
	if l == nil {
		w.receiveShared(p, batch, dropped)
		return
	}
	at := w.now() // one stamp a batch
	if dropped > 0 {
		l.overflow += uint64(dropped)
	}
	for i := range batch {
		w.accept(l, p.control, &batch[i], at)
	}
	w.flush()
}

// accept lets a leg read one datagram that came to its RTP or its RTCP port.
func (w *worker) accept(l *Leg, control bool, d *datagram, at time.Duration) {
	w.busy = l
	if !l.configured {
		l.settle(at)
	}
	switch {
	case d.truncated:
		l.oversize++
	case control || l.mux && rtp.IsControl(d.data):
		l.readControl(d, at)
	default:
		l.read(d, at)
	}
	w.busy = nil
}

func (w *worker) flush() {
	if refused := w.poller.flush(); refused > 0 {
		w.refused += uint64(refused)
	}
}

// expire serves a timer.
func (w *worker) expire(t *timer) {
	l := t.leg
	w.busy = l
	at := w.now()
	switch t.kind {
	case comfortTimer:
		l.comfort(at)
	case controlTimer:
		l.report(at, false)
	case watchTimer:
		l.watch(at)
	case playTimer:
		l.play(at)
	case hearTimer:
		l.listen(at)
	}
	w.busy = nil
}

// commandTime is for how long commands are run before packets get their turn again: when
// a thousand calls end at once, the others go on.
const commandTime = time.Millisecond

// commands runs what the mailbox holds, as far as there is time for it. A command of a
// leg that has moved follows it to its new worker.
func (w *worker) commands() {
	// In every turn, as the wait before it took the signal that something was put in.
	w.orders, w.next = w.mail.take(w.orders, w.next), 0
	back := w.next < len(w.orders) && w.stepBack()
	for began := w.now(); w.next < len(w.orders); {
		c := w.orders[w.next]
		w.orders[w.next] = command{}
		w.next++
		if c.leg != nil {
			if home := c.leg.worker.Load(); home != w {
				home.post(c)
				continue
			}
		}
		c.finish(w.perform(c))
		if w.now()-began >= commandTime {
			break
		}
	}
	if back {
		w.goAhead()
	}
	w.flush()
}

func (w *worker) perform(c command) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			w.faults++
			err = fmt.Errorf("media: a command failed: %v\n%s", cause, debug.Stack())
		}
	}()
	return c.run(w)
}

// post puts a command into the mailbox, or finishes it with ErrClosed. Any
// goroutine may call it; it does not wait.
func (w *worker) post(c command) {
	first, ok := w.mail.put(c)
	switch {
	case !ok:
		c.finish(ErrClosed)
	case first:
		w.poller.wake()
	}
}

// do runs a command and waits for its result. Never called by a worker.
func (w *worker) do(run func(*worker) error) error {
	done := make(chan error, 1)
	w.post(command{run: run, done: done})
	return <-done
}

// finish ends all legs, then the commands that are left.
func (w *worker) finish() {
	for l := range w.legs {
		w.end(l, false)
	}
	for _, c := range slices.Concat(w.orders[w.next:], w.mail.close()) {
		c.finish(ErrClosed)
	}
	for _, s := range w.shared {
		w.poller.detach(s.media.socket)
		w.poller.detach(s.control.socket)
	}
}

// attachShared begins to receive from the ports that legs share.
func (w *worker) attachShared() error {
	for _, s := range w.shared {
		for _, p := range []*port{&s.media, &s.control} {
			if err := w.poller.attach(p.socket, p); err != nil {
				return fmt.Errorf("media worker %d: %w", w.index, err)
			}
		}
	}
	return nil
}

// end ends one leg as far as the worker is concerned, whatever state it is in.
func (w *worker) end(l *Leg, failed bool) {
	defer func() {
		if cause := recover(); cause != nil {
			w.faults++
			w.log.Error("media worker: fault at the end of a leg", "worker", w.index, "leg", l.name, "cause", cause)
			if peer := l.peer; peer != nil {
				peer.unlink()
			}
			l.unlink()
			w.remove(l)
		}
	}()
	l.shut(w.now())
	w.flush()
	if failed {
		l.tell(Event{Kind: Failed, At: w.now()})
	}
}

// add takes a leg with its sockets, unless these are shared.
func (w *worker) add(l *Leg) error {
	if l.member == nil {
		if err := w.poller.attach(l.media.socket, &l.media); err != nil {
			return err
		}
		if err := w.poller.attach(l.control.socket, &l.control); err != nil {
			w.poller.detach(l.media.socket)
			return err
		}
	}
	w.legs[l] = struct{}{}
	w.load.Add(1)
	return nil
}

// remove lets go of a leg. Its timers stop, its sockets are heard no more.
func (w *worker) remove(l *Leg) {
	if _, ok := w.legs[l]; !ok {
		return
	}
	delete(w.legs, l)
	w.load.Add(-1)
	for i := range l.timers {
		w.wheel.cancel(&l.timers[i])
	}
	if l.member == nil {
		w.poller.detach(l.media.socket)
		w.poller.detach(l.control.socket)
	}
}
