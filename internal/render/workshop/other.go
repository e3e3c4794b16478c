//go:build !unix

package workshop

import (
	"context"
	"errors"
	"os"
	"time"
)

// supported: open files cannot be handed to another process.
const supported = false

// errNotStarted means that there is no process to give an order to.
var errNotStarted = errors.New("start a process that makes files")

// helper is a process that makes files. There is none here.
type helper struct {
	done func()
	rest *time.Timer
}

func start([]string) (*helper, error) { return nil, errors.ErrUnsupported }

func (*helper) greet(context.Context) error { return errors.ErrUnsupported }

func (*helper) make(context.Context, *Order, *os.File) (Result, error) {
	return Result{}, errors.ErrUnsupported
}

func (*helper) watch()      {}
func (*helper) kill()       {}
func (*helper) ended() bool { return true }

// Serve is for systems on which a Crew starts processes.
func Serve() error { return errors.ErrUnsupported }

// Program is the file of this program, to be started again.
func Program() (string, error) { return os.Executable() }
