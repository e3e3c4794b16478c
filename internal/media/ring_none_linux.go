//go:build linux && !amd64 && !arm64

package media

import (
	"errors"
	"time"
)

// ring is an io_uring. What is written to its memory has been thought through for
// little-endian systems of 64 bits only.
type ring struct{ queued uint32 }

type result struct {
	userData uint64
	res      int32
	flags    uint32
}

const (
	cqeBuffer = 1
	cqeMore   = 2
	mostSeats = 0
)

func newRing(int) (*ring, error)              { return nil, errors.ErrUnsupported }
func (*ring) enable() error                   { return errors.ErrUnsupported }
func (*ring) setFile(int32, int32) error      { return errors.ErrUnsupported }
func (*ring) submit()                         {}
func (*ring) enter(time.Duration, bool) error { return errors.ErrUnsupported }
func (*ring) receive(int32, uint64) bool      { return false }
func (*ring) send(int32, []byte, uint64) bool { return false }
func (*ring) watch(int, uint64) bool          { return false }
func (*ring) cancel(uint64) error             { return errors.ErrUnsupported }
func (*ring) take() (result, bool)            { return result{}, false }
func (*ring) ready() int                      { return 0 }
func (*ring) waiting(func(*result))           {}
func (*ring) bytes(*result) []byte            { return nil }
func (*ring) holds([]byte) (int, bool)        { return 0, false }
func (*ring) at(int, int) []byte              { return nil }
func (*ring) peek(*result) []byte             { return nil }
func (*ring) recycle()                        {}
func (*ring) close() error                    { return nil }
