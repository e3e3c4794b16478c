//go:build !linux

package background

// yield does nothing: threads have no priority of their own here, so that the
// number of pieces at once is all that protects the calls.
func yield() {}
