// Package testkit is the header of Tapedeck's tests: a time limit that prints
// every goroutine, a check that no goroutine outlives the test, a wait for a
// condition, and temporary places.
//
// It is used as the first two lines of each engine test:
//
//	testkit.Timeout(t, 20*time.Second)
//	testkit.NoLeaks(t)
//
// Only tests import it. It imports nothing of Tapedeck, so that every package
// can use it whatever its floor. It owns one goroutine per Timeout, which ends
// with the test.
package testkit
