//go:build !linux

package recorder

import "time"

// threadWaits: this system does not tell.
type threadWaits struct{}

func (threadWaits) open() bool { return false }

func (threadWaits) waited() (time.Duration, bool) { return 0, false }

func (threadWaits) close() {}
