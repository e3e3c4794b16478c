package calltest

import "syscall"

// endsWithParent lets a child end when the test process does, however that ends.
func endsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
