package testkit

import (
	"testing"

	"go.uber.org/goleak"
)

// NoLeaks fails the test when a goroutine that was started during the test is
// still alive after the test and the cleanups registered after this call.
// Goroutines that were there before are not counted. A goroutine about to end
// is given a moment (goleak retries for about half a second).
//
// Do not use it in a test that runs in parallel with others: it cannot tell
// whose goroutines it sees.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("goroutines were left behind: %v", err)
		}
	})
}
