//go:build unix

package workshop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// errNotStarted means that there is no process to give an order to.
var errNotStarted = errors.New("start a process that makes files")

const (
	// socketFD is the descriptor of the socket in a process that was started: the
	// first after standard input, output and error.
	socketFD = 3
	// memoryLimit is where the run-time of a process begins to collect more often;
	// rendering takes less.
	memoryLimit = "48MiB"
	// maxSaid is how much of a process's last words is kept. The cause of a crash
	// comes first.
	maxSaid = 4 << 10
	// lastWords is how long a process has to end whose socket has.
	lastWords = 10 * time.Second
)

// helper is a process that makes files, seen from the server.
type helper struct {
	line
	cmd  *exec.Cmd
	said said
	done func()      // called when it may have another order
	rest *time.Timer // until it is dismissed; guarded by the Crew's mu

	once  sync.Once
	gone  chan struct{} // closed when the process has been waited for
	cause error         // how it ended; read after gone
}

// start starts a process.
func start(command []string) (*helper, error) {
	own, other, err := pair()
	if err != nil {
		return nil, err
	}
	h := &helper{line: own, gone: make(chan struct{})}
	// It is kept for other orders than the one that it is started for.
	h.cmd = exec.CommandContext(context.Background(), command[0], command[1:]...)
	h.cmd.ExtraFiles = []*os.File{other}
	h.cmd.Stderr = &h.said
	h.cmd.Env = environment(os.Environ())
	// An interrupt at the terminal is the server's to handle.
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = h.cmd.Start()
	if err == nil {
		// At once, so that its beginning is at low priority too. Serve does it again, for
		// the threads that were there already.
		yield(h.cmd.Process.Pid)
	}
	if errClose := other.Close(); err != nil {
		return nil, errors.Join(err, errClose, own.Close())
	}
	return h, nil
}

// environment is that of a process: what the system is like, but none of our
// settings, which have secrets among them.
func environment(own []string) []string {
	out := make([]string, 0, len(own)+2)
	for _, e := range own {
		if !strings.HasPrefix(e, "TAPEDECK_") {
			out = append(out, e)
		}
	}
	// It works on one thing at a time, on one thread.
	return append(out, "GOMAXPROCS=1", "GOMEMLIMIT="+memoryLimit)
}

// watch waits for the end of the process.
func (h *helper) watch() {
	h.cause = h.cmd.Wait()
	close(h.gone)
	h.kill()
}

// kill ends the process. It may be called again, and from any goroutine.
func (h *helper) kill() {
	h.once.Do(func() {
		_ = h.cmd.Process.Kill() // it may have ended
		_ = h.line.Close()       // likewise nothing that anybody could mend
	})
}

// ended reports whether the process has ended.
func (h *helper) ended() bool {
	select {
	case <-h.gone:
		return true
	default:
		return false
	}
}

// greet waits until the process says that it works.
func (h *helper) greet(ctx context.Context) error {
	defer context.AfterFunc(ctx, h.kill)()
	var a answer
	files, err := h.receive(&a)
	if err = errors.Join(err, closeAll(files)); err == nil && a.Ready {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("make a file: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", errNotStarted, h.end(err))
}

// make gives the process an order, and waits for the result.
func (h *helper) make(ctx context.Context, o *Order, source *os.File) (Result, error) {
	stop := context.AfterFunc(ctx, h.kill)
	defer stop()
	s, files := write(o, source)
	if err := h.send(s, files...); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrLost, h.end(err))
	}
	for {
		var a answer
		strange, err := h.receive(&a)
		if err = errors.Join(err, closeAll(strange)); err != nil {
			return Result{}, fmt.Errorf("%w: %w", ErrLost, h.end(err))
		}
		switch {
		case a.Fault != nil:
			h.done()
			return Result{}, a.Fault
		case a.Result != nil:
			h.done()
			return *a.Result, nil
		case a.Total > 0 && o.Progress != nil:
			o.Progress(a.Done, a.Total)
		default:
			return Result{}, fmt.Errorf("%w: %w", ErrLost, h.end(errors.New("it said what makes no sense")))
		}
	}
}

// end ends the process, waits for that, and says how it ended; err is how that
// showed.
func (h *helper) end(err error) error {
	left := gone(err) || h.ended() // whose end may have closed the socket before it was read
	if left {                      // it is about to end
		defer time.AfterFunc(lastWords, h.kill).Stop()
	} else {
		h.kill()
	}
	<-h.gone
	if left && h.cause != nil {
		err = h.cause // its status says more than that its socket ended
	}
	if text := h.said.String(); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// said keeps the beginning of what is written to it.
type said struct {
	mu   sync.Mutex // guards text: exec writes it
	text []byte
}

// Write never fails.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, b[:min(len(b), maxSaid-len(s.text))]...)
	return len(b), nil
}

// String is what was kept, without the space around it.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(string(s.text))
}
