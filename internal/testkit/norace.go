//go:build !race

package testkit

// Race tells that the race detector is on. Then sync.Pool drops things on
// purpose, and what is spared with its help is allocated now and then.
const Race = false
