package recorder

import (
	"sync"
	"sync/atomic"
	"time"
)

// parallelSyncs is how many fsyncs run at once: file systems commit such a
// group together.
const parallelSyncs = 8

// errandPace is the least time from one round to the next that is made for single
// journals: those that are made or finished meanwhile are made safe together. Alone, a
// journal does not wait. It is ours: at 100 recordings a second these are eight.
const errandPace = 40 * time.Millisecond

// syncing is the state of a capture that only the syncer touches.
type syncing struct {
	called  atomic.Bool // on the syncer's list of errands
	opened  bool
	final   bool          // drained before this round's fsync, so that it is the last
	err     error         // of the last fsync
	closed  bool          // nothing is to be done any more
	failing bool          // the last fsync failed
	since   time.Duration // first failure in a row
}

// sync is the syncer goroutine: it makes safe what the writer wrote, once per
// period for all, and soon for files that were made or are finished. It is
// the only one that closes files and calls Notify.
func (r *Recorder) sync(stop <-chan struct{}) {
	tick := time.NewTicker(r.o.SyncEvery)
	defer tick.Stop()
	var captures, due []*Capture
	some := r.toSync.some // nil while errands gather
	var round time.Time   // when the last one began
	gathered := time.NewTimer(errandPace)
	defer gathered.Stop()
	for {
		all, last := true, false
		select {
		case <-tick.C:
			if err := r.lookAtDisk(); err != nil {
				r.o.Logger.Warn("free space is not known", "error", err)
			}
			captures = r.list(captures)
		case <-some:
			if left := errandPace - time.Since(round); left > 0 {
				gathered.Reset(left)
				some = nil
				continue
			}
			all = false
			captures = r.toSync.take(captures)
		case <-gathered.C:
			some, all = r.toSync.some, false
			captures = r.toSync.take(captures)
		case <-stop:
			last = true
			captures = r.list(captures)
		}
		round = time.Now()
		due = r.round(captures, due[:0], all, last)
		clear(captures)
		clear(due)
		if last {
			return
		}
	}
}

// round makes safe what is new in the captures: in all that there are, or in those
// that have an errand. It returns those that it was about.
func (r *Recorder) round(captures, due []*Capture, all, last bool) []*Capture {
	for _, c := range captures {
		if !all {
			c.syncing.called.Store(false)
		}
		// The writer says that a capture is drained, and then that there is an errand:
		// a round of all in between has closed it before the errand comes.
		if c.syncing.closed {
			continue
		}
		// Looked at before the fsync: what is drained during it is not in it.
		c.syncing.final = c.drained.Load()
		if c.syncing.final || c.created.Load() && (!c.syncing.opened || all && c.dirty.Load()) {
			due = append(due, c)
		}
		r.tellLost(c)
	}
	r.syncAll(due)
	for _, c := range due {
		r.settle(c, last)
	}
	return due
}

// syncAll fsyncs the journals that have something new, and the directory when a
// journal is new.
func (r *Recorder) syncAll(due []*Capture) {
	began := time.Now()
	if together, ok := r.syncTogether(due); together {
		r.metrics.sync.Observe(time.Since(began).Seconds())
		if ok {
			return
		}
	}
	made, synced, start := false, 0, r.o.Now()
	limit := make(chan struct{}, parallelSyncs) // a token per running fsync
	var group sync.WaitGroup
	for _, c := range due {
		c.syncing.err = nil
		if !c.created.Load() {
			continue
		}
		made = made || !c.syncing.opened
		// Cleared before the fsync: what the writer adds meanwhile is for the next.
		if !c.dirty.Swap(false) {
			continue
		}
		synced++
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			c.syncing.err = c.writing.w.Sync()
		})
	}
	group.Wait()
	r.grouping.tookAlone(r.o.Now()-start, synced)
	if made {
		r.syncDir(due)
	}
	if synced > 0 {
		r.metrics.sync.Observe(time.Since(began).Seconds())
	}
}

// syncTogether makes everything safe at once when it is worth it, new names too.
// When that fails, each journal has to show by itself whether it is safe.
func (r *Recorder) syncTogether(due []*Capture) (tried, ok bool) {
	began := r.o.Now()
	dirty := r.mixed[:0]
	for _, c := range due {
		if c.created.Load() && c.dirty.Load() {
			dirty = append(dirty, c)
		}
	}
	defer clear(dirty)
	r.mixed = dirty
	if !r.grouping.one(began, len(dirty)) {
		return false, false
	}
	for _, c := range dirty {
		// Cleared before the call: what the writer adds meanwhile is for the next.
		c.dirty.Store(false)
	}
	err := r.o.Files.SyncAll(r.o.Dir)
	now := r.o.Now()
	r.grouping.tookTogether(now, now-began)
	for _, c := range due {
		c.syncing.err = nil
	}
	if err != nil {
		for _, c := range dirty {
			c.dirty.Store(true)
		}
	}
	return true, err == nil
}

func (r *Recorder) syncDir(due []*Capture) {
	err := r.o.Files.SyncDir(r.o.Dir)
	for _, c := range due {
		if c.created.Load() && !c.syncing.opened && c.syncing.err == nil {
			c.syncing.err = err
		}
	}
}

// settle draws the conclusions of a round for one capture.
func (r *Recorder) settle(c *Capture, last bool) {
	s := &c.syncing
	if s.err != nil {
		c.dirty.Store(true)
		r.metrics.writeErrors.Inc()
		if !r.giveUp(c, last) {
			return
		}
	} else {
		s.failing = false
		if c.created.Load() && !s.opened {
			s.opened = true
			if c.failure.Load() == nil {
				c.spec.Notify(Event{Kind: Opened, Path: c.path})
			}
		}
	}
	if !s.final {
		return
	}
	r.forget(c)
	r.close(c)
}

// giveUp says whether a journal that cannot be fsynced was tried long enough.
// If so, the capture fails; while the writer still has it, through the writer.
func (r *Recorder) giveUp(c *Capture, last bool) bool {
	s := &c.syncing
	now := r.o.Now()
	if !s.failing {
		s.failing, s.since = true, now
		r.o.Logger.Warn("journal cannot be fsynced, trying again", "recording", c.spec.Recording, "error", s.err)
	}
	// A journal that was never safe fails at once: its owner waits for Opened.
	if s.opened && now-s.since < r.o.RetryFor && !last && c.failure.Load() == nil {
		return false
	}
	err := failed(s.err)
	c.failure.CompareAndSwap(nil, &err)
	if !s.final {
		r.toWrite.add(c, &c.writing.called)
	}
	return s.final
}

// close closes the file of a drained capture and tells its owner, last of all.
func (r *Recorder) close(c *Capture) {
	c.syncing.closed = true
	var err error
	if c.created.Load() {
		err = c.writing.w.Close()
	}
	r.tellLost(c)
	if reason := c.failure.Load(); reason != nil {
		c.spec.Notify(Event{Kind: Failed, Path: c.path, Err: *reason})
		return
	}
	if err != nil {
		c.spec.Notify(Event{Kind: Failed, Path: c.path, Err: err})
		return
	}
	c.spec.Notify(Event{Kind: Closed, Path: c.path})
}

// tellLost raises the alarm for packets that there was no memory for.
func (r *Recorder) tellLost(c *Capture) {
	lost := c.untold.Swap(0)
	if lost == 0 {
		return
	}
	r.o.Logger.Warn("packets were not recorded, the disk is too slow", "recording", c.spec.Recording, "packets", lost)
	c.spec.Notify(Event{Kind: Overflow, Path: c.path, Lost: lost})
}
