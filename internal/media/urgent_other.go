//go:build !linux

package media

import (
	"errors"
	"time"
)

// setUrgent is not known here.
func setUrgent(bool) error { return errors.ErrUnsupported }

func threadTime() time.Duration { return 0 }

func letOthers(time.Duration) {}
