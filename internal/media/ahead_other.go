//go:build !linux

package media

import "errors"

// threadID is not known here.
func threadID() int { return 0 }

// stepAhead takes n threads of workers. Threads have no priority of their own here.
func stepAhead(workers <-chan int, n int) error {
	for range n {
		<-workers
	}
	return errors.ErrUnsupported
}
