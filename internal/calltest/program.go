package calltest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/server"
	"tapedeck/internal/testkit"
)

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// Build builds the program as the test itself was built: with the race
// detector if it has it. It returns the path.
func Build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tapedeck")
	args := []string{"build", "-buildvcs=false", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./cmd/tapedeck")...)
	cmd.Dir = testkit.Root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Program is a running "tapedeck serve".
type Program struct {
	server.Bootstrap
	server.Ready
	Data string

	binary string
	args   []string
	client *http.Client
	cmd    *exec.Cmd
	log    *os.File
	exited chan error // sent to once, by the goroutine that waits for the process
}

// Serve starts the binary on free ports, in a directory of its own.
func Serve(t testing.TB, binary string, args ...string) *Program {
	t.Helper()
	p := &Program{
		Data: filepath.Join(t.TempDir(), "data"), binary: binary,
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}},
		args:   append([]string{"--http", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--drain-timeout", "10s"}, args...),
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "serve.log"))
	if err != nil {
		t.Fatal(err)
	}
	p.log = log
	t.Cleanup(func() {
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("log of the server (%v):\n%s", err, text)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	p.start(t)
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		if p.cmd != nil {
			p.Stop(t)
		}
	})
	return p
}

// start runs the program until it says that it is ready.
func (p *Program) start(t testing.TB) {
	t.Helper()
	// Ended by Stop or Kill, which a cleanup calls: the test's context ends before it.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), p.binary, append([]string{"serve", "--data", p.Data}, p.args...)...)
	cmd.Stderr = p.log
	cmd.SysProcAttr = endsWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server said nothing and ended: %v, %v", err, cmd.Wait())
	}
	if err := json.Unmarshal(line, &p.Ready); err != nil || p.Ready.Event != "ready" {
		t.Fatalf("the server's first line is %q: %v", line, err)
	}
	if p.Bootstrap, err = server.ReadBootstrap(p.Data); err != nil {
		t.Fatal(err)
	}
	p.cmd, p.exited = cmd, make(chan error, 1)
	go func() { p.exited <- cmd.Wait() }()
}

// PID is the server's process id.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Stop ends the server in good order: SIGTERM, exit status 0.
func (p *Program) Stop(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if err := testkit.Receive(t, 30*time.Second, p.exited); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	p.cmd = nil
}

// Kill ends the server as a power cut would, and returns when.
func (p *Program) Kill(t testing.TB) time.Time {
	t.Helper()
	at := time.Now()
	p.signal(t, syscall.SIGKILL)
	testkit.Receive(t, patience, p.exited)
	p.cmd = nil
	return at
}

// Restart starts the server again on its directory.
func (p *Program) Restart(t testing.TB) {
	t.Helper()
	p.start(t)
}

func (p *Program) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal the server: %v", err)
	}
}

// FailToServe starts a server that must not start, and returns what it says on
// standard error. It is given free ports and a directory unless args say others.
func FailToServe(t testing.TB, binary string, args ...string) string {
	t.Helper()
	all := []string{"serve", "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}
	cmd := exec.CommandContext(t.Context(), binary, append(all, args...)...)
	var said, out strings.Builder
	cmd.Stderr, cmd.Stdout = &said, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || out.Len() > 0 {
		t.Fatalf("the server ended with %v and printed %q", err, &out)
	}
	return said.String()
}

// run runs a program that must succeed.
func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}
