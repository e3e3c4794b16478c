package recorder

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// threadWaits reads what the kernel's scheduler says of a thread (Linux,
// Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat).
type threadWaits struct {
	file *os.File
	buf  [96]byte // three numbers of 64 bits
}

// open is for the calling thread. It says whether the system tells.
func (t *threadWaits) open() bool {
	f, err := os.Open("/proc/thread-self/schedstat")
	if err != nil {
		return false // an old kernel, or one that hides it
	}
	t.file = f
	return true
}

// waited is how long the thread was ready to run and did not, so far.
func (t *threadWaits) waited() (time.Duration, bool) {
	n, _ := t.file.ReadAt(t.buf[:], 0) // it ends before the buffer does
	fields := bytes.Fields(t.buf[:n])
	if len(fields) < 2 {
		return 0, false
	}
	ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return time.Duration(ns), err == nil
}

func (t *threadWaits) close() {
	if t.file != nil {
		_ = t.file.Close() // nothing was written to it
	}
}
