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
// waits for others. To them, who are to end calls and to refuse new ones, the kernel
// saves a twentieth of the time (sched(7): sched_rt_runtime_us; since Linux 6.12 a server
// for fair tasks). Where it does not, the worker does, see tooLong.
type urgency struct {
	on      bool
	allowed bool
	held    bool          // not now, see Engine.Relent
	full    int           // looks in a row at a core that was the worker's alone
	at      time.Duration // of the last look
	used    time.Duration // time of the processor until then
}

const (
	// urgencyEvery is how often a worker looks.
	urgencyEvery = 500 * time.Millisecond
	// Shares of the time of a processor. Between those of each pair nothing changes, so
	// that it does not change all the time.
	idleBelow, busyFrom = 0.05, 0.10
	roomUntil, fullFrom = 0.85, 0.97
	// tooLong is for how many looks nobody else was let in, before a worker steps back
	// until the next one. Where the kernel saves time for others it never is as long.
	tooLong = 4
)

// wanted says whether a worker that uses so much of a processor should be urgent.
func (u *urgency) wanted(share float64) bool {
	if u.on {
		return share >= idleBelow && u.full < tooLong
	}
	return share >= busyFrom && share <= roomUntil
}

// begin finds out whether the system allows it, on the worker's own thread.
func (u *urgency) begin(now time.Duration) (err error) {
	if err = setUrgent(true); err == nil {
		err = setUrgent(false)
	}
	u.allowed, u.at, u.used = err == nil, now, threadTime()
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

// look is called in each turn. It says whether anything changed.
func (u *urgency) look(now time.Duration) (changed bool) {
	passed := now - u.at
	if passed < urgencyEvery || !u.allowed {
		return false
	}
	used := threadTime()
	share := float64(used-u.used) / float64(passed)
	if u.full++; share < fullFrom || !u.on {
		u.full = 0
	}
	u.at, u.used = now, used
	return u.set(u.wanted(share) && !u.held)
}

// set says whether anything changed. What was allowed and is no longer stays as it is.
func (u *urgency) set(on bool) bool {
	if on == u.on || setUrgent(on) != nil {
		return false
	}
	u.on = on
	return true
}

// Relent calls f while no worker goes before other threads. It is for a collection of
// garbage: who needs memory meanwhile has to help with it, a worker too, and spins until
// another thread shows it its stack. On a core where that thread has to wait for the worker
// nothing would end that before the kernel does, a second later. It must not be called
// before Run.
func (e *Engine) Relent(f func()) {
	before := make([]bool, len(e.workers))
	for i, w := range e.workers {
		// It fails for one that has ended, which is not urgent either.
		_ = w.do(func(w *worker) error { before[i] = w.relent(true, false); return nil })
	}
	f()
	for i, w := range e.workers {
		w.post(command{run: func(w *worker) error { w.relent(false, before[i]); return nil }})
	}
}

// relent holds the urgency of a worker back, or lets it have it again. It says whether the
// worker had it.
func (w *worker) relent(held, on bool) (before bool) {
	before = w.urgent.on
	w.urgent.held = held
	if w.urgent.set(on) {
		w.poller.urgent(on)
	}
	return before
}
