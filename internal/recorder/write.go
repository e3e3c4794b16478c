package recorder

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"tapedeck/internal/journal"
)

// restateEvery is how often the header and the control entries so far are
// written again, so that one bad block never makes the others useless.
const restateEvery = time.Minute

// maxBackoff is the longest wait between two tries to write.
const maxBackoff = 2 * time.Second

// writing is the state of a capture that only the writer touches.
type writing struct {
	called   atomic.Bool // on the writer's list of errands
	w        *journal.Writer
	queue    []journal.Block // detached, not written yet
	appends  int
	restated time.Duration

	failing bool          // the last write failed
	since   time.Duration // first failure in a row
	next    time.Duration // when to try again
	backoff time.Duration
}

// write is the writer goroutine: it takes blocks from the captures and appends
// them to the journals.
func (r *Recorder) write(stop <-chan struct{}) {
	runtime.LockOSThread() // it is looked how long the thread waits for a processor
	defer runtime.UnlockOSThread()
	var w waits
	defer w.close()
	tick := time.NewTicker(max(r.o.FlushEvery/shares, time.Millisecond))
	defer tick.Stop()
	var captures []*Capture
	for round := uint32(0); ; {
		select {
		case <-tick.C:
			r.served.Store(w.served())
			captures = r.list(captures)
			for _, c := range captures {
				if c.share == round%shares {
					r.flush(c, true, false)
				}
			}
			round++
		case <-r.toWrite.some:
			captures = r.toWrite.take(captures)
			for _, c := range captures {
				c.writing.called.Store(false)
				r.flush(c, false, false)
			}
		case <-stop:
			captures = r.list(captures)
			for _, c := range captures {
				r.flush(c, true, true)
			}
			return
		}
		clear(captures)
	}
}

// shares is into how many parts a round of the writer is divided: what a thousand
// calls said is written little by little, not in one burst that keeps packets waiting.
const shares = 16

// flush writes what a capture has ready. When the recorder goes down (last), a
// capture that was not stopped ends as a failed one.
func (r *Recorder) flush(c *Capture, all, last bool) {
	if c.drained.Load() {
		return
	}
	w := &c.writing
	if reason := c.failure.Load(); reason != nil { // the syncer gave up
		r.abandon(c, *reason)
		return
	}
	if w.w == nil && !r.create(c) {
		return
	}
	queue, packets, ended := c.detach(w.queue, all)
	w.queue = queue
	r.metrics.packets.Add(float64(packets))
	if w.failing && r.o.Now() < w.next && !last {
		return
	}
	if err := r.append(c); err != nil {
		r.metrics.writeErrors.Inc()
		if r.delay(c, err); last {
			r.abandon(c, err)
		}
		return
	}
	if w.failing {
		w.failing = false
		r.troubled.Add(-1)
		r.o.Logger.Info("journal is written again", "recording", c.spec.Recording)
	}
	switch {
	case ended:
		c.drained.Store(true)
		r.toSync.add(c, &c.syncing.called)
	case last:
		r.abandon(c, ErrClosed)
	}
}

// create makes the journal. A file that cannot be made is a failure at once:
// the one who asked still waits for Opened.
func (r *Recorder) create(c *Capture) bool {
	s := &c.spec
	w, err := journal.Create(c.path, journal.Header{
		Recording: string(s.Recording), Workspace: string(s.Workspace), Channel: string(s.Channel), Call: string(s.Call),
		Stereo: s.Stereo, MaxLength: s.MaxLength, SampleRate: s.SampleRate, Masked: r.o.MaskDigits, Wall: s.Wall, Start: c.start,
	}, r.o.Files)
	if err != nil {
		r.metrics.writeErrors.Inc()
		r.abandon(c, err)
		return false
	}
	c.writing.w = w
	c.created.Store(true)
	c.dirty.Store(true)
	r.toSync.add(c, &c.syncing.called)
	return true
}

// append writes the queue, block by block; what was written leaves it.
func (r *Recorder) append(c *Capture) error {
	w := &c.writing
	if len(w.queue) == 0 {
		return nil
	}
	if err := r.restate(c); err != nil {
		return err
	}
	for i := range w.queue {
		b := &w.queue[i]
		began, size := time.Now(), b.Len()
		if err := w.w.Append(b); err != nil {
			w.queue = append(w.queue[:0], w.queue[i:]...)
			return err
		}
		r.metrics.flush.Observe(time.Since(began).Seconds())
		r.metrics.written.Add(float64(size))
		c.dirty.Store(true)
		w.appends++
		r.wrote.Store(int64(r.o.Now()))
		r.release(b)
	}
	clear(w.queue)
	w.queue = w.queue[:0]
	return nil
}

// restate writes header and control entries again when it is time: after the
// first block, then once a minute.
func (r *Recorder) restate(c *Capture) error {
	w := &c.writing
	now := r.o.Now()
	if w.appends == 0 || w.restated != 0 && now-w.restated < restateEvery {
		return nil
	}
	b := c.restated()
	if b.None() {
		return nil
	}
	defer r.release(&b)
	if err := w.w.Restate(); err != nil {
		return err
	}
	if err := w.w.Append(&b); err != nil {
		return err
	}
	w.restated = max(now, 1)
	return nil
}

// delay plans the next try after a failed write, and gives the capture up when
// there were tries for long enough.
func (r *Recorder) delay(c *Capture, err error) {
	w := &c.writing
	now := r.o.Now()
	if !w.failing {
		w.failing, w.since, w.backoff = true, now, r.o.FlushEvery
		r.troubled.Add(1)
		r.o.Logger.Warn("journal cannot be written, trying again", "recording", c.spec.Recording, "error", err)
	} else {
		w.backoff = min(2*w.backoff, max(maxBackoff, r.o.FlushEvery))
	}
	w.next = now + w.backoff
	if now-w.since >= r.o.RetryFor {
		r.abandon(c, err)
	}
}

// abandon ends a capture that cannot be written any more. The syncer closes the
// file, with everything on it kept, and tells the owner.
func (r *Recorder) abandon(c *Capture, err error) {
	if c.drained.Load() {
		return
	}
	c.kill()
	w := &c.writing
	queue, _, _ := c.detach(w.queue, true)
	for i := range queue {
		r.release(&queue[i])
	}
	w.queue = nil
	if w.failing {
		w.failing = false
		r.troubled.Add(-1)
	}
	if !errors.Is(err, ErrClosed) {
		r.metrics.failed.Inc()
		r.o.Logger.Error("recording failed", "recording", c.spec.Recording, "path", c.path, "error", err)
	}
	reason := failed(err)
	c.failure.Store(&reason)
	c.drained.Store(true)
	r.toSync.add(c, &c.syncing.called)
}

// failed makes the error that the owner gets.
func failed(err error) error {
	if errors.Is(err, ErrFailed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}
