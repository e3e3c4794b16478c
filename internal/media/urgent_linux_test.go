package media

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/testkit"
)

// niceness that the threads of the tests are started with: it must be there afterwards.
const niceBefore = 3

// onThread runs a test on a thread of its own, which ends with it.
func onThread(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceBefore); err != nil {
			t.Errorf("setpriority: %v", err)
			return
		}
		test(t)
	}()
	<-done
}

// TestUrgencyOfAThread: a thread that is busy goes before ordinary ones where the system
// allows that, however much it has to do, and steps back when it does nothing.
func TestUrgencyOfAThread(t *testing.T) {
	onThread(t, func(t *testing.T) {
		var u urgency
		changesWith(t, &u, u.begin(0))
	})
}

// TestUrgencyByALimit: who may have a real-time priority only by RLIMIT_RTPRIO can step
// back, too. That is how a service is given it.
func TestUrgencyByALimit(t *testing.T) {
	limit := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_RTPRIO, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_RTPRIO, &limit); err != nil {
			t.Error(err)
		}
	}()
	raised := unix.Setrlimit(unix.RLIMIT_RTPRIO, &unix.Rlimit{Cur: urgentPriority, Max: max(limit.Max, urgentPriority)})
	onThread(t, func(t *testing.T) {
		if err := withoutCapabilities(); err != nil {
			t.Error(err)
			return
		}
		var u urgency
		err := u.begin(0)
		if raised == nil && err != nil {
			t.Errorf("the limit allows it, and yet: %v", err)
		}
		changesWith(t, &u, err)
	})
}

// withoutCapabilities takes them from the calling thread.
func withoutCapabilities() error {
	var none [2]unix.CapUserData
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
}

// changesWith lets a thread use shares of a processor, and looks at what it is then.
func changesWith(t *testing.T, u *urgency, refused error) {
	t.Helper()
	busy := uint32(unix.SCHED_RR)
	if refused != nil {
		busy = unix.SCHED_NORMAL
		t.Logf("not allowed here: %v", refused)
	}
	is := func(when string, want uint32) {
		t.Helper()
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err) // not the goroutine of the test
			return
		}
		if a.Policy != want || want == unix.SCHED_NORMAL && a.Nice != niceBefore {
			t.Errorf("%s: policy %d, nice %d, want %d, %d", when, a.Policy, a.Nice, want, niceBefore)
		}
	}
	is("before anything was to be done", unix.SCHED_NORMAL)
	for _, c := range []struct {
		share float64
		want  uint32
	}{
		{0.01, unix.SCHED_NORMAL}, {0.5, busy}, {0.85, busy}, {0.99, busy}, {0.99, busy}, {0.06, busy}, {0, unix.SCHED_NORMAL}, {0.4, busy},
	} {
		// The share is that of the time that is said to have passed.
		u.before = threadTime() - time.Duration(c.share*float64(urgencyEvery))
		u.look(u.decided+urgencyEvery, func() bool { return false })
		is(fmt.Sprintf("%.2f of a processor", c.share), c.want)
	}
	u.end()
	is("at the end", unix.SCHED_NORMAL)
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
			nobody := into(func(*port, []datagram, uint32) { t.Error("a datagram from nowhere") })
			if err := errors.Join(p.wait(-1, nobody), p.wait(time.Hour, nobody), p.close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWorkersRelent: while something is done for which they relent, a worker that goes
// first does so with packets, and not with commands.
func TestWorkersRelent(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	// The clock stands still, or the worker would look how busy it is.
	e, err := New(Options{PortFrom: 31000, PortTo: 31999, Workers: 2, RealTime: true, Now: func() time.Duration { return time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(t.Context()) }()
	// The first is busy, as far as it may be.
	busy, thread := false, 0
	if err := e.workers[0].do(func(w *worker) error {
		busy = w.urgent.allowed && w.urgent.set(true)
		thread = unix.Gettid()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	command := func(when string, first bool) {
		t.Helper()
		for i, w := range e.workers {
			if err := w.do(func(w *worker) error {
				if want := first && i == 0; w.urgent.on != want {
					t.Errorf("%s: worker %d runs a command before others: %t, want %t", when, i, w.urgent.on, want)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}
	// Otherwise it is as it was, as soon as the command is over.
	packets := func() {
		want := uint32(unix.SCHED_NORMAL)
		if busy {
			want = unix.SCHED_RR
		}
		eventually(t, func() bool {
			a, err := unix.SchedGetAttr(thread, 0)
			return err == nil && a.Policy == want
		})
	}
	command("before", busy)
	e.Relent(func() {
		command("meanwhile", false)
		packets()
		command("meanwhile, again", false)
	})
	if err := e.workers[0].do(func(*worker) error { return nil }); err != nil {
		t.Error(err) // it may be careful with what it was told together with the end
	}
	command("afterwards", busy)
	packets()
	if err := errors.Join(e.Close(), <-ended); err != nil {
		t.Error(err)
	}
	e.Relent(func() {}) // nobody is left to step back
}
