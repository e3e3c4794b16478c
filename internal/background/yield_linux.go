package background

import "golang.org/x/sys/unix"

// niceness of a thread that works in the background: a tenth of the weight of an
// ordinary one. See the package comment for why it is not less.
const niceness = 10

// yield lowers the priority of the calling thread. On Linux a thread has one of
// its own (setpriority(2), "C library/kernel differences"). Where it is refused
// the work is done all the same.
func yield() {
	// The system call counts from 40 (nice -20) down to 1 (nice 19). Whose server is
	// low already does not want this to be higher.
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err == nil && now <= 20-niceness {
		return
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness)
}
