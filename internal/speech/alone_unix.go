//go:build unix

package speech

import (
	"os/exec"
	"syscall"
)

// alone gives a program a process group of its own: an interrupt that is meant for us
// does not reach it, and what it starts is killed with it.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
