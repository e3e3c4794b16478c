package bench

import (
	"bytes"
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

// goFirstOn keeps the calling thread on a core, before all media workers where that is
// allowed; where not, it is interrupted more.
func goFirstOn(core int) {
	_ = unix.SchedSetaffinity(0, set([]int{core}))
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 2, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}

// usage is what a process has used so far, and those that it started.
type usage struct {
	cpu    time.Duration // user and system
	others time.Duration // likewise, of the processes that it started
	rss    int64         // bytes, with those of these processes that are not the program's
}

// usageOf reads what a process uses, and those that it started, ended ones
// included.
func usageOf(pid int) (u usage, err error) {
	own, err := statOf(strconv.Itoa(pid))
	if err != nil {
		return u, err
	}
	u = usage{cpu: own.cpu, others: own.waited, rss: own.rss}
	list, err := os.ReadDir("/proc")
	if err != nil {
		return u, err
	}
	for _, e := range list {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		s, err := statOf(e.Name())
		if err == nil && s.parent == int64(pid) { // else it has just ended
			u.others += s.cpu + s.waited
			u.rss += s.rss - sharedBy(e.Name()) // the pages of the program are the server's, too
		}
	}
	return u, nil
}

// stat is what proc(5) says of one process.
type stat struct {
	parent      int64
	cpu, waited time.Duration // its own; of the processes that it has waited for
	rss         int64
}

func statOf(pid string) (s stat, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return s, err
	}
	// The name, in parentheses, may hold anything; what follows are numbers.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	at := []int{1, 11, 12, 13, 14, 21} // parent, utime, stime, cutime, cstime, rss: counted from the state
	n := make([]int64, len(at))
	for i, k := range at {
		if k >= len(f) {
			return s, fmt.Errorf("read what process %s uses: %w", pid, fs.ErrInvalid)
		}
		if n[i], err = strconv.ParseInt(f[k], 10, 64); err != nil {
			return s, fmt.Errorf("read what process %s uses: %w", pid, err)
		}
	}
	ticks := func(n int64) time.Duration { return time.Duration(n) * time.Second / userHz }
	return stat{parent: n[0], cpu: ticks(n[1] + n[2]), waited: ticks(n[3] + n[4]), rss: n[5] * int64(os.Getpagesize())}, nil
}

// sharedBy is how much of a process's resident memory is of files; 0 when it has ended.
func sharedBy(pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text)) // proc(5): size, resident, shared, in pages
	if len(f) < 3 {
		return 0
	}
	pages, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
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
