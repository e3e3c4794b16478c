package testkit

import (
	"testing"
	"time"
)

// pollEvery is short against anything a test waits for and long against the
// cost of looking.
const pollEvery = 2 * time.Millisecond

// Eventually waits until condition is true and fails the test at once when
// that takes longer than d. The condition is looked at immediately, then every
// 2 ms, and one last time when d is over, so a test that was not scheduled for
// a while does not fail although its condition holds. d is only the limit of a
// broken test: make it generous, a good test never waits for it.
//
// The condition is called on the caller's goroutine and may use t. Prefer a
// channel when the code under test offers one; inside a testing/synctest
// bubble use synctest.Wait.
func Eventually(t testing.TB, d time.Duration, condition func() bool) {
	t.Helper()
	if !poll(d, condition) {
		t.Fatalf("the condition did not become true within %s", d)
	}
}

// poll reports whether condition became true within d.
func poll(d time.Duration, condition func() bool) bool {
	if condition() {
		return true
	}
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if condition() {
				return true
			}
		case <-limit.C:
			return condition()
		}
	}
}

// Receive returns the next value of c and fails the test at once when none
// comes within d or when c is closed.
func Receive[T any](t testing.TB, d time.Duration, c <-chan T) T {
	t.Helper()
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatalf("the channel was closed, but a value was expected")
		}
		return v
	case <-limit.C:
		t.Fatalf("nothing was received within %s", d)
	}
	panic("unreachable: Fatalf does not return")
}
