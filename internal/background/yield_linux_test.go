package background_test

import (
	"context"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLowPriority: the work runs on a thread that yields to the others, and no
// other thread is touched.
func TestLowPriority(t *testing.T) {
	p, _ := open(t, 1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The system call counts from 40 (nice -20) down to 1 (nice 19).
	mine, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Fatal(err)
	}
	theirs := 0
	err = p.Do(t.Context(), func(context.Context) (err error) {
		theirs, err = unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if theirs != min(mine, 10) {
		t.Errorf("the work has priority %d, ours is %d", theirs, mine)
	}
	if after, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err != nil || after != mine {
		t.Errorf("our own thread has priority %d now, it had %d (%v)", after, mine, err)
	}
}
