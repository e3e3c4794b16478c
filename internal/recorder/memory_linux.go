package recorder

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reserve asks the system for memory beside the Go heap. It is empty, and takes room
// where it is written to.
func reserve(bytes int) ([]byte, error) {
	memory, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("recorder: reserve %d bytes: %w", bytes, err)
	}
	return memory, nil
}

// forget lets the system have whole pages of reserved memory until they are written to
// again.
func forget(memory []byte) {
	_ = unix.Madvise(memory, unix.MADV_DONTNEED) // then they stay, which is no fault
}

// giveBack ends what reserve began. Nobody may know the memory any more.
func giveBack(memory []byte) error {
	if err := unix.Munmap(memory); err != nil {
		return fmt.Errorf("recorder: give back memory: %w", err)
	}
	return nil
}
