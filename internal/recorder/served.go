package recorder

import "time"

// hungry is the part of the time that a thread waits for a processor from which on it lacks
// one. A thread that waits for a disk waits for no processor.
const hungry = 0.2

// waits looks how long a thread has waited for a processor.
type waits struct {
	thread       threadWaits
	at           time.Time
	before       time.Duration // had waited then
	known, asked bool
}

// served says whether the thread had a processor when it wanted one since it was asked
// last. False where it cannot be known. The thread itself asks.
func (w *waits) served() bool {
	if !w.asked {
		w.asked, w.known = true, w.thread.open()
	}
	if !w.known {
		return false
	}
	now := time.Now()
	waited, ok := w.thread.waited()
	passed, more := now.Sub(w.at), waited-w.before
	w.at, w.before = now, waited
	return ok && float64(more) < hungry*float64(passed)
}

func (w *waits) close() { w.thread.close() }
