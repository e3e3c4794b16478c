//go:build unix

package client

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the file for this download alone, or fails at once. The system
// gives it back when the file is closed, however this process ends.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
