//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// errSystem: what a process uses, and on which cores, is read from Linux.
var errSystem = errors.New("bench needs Linux: it binds processes to cores and reads what they use")

func keepOn([]int) (func() error, error) { return nil, errSystem }

func startOn(*exec.Cmd, []int) error { return errSystem }

func goFirstOn(int) {}

type usage struct {
	cpu, others time.Duration
	rss         int64
}

func usageOf(int) (usage, error) { return usage{}, errSystem }

func sizesOf(context.Context, int, string) (sizes, error) { return sizes{}, errSystem }

func coreTimesOf([]int) (coreTimes, error) { return coreTimes{}, errSystem }

func machine(o *Options) Machine {
	return Machine{Go: runtime.Version(), ServerCores: o.ServerCores, LoadCores: o.LoadCores}
}

// Relay is the bare relay loop that a server is compared with.
func Relay(*os.File, io.Writer) error { return errSystem }
