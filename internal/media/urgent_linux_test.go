package media

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/testkit"
)

// TestUrgencyOfAThread: a thread that is busy goes before ordinary ones where the system
// allows that, and steps back when it fills its processor, or does nothing.
func TestUrgencyOfAThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	policy := func() uint32 {
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.Policy
	}
	var u urgency
	err := u.begin(0)
	if got := policy(); got != unix.SCHED_NORMAL {
		t.Fatalf("policy %d before anything was to be done", got)
	}
	// The share is that of the time that is said to have passed.
	at := func(share float64) {
		used := threadTime()
		u.used = used - time.Duration(share*float64(urgencyEvery))
		u.look(u.at + urgencyEvery)
	}
	busy := uint32(unix.SCHED_RR)
	if err != nil {
		busy = unix.SCHED_NORMAL
		t.Logf("not allowed here: %v", err)
	}
	for _, c := range []struct {
		share float64
		want  uint32
	}{{0.01, unix.SCHED_NORMAL}, {0.5, busy}, {0.85, busy}, {0.99, unix.SCHED_NORMAL}, {0.6, busy}, {0, unix.SCHED_NORMAL}} {
		if at(c.share); policy() != c.want {
			t.Errorf("%.2f of a processor: policy %d, want %d", c.share, policy(), c.want)
		}
	}
}

// TestUrgentWorkersWaitInShortSteps, whatever there is to do: a wait without an end is one
// that the run-time has to know of.
func TestUrgentWorkersWaitInShortSteps(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	for name, n := range systemNetworks() {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // as a worker does
			defer runtime.UnlockOSThread()
			p, err := n.poller()
			if err != nil {
				t.Fatal(err)
			}
			p.urgent(true)
			nobody := func(*port, []datagram, uint32) { t.Error("a datagram from nowhere") }
			if err := errors.Join(p.wait(-1, nobody), p.wait(time.Hour, nobody), p.close()); err != nil {
				t.Error(err)
			}
		})
	}
}
