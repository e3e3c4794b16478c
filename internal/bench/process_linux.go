package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userHz is the unit of CPU times in proc(5).
const userHz = 100

func set(cores []int) *unix.CPUSet {
	var s unix.CPUSet
	for _, c := range cores {
		s.Set(c)
	}
	return &s
}

// keepOn binds every thread of this process to the cores, those to come too, and
// returns what frees them.
func keepOn(cores []int) (free func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("bench: read the cores of this process: %w", err)
	}
	// One more than cores: the thread of the media keeps one for itself, and SIP must go on
	// beside it. Who of both has the core is for the kernel to say.
	procs := runtime.GOMAXPROCS(len(cores) + 1)
	free = func() error {
		runtime.GOMAXPROCS(procs)
		return bindThreads(&before)
	}
	if err := bindThreads(set(cores)); err != nil {
		return nil, errors.Join(fmt.Errorf("bench: keep the load on cores %v: %w", cores, err), free())
	}
	return free, nil
}

// bindThreads binds all threads; twice, because one may be made meanwhile by one
// that is not bound yet.
func bindThreads(to *unix.CPUSet) error {
	for range 2 {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, e := range list {
			id, err := strconv.Atoi(e.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(id, to); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// startOn starts a process on the cores. A child has the cores of the thread that
// makes it, so that its run-time knows from the start how many there are.
func startOn(cmd *exec.Cmd, cores []int) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the cores of this thread: %w", err)
	}
	if err := unix.SchedSetaffinity(0, set(cores)); err != nil {
		return fmt.Errorf("keep the server on cores %v: %w", cores, err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is ours to handle
	return cmd.Start()
}

// usage is what a process has used so far.
type usage struct {
	cpu time.Duration // user and system
	rss int64         // bytes
}

func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name, in parentheses, may hold anything; what follows are numbers.
	text := string(stat)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const utime, stime, rss = 11, 12, 21 // proc(5), counted from the state
	if len(f) <= rss {
		return u, fmt.Errorf("read what process %d uses: %w", pid, fs.ErrInvalid)
	}
	var n [3]int64
	for i, at := range []int{utime, stime, rss} {
		if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
			return u, fmt.Errorf("read what process %d uses: %w", pid, err)
		}
	}
	u.cpu = time.Duration(n[0]+n[1]) * time.Second / userHz
	u.rss = n[2] * int64(os.Getpagesize())
	return u, nil
}

// sizesOf reads the sizes of the server.
func sizesOf(ctx context.Context, pid int, http string) (s sizes, err error) {
	u, err := usageOf(pid)
	if err != nil {
		return s, err
	}
	s.rss = u.rss
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return s, err
	}
	s.descriptors = len(fds)
	if http != "" {
		s.goroutines, err = goroutinesOf(ctx, http)
	}
	return s, err
}

// coreTimesOf reads what cores did since the machine started.
func coreTimesOf(cores []int) (coreTimes, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return coreTimes{}, err
	}
	return parseCores(stat, cores)
}

func machine(o *Options) Machine {
	m := Machine{Go: runtime.Version(), ServerCores: o.ServerCores, LoadCores: o.LoadCores}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m // a name is missing, the figures are not
	}
	for line := range strings.Lines(string(info)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}
