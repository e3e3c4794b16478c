package journal

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SyncAll asks for syncfs(2). Since Linux 5.8 it reports what could not be written.
func (OS) SyncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return errors.Join(fmt.Errorf("sync the file system of %s: %w", dir, os.NewSyscallError("syncfs", err)), d.Close())
	}
	return d.Close()
}
