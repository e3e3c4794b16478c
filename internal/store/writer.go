package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
)

const (
	// maxBatch and maxHold bound a transaction, so that another process gets
	// its turn to write. The values are ours: 256 small writes take some 20 ms.
	maxBatch = 256
	maxHold  = 50 * time.Millisecond
	// pace is the least time from one transaction to the next when nobody waits for
	// it, only rows that are written again and again, and work in the background: each
	// costs an fsync, and of the states that gather meanwhile only the last is written. It
	// is as long as a call takes to be set up.
	pace = 25 * time.Millisecond
)

// The states of an op.
const (
	opWaiting int32 = iota
	opRunning
	opCancelled
)

// op is a function on its way through the writer.
type op struct {
	fn    func(*Tx) error
	done  func(error)
	row   *Row // that fn writes as a whole; nil = anything else
	soon  bool // nobody waits for it so that it could not wait a little
	seen  bool // run also when a later op of the row follows: others hear of its state
	then  bool // such a later op does follow
	state atomic.Int32
	err   error // what fn returned

	// by is the next op of the same row, which is run in the place of this one;
	// nil = this one is run.
	by *op
}

func (o *op) begin() bool  { return o.state.CompareAndSwap(opWaiting, opRunning) }
func (o *op) cancel() bool { return o.state.CompareAndSwap(opWaiting, opCancelled) }

// writer runs all writes of this process, one after the other. While one
// transaction is being synced, the next functions gather in the queue and
// become the next transaction (group commit).
type writer struct {
	db   *bun.DB
	path string

	mu      sync.Mutex // guards queue and closed; held for nanoseconds
	queue   []*op
	closed  bool
	arrived *sync.Cond // something was queued, or closed was set
	// urgent has room for one token, sent by add and stop when the next transaction
	// is waited for.
	urgent chan struct{}

	statements statements // run's

	finished chan struct{} // closed by run when it returns

	telling sync.Mutex    // guards told; held for nanoseconds
	told    chan struct{} // closed and made anew when events were committed

	functions, failed, transactions atomic.Uint64
}

func newWriter(db *bun.DB, path string, s statements) *writer {
	w := &writer{db: db, path: path, statements: s, urgent: make(chan struct{}, 1), finished: make(chan struct{}), told: make(chan struct{})}
	w.arrived = sync.NewCond(&w.mu)
	return w
}

// add queues an op. It reports false when the writer takes no more.
func (w *writer) add(o *op) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.queue = append(w.queue, o)
	w.arrived.Signal()
	if o.row == nil && !o.soon {
		w.hurry()
	}
	return true
}

func (w *writer) hurry() {
	select {
	case w.urgent <- struct{}{}:
	default:
	}
}

// stop lets the writer finish its queue and waits for it.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.arrived.Signal()
	w.hurry()
	w.mu.Unlock()
	<-w.finished
}

func (w *writer) stats() Stats {
	w.mu.Lock()
	n := len(w.queue)
	w.mu.Unlock()
	return Stats{
		Backlog: n, Functions: w.functions.Load(), Failed: w.failed.Load(),
		Transactions: w.transactions.Load(),
	}
}

// run writes until the writer is stopped and its queue is empty.
func (w *writer) run() {
	defer close(w.finished)
	var last time.Time
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		w.await()
		if left := pace - time.Since(last); left > 0 {
			wait.Reset(left)
			select {
			case <-wait.C:
			case <-w.urgent:
			}
		}
		queue := w.take()
		if queue == nil {
			return
		}
		last = time.Now()
		for len(queue) > 0 {
			n := w.transact(queue[:min(len(queue), maxBatch)])
			queue = queue[n:]
		}
	}
}

// await waits until there is something to do.
func (w *writer) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.arrived.Wait()
	}
}

// take returns all ops, or nil when it is over.
func (w *writer) take() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue = nil
	select {
	case <-w.urgent: // it is in the queue
	default:
	}
	return queue
}

// transact runs the first ops of the batch in one transaction, reports to each,
// and returns how many these were.
func (w *writer) transact(batch []*op) int {
	// No caller's context may reach a query here: SQLite answers an interrupted
	// write by rolling back the whole transaction, with everybody's work in it.
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		waiting := slices.DeleteFunc(slices.Clone(batch), func(o *op) bool { return !o.begin() })
		w.report(waiting, fmt.Errorf("begin: %w", err))
		return len(batch)
	}
	t := &Tx{ctx: ctx, db: tx, prepared: w.statements}
	ran, n, err := w.applyAll(t, batch)
	switch {
	case err != nil, len(ran) == 0:
		w.rollback(tx)
	case len(batch) == 1 && ran[0].err != nil:
		w.rollback(tx) // alone: there was no savepoint to go back to
	default:
		if err = tx.Commit(); err != nil {
			err = fmt.Errorf("commit: %w", err)
		} else {
			w.transactions.Add(1)
			if t.told {
				w.tell()
			}
		}
	}
	w.report(ran, err)
	return n
}

// tell wakes who waits for events.
func (w *writer) tell() {
	w.telling.Lock()
	defer w.telling.Unlock()
	close(w.told)
	w.told = make(chan struct{})
}

func (w *writer) nextTold() <-chan struct{} {
	w.telling.Lock()
	defer w.telling.Unlock()
	return w.told
}

// applyAll runs the ops of the batch until the transaction has taken long enough.
// It returns those that were begun, and how many of the batch these are, with those
// that were cancelled. An error means that the transaction is lost.
func (w *writer) applyAll(t *Tx, batch []*op) (ran []*op, n int, err error) {
	started := time.Now()
	ran = make([]*op, 0, len(batch))
	var rows []*op // that are next to each other
	for n < len(batch) && err == nil && time.Since(started) < maxHold {
		o := batch[n]
		n++
		if !o.begin() {
			continue
		}
		ran = append(ran, o)
		if o.row != nil {
			if before := o.row.last; before != nil && before.seen {
				before.then = true
			} else if before != nil {
				before.by = o
			}
			o.row.last = o
			rows = append(rows, o)
			continue
		}
		err = w.applyRows(t, rows, true)
		rows = rows[:0]
		if err == nil {
			err = w.apply(t, o, len(batch) > 1)
		}
	}
	if err == nil {
		err = w.applyRows(t, rows, len(batch) > 1)
	}
	return ran, n, err
}

// applyRows runs ops that write rows, of each row the last and those that are to be
// seen, in one savepoint: they can be run again. When one of them fails, each gets its
// own, and is written whole.
func (w *writer) applyRows(t *Tx, ops []*op, shared bool) error {
	var rows []*op
	for _, o := range ops {
		o.row.last = nil
		if o.by == nil {
			rows = append(rows, o)
		}
	}
	if len(rows) > 1 {
		if err := w.together(t, rows); err != nil || rows[0].err == nil {
			return err
		}
	}
	for _, o := range rows {
		if err := w.apply(t, o, shared); err != nil {
			return err
		}
	}
	return nil
}

// together runs ops in one savepoint. When one fails nothing is done, and all of them
// have its error. The error returned means that the transaction is lost.
func (w *writer) together(t *Tx, ops []*op) error {
	if _, err := t.exec(savepoint); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	defer func() { t.passing, t.passed = false, nil }()
	for _, o := range ops {
		t.passing = o.then
		failed := call(t, o.fn)
		if failed == nil {
			continue
		}
		if _, err := t.exec(undo); err != nil {
			return failed // as in apply
		}
		for _, o := range ops {
			o.err = failed
		}
		break
	}
	if _, err := t.exec(release); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

// rollback undoes a transaction. When the database has given it up already
// (disk full), or the connection is in an unknown state, the connection is
// replaced.
func (w *writer) rollback(tx bun.Tx) {
	if tx.Rollback() == nil {
		return
	}
	conn, err := w.db.DB.Conn(context.Background())
	if err != nil {
		return // there is no connection: the next transaction opens one, or reports why not
	}
	// ErrBadConn makes database/sql close it, which also undoes what is open.
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close() // it reports the ErrBadConn of the line above
}

// apply runs one op. An error of the op stays with the op; the error returned
// means that the transaction is lost.
func (w *writer) apply(t *Tx, o *op, shared bool) error {
	if shared {
		if _, err := t.exec(savepoint); err != nil {
			return fmt.Errorf("savepoint: %w", err)
		}
	}
	o.err = call(t, o.fn)
	if !shared {
		return nil
	}
	if o.err != nil {
		if _, err := t.exec(undo); err != nil {
			// The savepoint is gone: the database gave up the transaction
			// because of the op's error, which therefore is everybody's.
			return o.err
		}
	}
	if _, err := t.exec(release); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

// call runs fn and turns a panic into an error, so that one bad function does
// not end the writer for all.
func call(t *Tx, fn func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a database function: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}

// report tells each op how it went: its own error, else that of the whole
// transaction.
func (w *writer) report(batch []*op, whole error) {
	for _, o := range batch {
		last := o
		for last.by != nil {
			last = last.by
		}
		err := last.err
		if err == nil {
			err = whole
		}
		if err != nil {
			w.failed.Add(1)
		} else {
			w.functions.Add(1)
		}
		o.done(explain("write", w.path, err))
	}
}
