//go:build linux && !amd64 && !arm64

package uring

import (
	"errors"
	"time"
)

// Ring is an io_uring. What is written to its memory has been thought through for
// little-endian systems of 64 bits only.
type Ring struct{ queued uint32 }

// Result is what became of what was asked for.
type Result struct {
	UserData uint64
	Res      int32
	Flags    uint32
}

// As of the ring that there is elsewhere.
const (
	HasBuffer = 1
	More      = 2
	MostSeats = 0
)

// New says that there is no ring. The other methods are never called.
func New(int) (*Ring, error)                  { return nil, errors.ErrUnsupported }
func (*Ring) Enable() error                   { return errors.ErrUnsupported }
func (*Ring) SetFile(int32, int32) error      { return errors.ErrUnsupported }
func (*Ring) Submit()                         {}
func (*Ring) Enter(time.Duration, bool) error { return errors.ErrUnsupported }
func (*Ring) Receive(int32, uint64) bool      { return false }
func (*Ring) Send(int32, []byte, uint64) bool { return false }
func (*Ring) Watch(int, uint64) bool          { return false }
func (*Ring) Cancel(uint64) error             { return errors.ErrUnsupported }
func (*Ring) Take() (Result, bool)            { return Result{}, false }
func (*Ring) Ready() int                      { return 0 }
func (*Ring) Waiting(func(*Result))           {}
func (*Ring) Bytes(*Result) []byte            { return nil }
func (*Ring) Holds([]byte) (int, bool)        { return 0, false }
func (*Ring) At(int, int) []byte              { return nil }
func (*Ring) Peek(*Result) []byte             { return nil }
func (*Ring) Recycle()                        {}
func (*Ring) Close() error                    { return nil }
