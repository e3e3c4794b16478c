package media

import (
	"runtime"
	"time"
)

// urgency decides when the thread of a worker goes before all ordinary threads of the
// machine, by a real-time priority (urgent_linux.go). Without it a worker that uses more
// than its share of a core waits for the others some milliseconds at a time, whatever
// their niceness: a garbage collection, a thousand journals, a burst of new calls.
//
// It has it only while it is busy. A worker that has nothing to do needs none, and waits
// in a way in which the run-time may keep it waiting. One that has more to do than its
// core can keeps it: what has piled up has to be worked off, and would grow while it
// waits for others. But it leaves them a twelfth of the time, a millisecond at a time.
// They end calls, write journals and refuse new calls. Where journals fall behind
// (Options.Behind) it leaves them a quarter: what is relayed is to be recorded. The kernel
// would save them a twentieth (sched(7): sched_rt_runtime_us; since Linux 6.12 a server for
// fair tasks), but once a second and in one piece: then all packets wait for 50 ms.
type urgency struct {
	on, allowed bool

	at, used        time.Duration // of the last glance, and the processor's time until then
	decided, before time.Duration // the same of the last decision
	owed            time.Duration // to others
}

const (
	// glanceEvery is how often a worker looks whether others had their part of the time,
	// urgencyEvery how often it decides how urgent it is.
	glanceEvery  = 10 * time.Millisecond
	urgencyEvery = 500 * time.Millisecond
	// Shares of the time of a processor. Between them nothing changes, so that it does not
	// change all the time.
	idleBelow, busyFrom = 0.05, 0.10
	// othersPart of the time is what others are to have, morePart when they are behind, and
	// pause and morePause the pieces they have it in, one after each glance.
	othersPart, morePart = 12, 4
	pause, morePause     = time.Millisecond, 4 * time.Millisecond
)

// wanted says whether a worker that uses so much of a processor should be urgent.
func (u *urgency) wanted(share float64) bool {
	if u.on {
		return share >= idleBelow
	}
	return share >= busyFrom
}

// begin finds out whether the system allows it, on the worker's own thread.
func (u *urgency) begin(now time.Duration) (err error) {
	if err = setUrgent(true); err == nil {
		err = setUrgent(false)
	}
	u.allowed, u.at, u.used = err == nil, now, threadTime()
	u.decided, u.before = u.at, u.used
	return err
}

// RealTimeAllowed says why the workers of this process may have no real-time priority; nil =
// they may.
func RealTimeAllowed() error {
	allowed := make(chan error, 1) // sent to once
	go func() {
		runtime.LockOSThread() // for good: the thread ends with what was tried on it
		var u urgency
		allowed <- u.begin(0)
	}()
	return <-allowed
}

// end gives the thread back as it was: the run-time has other uses for it.
func (u *urgency) end() { u.set(false) }

// look is called in each turn, with who knows whether others are behind. It says whether
// anything changed, and for how long the worker should do nothing.
func (u *urgency) look(now time.Duration, behind func() bool) (changed bool, rest time.Duration) {
	passed := now - u.at
	if passed < glanceEvery || !u.allowed {
		return false, 0
	}
	used := threadTime()
	others := passed - (used - u.used) // had so much, or nobody wanted it
	part, piece := time.Duration(othersPart), pause
	if u.on && behind() {
		part, piece = morePart, morePause
	}
	u.owed = max(u.owed+passed/part-others, 0)
	u.at, u.used = now, used
	if passed = now - u.decided; passed >= urgencyEvery {
		share := float64(used-u.before) / float64(passed)
		u.decided, u.before = now, used
		changed = u.set(u.wanted(share))
	}
	switch {
	case !u.on:
		u.owed = 0 // they take it themselves
	case u.owed >= pause:
		rest = min(u.owed.Truncate(pause), piece) // the next look takes it off what is owed
	}
	return changed, rest
}

// set says whether anything changed. What was allowed and is no longer stays as it is.
func (u *urgency) set(on bool) bool {
	if on == u.on || setUrgent(on) != nil {
		return false
	}
	u.on = on
	return true
}

// Relent calls f while workers go before other threads with packets only. It is for a
// collection of garbage: who needs memory meanwhile has to help with it, a worker too, and
// spins until another thread shows it its stack. On a core where that thread has to wait for
// the worker nothing would end that before the kernel does, a second later. Packets and
// reports need no memory, commands do. It must not be called before Run.
func (e *Engine) Relent(f func()) {
	for _, w := range e.workers {
		// It fails for one that has ended, which is not urgent either.
		_ = w.do(func(w *worker) error { w.relent(true); return nil })
	}
	f()
	for _, w := range e.workers {
		w.post(command{run: func(w *worker) error { w.relent(false); return nil }})
	}
}

func (w *worker) relent(on bool) {
	w.careful = on
	w.poller.postpone(on)
}

// stepBack makes the worker an ordinary thread until goAhead is called, where it has to be
// careful and is not one. It says whether.
func (w *worker) stepBack() bool { return w.careful && w.urgent.set(false) }

func (w *worker) goAhead() {
	w.urgent.set(true)
	w.poller.urgent(w.urgent.on) // it may not be allowed any more
}
