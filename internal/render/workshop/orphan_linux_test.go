package workshop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/testkit"
)

// ownerEnv makes this test the server that is killed.
const ownerEnv = "WORKSHOP_OWNER"

// TestOwnerKilled: a process ends when the one does that started it, however that
// ends, also in the middle of a file.
func TestOwnerKilled(t *testing.T) {
	if os.Getenv(ownerEnv) != "" {
		own(t)
	}
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwnerKilled$")
	cmd.Env = append(os.Environ(), ownerEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, errPID := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || errPID != nil {
		t.Fatalf("the owner said %q: %v", line, err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the owner ended with %v", err)
	}
	testkit.Eventually(t, patience, func() bool { return !runs(pid) })
}

// own has a file made that is never finished, and says by whom.
func own(t *testing.T) {
	c := crew(t, "good", Options{})
	endless(t.Context(), t, c)
	if _, err := fmt.Fprintln(os.Stdout, c.pid(t)); err != nil {
		t.Fatal(err)
	}
	select {} // it is killed
}

// runs reports whether a process is there, and no zombie that nobody waits for.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// TestYields: all threads of the process have the lowest priority, and it has
// nothing of ours but what it was given.
func TestYields(t *testing.T) {
	t.Setenv("TAPEDECK_SPEECH_SAY_KEY", "secret")
	c := crew(t, "good", Options{})
	if _, err := c.Make(t.Context(), &Order{Journal: call(t, time.Second), Out: file(t)}); err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d", c.pid(t))
	threads, err := filepath.Glob(proc + "/task/*")
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads %v: %v", threads, err)
	}
	for _, path := range threads {
		id, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err != nil || attr.Policy != unix.SCHED_IDLE {
			t.Errorf("thread %d: %+v, %v", id, attr, err)
		}
	}
	environ, err := os.ReadFile(proc + "/environ")
	if err != nil || strings.Contains(string(environ), "secret") || !strings.Contains(string(environ), "GOMAXPROCS=1") {
		t.Errorf("its environment is %q, %v", environ, err)
	}
	fds, err := filepath.Glob(proc + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err == nil && strings.Contains(to, t.Name()) {
			t.Errorf("descriptor %s is %s: it was of an order", filepath.Base(fd), to)
		}
	}
}
