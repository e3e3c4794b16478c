package media

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The lowest real-time priority is above all ordinary threads, and below whoever was
// given a real one (sched(7)).
const urgentPriority = 1

// setUrgent gives the calling thread a real-time priority, or the ordinary one that it had.
// The first needs CAP_SYS_NICE or a limit for it (RLIMIT_RTPRIO). Threads and programs that
// are started from this one do not have it; that stays so, because who has no more than the
// limit may not take it back.
func setUrgent(on bool) error {
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if on {
		a.Policy, a.Priority = unix.SCHED_RR, urgentPriority
		return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, &a, 0))
	}
	// The niceness is kept by a thread that has a real-time priority, and would be 0
	// again if it were not said. The system call returns 20 - niceness.
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return os.NewSyscallError("getpriority", err)
	}
	a.Nice = int32(20 - raw)
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, &a, 0))
}

// threadTime is how much time of a processor the calling thread has used. Raw, because an
// urgent thread must not come back from a call that the run-time knows of: see poller.urgent.
func threadTime() time.Duration {
	var t unix.Timespec
	// It cannot fail.
	_, _, _ = unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}

// letOthers keeps the calling thread off its processor for so long. Raw, as waits of an
// urgent worker are: a signal of the run-time ends it.
func letOthers(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
