package testkit

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// fake records a failure instead of failing; Fatalf must end the goroutine, so
// it is used through fails.
type fake struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (f *fake) Helper()               {}
func (f *fake) Cleanup(fn func())     { f.cleanups = append(f.cleanups, fn) }
func (f *fake) Errorf(string, ...any) { f.failed = true }
func (f *fake) Fatalf(string, ...any) { f.failed = true; panic(f) }
func (f *fake) Name() string          { return "fake" }

// fails reports whether fn fails a test.
func fails(fn func(t testing.TB)) (failed bool) {
	f := &fake{}
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
		failed = f.failed
	}()
	fn(f)
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
	return f.failed
}

func TestEventually(t *testing.T) {
	looks := 0
	third := func() bool { looks++; return looks == 3 }
	never := func() bool { return false }
	if fails(func(t testing.TB) { Eventually(t, 10*time.Second, third) }) {
		t.Error("a condition that becomes true failed")
	}
	if !fails(func(t testing.TB) { Eventually(t, time.Millisecond, never) }) {
		t.Error("a condition that never becomes true did not fail")
	}
}

func TestReceive(t *testing.T) {
	full := make(chan int, 1)
	full <- 7
	if got := Receive(t, time.Second, full); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
	if !fails(func(t testing.TB) { Receive(t, time.Millisecond, full) }) {
		t.Error("an empty channel did not fail")
	}
	close(full)
	if !fails(func(t testing.TB) { Receive(t, time.Second, full) }) {
		t.Error("a closed channel did not fail")
	}
}

func TestNoLeaks(t *testing.T) {
	stop, done := make(chan struct{}), make(chan struct{})
	leak := func(t testing.TB) {
		NoLeaks(t)
		go func() { defer close(done); <-stop }()
	}
	if !fails(leak) {
		t.Error("a goroutine left behind did not fail")
	}
	close(stop)
	<-done
	if fails(func(t testing.TB) { NoLeaks(t) }) {
		t.Error("a test without goroutines failed")
	}
}

// TestTimeout runs itself as a child process that hangs.
func TestTimeout(t *testing.T) {
	const child = "TESTKIT_HANG"
	if os.Getenv(child) != "" {
		Timeout(t, 10*time.Millisecond)
		<-make(chan struct{})
	}
	Timeout(t, time.Minute)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTimeout$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the hanging test passed")
	}
	if text := string(out); !strings.Contains(text, "not finished after 10ms") || !strings.Contains(text, "goroutine ") {
		t.Errorf("the report lacks its name, its limit or the goroutines:\n%s", text)
	}
}

func TestPlaces(t *testing.T) {
	if _, err := os.Stat(Root(t) + "/go.mod"); err != nil {
		t.Error(err)
	}
	path := WriteFile(t, t.TempDir(), "a/b.txt", "text")
	if got, err := os.ReadFile(path); err != nil || string(got) != "text" {
		t.Errorf("read back %q, %v", got, err)
	}
}
