//go:build unix

package workshop

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tapedeck/internal/render"
)

// progressEvery is how often the progress of an order is told.
const progressEvery = 100 * time.Millisecond

// Serve makes what the process that started this one orders, until that closes
// the socket or ends. It returns at once then, whatever it was making: the caller
// ends the process. An error says that this process was not started by a Crew, or
// that it was sent what is no order.
func Serve() error {
	l, err := lineOf(os.NewFile(socketFD, "workshop"))
	if err != nil {
		return err
	}
	// Who ends a service may tell all its processes to. This one ends with the server,
	// which may need it for the files of the calls that it ends.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	settle()
	return serve(l)
}

// task is an order as it came.
type task struct {
	order   *Order
	files   []*os.File // of the order, to be closed
	watched bool
}

// serve is Serve on a socket. What it reads it hands to the goroutine that works,
// so that the end of the socket is seen meanwhile.
func serve(l line) error {
	tasks, broken := make(chan task), make(chan error, 1)
	defer close(tasks)
	go func() { broken <- work(l, tasks) }()
	if err := l.send(answer{Ready: true}); err != nil {
		return err
	}
	for {
		var s sheet
		files, err := l.receive(&s)
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		o, err := s.read(files)
		if err != nil {
			return errors.Join(err, closeAll(files))
		}
		select {
		case tasks <- task{o, files, s.Watched}:
		case err := <-broken:
			return errors.Join(err, closeAll(files))
		}
	}
}

// gone reports whether an error says that the other side of the socket has ended.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// work does one task after the other, until there are no more or nobody takes the
// answer.
func work(l line, tasks <-chan task) error {
	desk := render.NewDesk()
	for t := range tasks {
		var deaf error
		if t.watched {
			var told time.Time
			t.order.Progress = func(done, total int64) {
				if now := time.Now(); total > 0 && deaf == nil && now.Sub(told) >= progressEvery {
					told, deaf = now, l.send(answer{Done: done, Total: total})
				}
			}
		}
		result, err := t.order.guarded(context.Background(), desk)
		if errors.Is(err, errPanic) {
			desk = render.NewDesk()
		}
		var a answer
		if err = errors.Join(err, closeAll(t.files)); err != nil {
			a.Fault = faultOf(err)
		} else {
			a.Result = &result
		}
		if err := errors.Join(deaf, l.send(a)); err != nil {
			return err
		}
	}
	return nil
}
