package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// Options configures a Recorder. Dir is required, the rest has defaults.
type Options struct {
	Dir        string        // where journals are written; made when missing
	FlushEvery time.Duration // how long a packet may wait in memory; 0 = 400 ms
	SyncEvery  time.Duration // how often written blocks are fsynced; 0 = 1 s
	RetryFor   time.Duration // how long a failing disk is tried again before a capture fails; 0 = 30 s
	Buffer     int64         // bytes of blocks in memory, all captures together; 0 = 64 MiB
	MaskDigits bool          // of telephone-events, keep only when they came: neither digit nor payload
	MinFree    uint64        // bytes that must be free on the disk for Room to say yes; 0 = not checked

	Now        func() time.Duration // the process's monotonic clock; nil = time since New
	Files      journal.Files        // nil = the operating system's
	Logger     *slog.Logger         // nil = silent
	Registerer prometheus.Registerer
}

// Defaults of Options.
const (
	defaultFlush  = 400 * time.Millisecond
	defaultSync   = time.Second
	defaultRetry  = 30 * time.Second
	defaultBuffer = 64 << 20
)

// Errors of this package.
var (
	// ErrNoRoom means that no new recording should be started now.
	ErrNoRoom = errors.New("recorder has no room")
	// ErrClosed means that the recorder was closed.
	ErrClosed = errors.New("recorder is closed")
	// ErrStopped means that the capture was stopped before.
	ErrStopped = errors.New("recording was stopped")
	// ErrFailed means that the disk did not take the capture's journal.
	ErrFailed = errors.New("recording failed")
	// ErrNotBegun means that the capture did not begin yet.
	ErrNotBegun = errors.New("recording has not begun")
	// ErrPaused answers a Pause of what is paused.
	ErrPaused = errors.New("recording is paused already")
	// ErrNotPaused answers a Resume of what is not paused.
	ErrNotPaused = errors.New("recording is not paused")
)

// Recorder owns the journals that are being written, and the goroutines that
// write them.
type Recorder struct {
	o       Options
	metrics *metrics
	blocks  *blocks
	used    atomic.Int64 // bytes of blocks in use
	running atomic.Int64 // captures, as many as there are below
	wrote   atomic.Int64 // when a block was written last, by Options.Now
	served  atomic.Bool  // the writer had a processor when it wanted one

	// The syncer's.
	mixed    []*Capture
	grouping grouping

	free     atomic.Uint64 // bytes free on the disk, when looked at last
	troubled atomic.Int64  // captures whose last write failed

	toWrite errands       // captures that the writer has to see before its round
	toSync  errands       // likewise the syncer
	quit    chan struct{} // closed by Close

	mu       sync.Mutex // leaf; guards the rest
	captures []*Capture
	begun    uint32 // captures so far
	runs     bool
	closed   bool
	done     chan struct{} // closed when Run returned; nil before Run
}

// New makes a recorder and its directory. Nothing is written until Run.
func New(o Options) (*Recorder, error) {
	if o.Dir == "" {
		return nil, errors.New("recorder: Options.Dir is empty")
	}
	o.FlushEvery = orDefault(o.FlushEvery, defaultFlush)
	o.SyncEvery = orDefault(o.SyncEvery, defaultSync)
	o.RetryFor = orDefault(o.RetryFor, defaultRetry)
	if o.Buffer <= 0 {
		o.Buffer = defaultBuffer
	}
	if o.Now == nil {
		epoch := time.Now()
		o.Now = func() time.Duration { return time.Since(epoch) }
	}
	if o.Files == nil {
		o.Files = journal.OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("recorder: make the directory of journals: %w", err)
	}
	r := &Recorder{
		o: o, blocks: newBlocks(o.Buffer),
		toWrite: errands{some: make(chan struct{}, 1)},
		toSync:  errands{some: make(chan struct{}, 1)},
		quit:    make(chan struct{}),
	}
	var err error
	if r.metrics, err = newMetrics(o.Registerer, r); err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	if err := r.lookAtDisk(); err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	return r, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Path is where the journal of a recording is, or would be.
func (r *Recorder) Path(id voice.RecordingID) string {
	return filepath.Join(r.o.Dir, string(id)+journal.Extension)
}

// Start makes a capture. It never waits for the disk: the file is made by the
// writer, and Notify gets Opened when it is safe, or Failed. An id that was
// used before fails in that way too.
func (r *Recorder) Start(s Spec) (*Capture, error) {
	if _, err := voice.CanonicalID(string(s.Recording)); err != nil {
		return nil, fmt.Errorf("start recording %q: %w", s.Recording, err)
	}
	if s.SampleRate <= 0 {
		s.SampleRate = 8000
	}
	if s.Notify == nil {
		s.Notify = func(Event) {}
	}
	c := &Capture{r: r, spec: s, path: r.Path(s.Recording), start: r.o.Now()}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.captures = append(r.captures, c)
		r.running.Add(1)
		c.share = r.begun % shares
		r.begun++
	}
	r.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("start recording %s: %w", s.Recording, ErrClosed)
	}
	r.toWrite.add(c, &c.writing.called)
	return c, nil
}

// Room says whether a new recording may be started: nil, or ErrNoRoom with the
// reason. Running recordings are not concerned.
func (r *Recorder) Room() error {
	if free := r.free.Load(); free < r.o.MinFree {
		return fmt.Errorf("%w: %d MiB are free on the disk of %s, %d MiB must stay free: make space or lower the mark",
			ErrNoRoom, free>>20, r.o.Dir, r.o.MinFree>>20)
	}
	if used := r.used.Load(); used > r.o.Buffer/4*3 {
		return fmt.Errorf("%w: %d of %d MiB of buffer wait for the disk", ErrNoRoom, used>>20, r.o.Buffer>>20)
	}
	if n := r.troubled.Load(); n > 0 {
		return fmt.Errorf("%w: the disk does not take the journals of %d recordings", ErrNoRoom, n)
	}
	select {
	case <-r.quit:
		return fmt.Errorf("%w: %w", ErrNoRoom, ErrClosed)
	default:
		return nil
	}
}

const (
	// fewBlocks is what may wait for the writer at any time.
	fewBlocks = 64
	// moving is how long ago a block was written at most where a disk takes them.
	moving = 100 * time.Millisecond
)

// Behind says whether more is taken than the writer finds time to write: one capture in
// four has a second block in memory, where each has one that is being filled. It does not
// say so of a disk that is slow or stands still, which nobody's time would help. It does
// not wait.
func (r *Recorder) Behind() bool {
	captures := r.running.Load()
	if r.served.Load() || r.used.Load()/blockMemory <= captures+captures/4+fewBlocks {
		return false
	}
	return r.o.Now()-time.Duration(r.wrote.Load()) < moving
}

// Run writes until the context ends or Close is called. Before it returns,
// everything taken is written and fsynced; captures that were not stopped get
// Failed with ErrClosed, and Recover finds them at the next start.
func (r *Recorder) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.runs || r.closed {
		r.mu.Unlock()
		return fmt.Errorf("recorder: run: %w", ErrClosed)
	}
	r.runs = true
	r.done = make(chan struct{})
	r.mu.Unlock()
	defer close(r.done)

	stopWriter, stopSyncer := make(chan struct{}), make(chan struct{})
	var writer, syncer sync.WaitGroup
	writer.Go(func() { r.write(stopWriter) })
	syncer.Go(func() { r.sync(stopSyncer) })
	select {
	case <-ctx.Done():
	case <-r.quit:
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	// The syncer goes last, so that it sees all that the writer wrote.
	close(stopWriter)
	writer.Wait()
	close(stopSyncer)
	syncer.Wait()
	return nil
}

// Close ends Run and waits for it.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
	}
	select {
	case <-r.quit:
	default:
		close(r.quit)
	}
	done := r.done
	r.mu.Unlock()
	if done != nil {
		<-done
	}
	return r.blocks.close()
}

// list copies the captures into dst.
func (r *Recorder) list(dst []*Capture) []*Capture {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(dst[:0], r.captures...)
}

func (r *Recorder) forget(c *Capture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.captures {
		if other == c {
			last := len(r.captures) - 1
			r.captures[i], r.captures[last] = r.captures[last], nil
			r.captures = r.captures[:last]
			r.running.Add(-1)
			return
		}
	}
}

func (r *Recorder) lookAtDisk() error {
	free, err := r.o.Files.Free(r.o.Dir)
	if err != nil {
		return err
	}
	r.free.Store(free)
	return nil
}

// block returns an empty block, or none when the buffer is used up. Control
// entries must not be lost, so their blocks may go beyond it.
func (r *Recorder) block(must bool) journal.Block {
	if used := r.used.Add(blockMemory); used > r.o.Buffer && !must {
		r.used.Add(-blockMemory)
		return journal.Block{}
	}
	return journal.BlockIn(r.blocks.get()[:])
}

func (r *Recorder) release(b *journal.Block) {
	r.blocks.put((*[blockMemory]byte)(b.Memory()))
	r.used.Add(-blockMemory)
}
