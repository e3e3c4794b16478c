//go:build !linux

package journal

import (
	"errors"
	"fmt"
)

// SyncAll is not to be had here.
func (OS) SyncAll(dir string) error {
	return fmt.Errorf("sync the file system of %s: %w", dir, errors.ErrUnsupported)
}
