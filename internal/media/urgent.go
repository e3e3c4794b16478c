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
// It has it only while it is busy and has room. A worker that has nothing to do needs
// none, and waits in a way in which the run-time may keep it waiting. One that fills its
// core would leave the rest of the server, which is to end calls and to refuse new ones,
// only what the kernel saves for them.
type urgency struct {
	on      bool
	allowed bool
	at      time.Duration // of the last look
	used    time.Duration // time of the processor until then
}

const (
	// urgencyEvery is how often a worker looks.
	urgencyEvery = 500 * time.Millisecond
	// Shares of the time of a processor. Between those of each pair nothing changes, so
	// that it does not change all the time.
	idleBelow, busyFrom = 0.05, 0.10
	roomUntil, fullFrom = 0.85, 0.92
)

// wanted says whether a worker that uses so much of a processor should be urgent.
func (u *urgency) wanted(share float64) bool {
	if u.on {
		return share >= idleBelow && share < fullFrom
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
func (u *urgency) end() {
	if u.on && setUrgent(false) == nil {
		u.on = false
	}
}

// look is called in each turn. It says whether anything changed.
func (u *urgency) look(now time.Duration) (changed bool) {
	passed := now - u.at
	if passed < urgencyEvery || !u.allowed {
		return false
	}
	used := threadTime()
	want := u.wanted(float64(used-u.used) / float64(passed))
	u.at, u.used = now, used
	if want == u.on || setUrgent(want) != nil { // it was allowed; if it is no longer, all stays as it is
		return false
	}
	u.on = want
	return true
}
