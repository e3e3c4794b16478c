package media

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// behind is the niceness of all threads but those of the workers: a third of their
// weight. A worker that has packets to relay is not kept waiting by a burst of new
// calls, a garbage collection or a thousand journals; and these still get a quarter
// of a processor that media alone would fill. Raising the workers instead would need
// a right (CAP_SYS_NICE) that a server does not have.
const behind = 5

// threadID is the calling thread.
func threadID() int { return unix.Gettid() }

// stepAhead takes n threads of workers, and lets all others of the process step
// behind them. Threads that are made later inherit it: the run-time does not make
// threads from one that a goroutine is locked to. On Linux a niceness belongs to a
// thread (setpriority(2), "C library/kernel differences").
func stepAhead(workers <-chan int, n int) error {
	first := make(map[int]bool, n)
	for range n {
		first[<-workers] = true
	}
	// Twice: a thread may have been made meanwhile by one that was not moved yet.
	for range 2 {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list the threads of this process: %w", err)
		}
		for _, e := range list {
			id, err := strconv.Atoi(e.Name())
			if err != nil || first[id] {
				continue
			}
			if err := step(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// step lowers a thread that is not lower already, and has not ended.
func step(id int) error {
	// The system call returns 20 - niceness.
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, id)
	if err == nil && 20-raw < behind {
		err = unix.Setpriority(unix.PRIO_PROCESS, id, behind)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return os.NewSyscallError("setpriority", err)
	}
	return nil
}
