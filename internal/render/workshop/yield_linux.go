package workshop

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// name is what ps calls a process that makes files.
const name = "tapedeck-files"

// yield lets every other thread of the machine go before the thread, and those
// that it starts from now on. Where it is refused the work is done all the same.
// The priority of what it reads and writes follows from it (ioprio_set(2)).
func yield(thread int) {
	_ = unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
}

// settle makes this process one that yields: to other processes all its threads, and
// to the server itself the memory, where there is not enough.
func settle() {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	// Twice, because one may be made meanwhile by one that does not yield yet.
	for range 2 {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, e := range list {
			if id, err := strconv.Atoi(e.Name()); err == nil {
				yield(id)
			}
		}
	}
}

// Program is the file of this program, to be started again: the very one that
// runs, also when another version has been installed in its place.
func Program() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		return "", fmt.Errorf("find the file of this program: %w", err)
	}
	return self, nil
}
