//go:build !linux

package calltest

import "syscall"

// endsWithParent would let a child end with the test process; only Linux can.
func endsWithParent() *syscall.SysProcAttr { return nil }
