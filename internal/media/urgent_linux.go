package media

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The lowest real-time priority is above all ordinary threads, and below whoever was
// given a real one (sched(7)).
const urgentPriority = 1

// setUrgent gives the calling thread a real-time priority, or an ordinary one. The first
// needs CAP_SYS_NICE or a limit for it (RLIMIT_RTPRIO). Threads and programs that are
// started from this one do not have it.
func setUrgent(on bool) error {
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if on {
		a.Policy, a.Priority, a.Flags = unix.SCHED_RR, urgentPriority, unix.SCHED_FLAG_RESET_ON_FORK
	}
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, &a, 0))
}

// threadTime is how much time of a processor the calling thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil { // it cannot fail
		return 0
	}
	return time.Duration(t.Nano())
}
