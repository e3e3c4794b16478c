package workshop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"tapedeck/internal/blob"
	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// Order is a file to be made, or to be looked through. Its kind is told by what
// it has: a journal to be rendered; a source to be converted, when there is a
// format; peaks to be made of the source, when there is a file for them; else the
// source is summed.
type Order struct {
	// Journal is the path of the journal that is rendered; empty = a source is used.
	Journal string
	// Layout says how a journal is rendered; its Peaks, Progress and Desk are not
	// looked at.
	Layout render.Layout
	// Source is read to its end: a WAV file at its start, or anything to be summed.
	Source io.Reader
	// Out takes the file; nil = nobody wants a rendered one. Nothing is closed.
	Out *os.File
	// Peaks takes the peaks of a journal, or of the source; nil = nobody draws it.
	Peaks *os.File
	// Format is what the source is converted to; empty = it is not.
	Format voice.AudioFormat
	// Progress is called now and then, by the goroutine that calls Make; nil =
	// nobody looks.
	Progress func(done, total int64)
}

// Result is what came of an order.
type Result struct {
	Receipt render.Receipt // of a journal that was rendered; File says what is in Out
	Size    int64          // bytes of a source that was summed
	SHA256  string         // of it, hexadecimal
}

// Here makes files in this process, on the goroutine that calls. The zero value
// is ready; its methods may be called from any goroutine.
type Here struct {
	mu   sync.Mutex // guards free; held for nanoseconds
	free []*render.Desk
}

// Make does what is ordered. Errors wrap what package render, journal, wav or the
// operating system say. What is in the order's files after one is of no use.
func (h *Here) Make(ctx context.Context, o *Order) (Result, error) {
	desk := h.take()
	defer h.giveBack(desk)
	return o.make(ctx, desk)
}

// take returns a desk on which nobody renders. There are never more than orders
// were made at once.
func (h *Here) take() *render.Desk {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := len(h.free) - 1
	if k < 0 {
		return render.NewDesk()
	}
	out := h.free[k]
	h.free = h.free[:k]
	return out
}

func (h *Here) giveBack(desk *render.Desk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = append(h.free, desk)
}

// ErrJournal means that a journal cannot be opened; the error that wraps it says
// why.
var ErrJournal = errors.New("open journal")

// make does the work.
func (o *Order) make(ctx context.Context, desk *render.Desk) (r Result, err error) {
	switch {
	case o.Journal != "":
		r.Receipt, err = o.render(ctx, desk)
	case o.Format != "":
		err = render.Convert(ctx, o.Source, o.Out, o.Format, o.Progress)
	case o.Peaks != nil:
		err = render.WAVPeaks(ctx, o.Source, o.Peaks)
	default:
		var info blob.Info
		info, err = blob.Sum(ctx, o.Source)
		r.Size, r.SHA256 = info.Size, info.SHA256
	}
	return r, err
}

// render makes the WAV file of a journal, as far as that goes.
func (o *Order) render(ctx context.Context, desk *render.Desk) (receipt render.Receipt, err error) {
	j, err := journal.OpenIn(o.Journal, desk.Window())
	if err != nil {
		return receipt, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	l := o.Layout
	l.Desk, l.Progress, l.Peaks = desk, o.Progress, nil
	if o.Peaks != nil {
		l.Peaks = o.Peaks
	}
	plan, err := render.Make(j, l)
	if err != nil {
		return receipt, err
	}
	if o.Out == nil {
		return plan.Write(ctx, nowhere{})
	}
	return plan.Write(ctx, o.Out)
}

// guarded is make in which a panic is an error.
func (o *Order) guarded(ctx context.Context, desk *render.Desk) (r Result, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, fault, debug.Stack())
		}
	}()
	return o.make(ctx, desk)
}

// errPanic means that the work broke off and left its desk as it was.
var errPanic = errors.New("panic while a file was made")

// nowhere takes a file that nobody wants.
type nowhere struct{}

// Write takes all.
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// Seek fails: a file whose length is known beforehand is written front to back.
func (nowhere) Seek(int64, int) (int64, error) { return 0, errors.ErrUnsupported }
