package testkit

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// Timeout ends the test process when the test and its cleanups have not
// finished within d, after it printed the stack of every goroutine. The
// process has to end, because a test that hangs cannot be made to return: only
// its own goroutine may fail it.
//
// Call it first in a test: what is registered first is cleaned up last, so
// the limit also covers the cleanups registered after it.
func Timeout(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.AfterFunc(d, func() { expire(t.Name(), d) })
	t.Cleanup(func() { timer.Stop() })
}

// expire reports the hang and leaves.
func expire(name string, d time.Duration) {
	fmt.Fprintf(os.Stderr, "--- FAIL: %s: not finished after %s; goroutines:\n\n%s\n", name, d, stacks())
	os.Exit(1)
}

// stacks returns the stacks of all goroutines, whatever their size.
func stacks() []byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return buf[:n]
		}
	}
}
