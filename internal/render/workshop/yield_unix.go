//go:build unix && !linux

package workshop

import (
	"os"
	"syscall"
)

// niceness is the lowest priority that there is.
const niceness = 19

// yield lowers the priority of a process. Where that is refused the work is done
// all the same.
func yield(process int) { _ = syscall.Setpriority(syscall.PRIO_PROCESS, process, niceness) }

// settle makes this process one that yields.
func settle() { yield(0) }

// Program is the file of this program, to be started again.
func Program() (string, error) { return os.Executable() }
