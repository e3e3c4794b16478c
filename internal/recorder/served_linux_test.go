package recorder

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWhoWantsAProcessorIsServed: a thread that shares its core with others that always
// want it waits, and one that sleeps does not.
func TestWhoWantsAProcessorIsServed(t *testing.T) {
	head(t)
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	one := unix.CPUSet{}
	for core := range 1024 {
		if all.IsSet(core) {
			one.Set(core)
			break
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	busy := func() {
		runtime.LockOSThread() // for good: its core is its own matter
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Error(err)
		}
		for ctx.Err() == nil {
		}
	}
	for range 3 {
		others.Go(busy)
	}
	others.Go(func() {
		runtime.LockOSThread()
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Error(err)
		}
		var w waits
		defer w.close()
		w.served()
		if !w.known {
			t.Log("the system does not tell")
			stop()
			return
		}
		look := func(want bool, while func(time.Time)) {
			for w.served() != want {
				while(time.Now().Add(50 * time.Millisecond))
			}
		}
		look(false, func(until time.Time) {
			for time.Now().Before(until) {
			}
		})
		stop() // nobody wants the core any more
		look(true, func(until time.Time) {
			wait := time.NewTimer(time.Until(until))
			defer wait.Stop()
			<-wait.C
		})
	})
	others.Wait()
}
