package calltest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/server"
)

// House is a server in this process, so that its disk can fail: the rest of the
// world meets it on the wire, as it does a Program.
type House struct {
	*Program
	Disk *Disk
}

// NewHouse starts a server whose journals are on a disk that fails on demand.
// A recording is given up when the disk has failed for giveUp.
func NewHouse(t testing.TB, giveUp time.Duration, env ...string) *House {
	t.Helper()
	return newHouse(t, server.Options{GiveUp: giveUp}, env...)
}

// newHouse starts a server with these options, its configuration, its disk and its log
// being ours.
func newHouse(t testing.TB, o server.Options, env ...string) *House {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	config, err := server.LoadConfig(server.Source{
		Env:   append([]string{"TAPEDECK_DRAIN_TIMEOUT=5s", "TAPEDECK_RECORDING_MIN_FREE=1MiB"}, env...),
		Flags: map[string]string{"data": data, "http": "127.0.0.1:0", "sip": "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &House{Disk: &Disk{}}
	o.Config, o.Version, o.Journals = config, "test", h.Disk
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1) // sent to once, by Run's goroutine
	go func() { ended <- s.Run(ctx) }()
	h.Program = &Program{Data: data, Ready: s.Ready(), client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
	t.Cleanup(func() {
		h.Disk.Mend()
		h.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	if h.Bootstrap, err = server.ReadBootstrap(data); err != nil {
		t.Fatal(err)
	}
	return h
}

// Disk is the operating system's files, with faults. The zero value works well.
type Disk struct {
	journal.OS
	create, write, sync atomic.Pointer[error]
	free                atomic.Uint64 // 0 = what there is
	injected            atomic.Int64  // operations that failed or were held up

	mu   sync.Mutex
	held chan struct{} // writes wait until it is closed; nil = they do not
}

// FailWrites lets every write fail after half of it.
func (d *Disk) FailWrites(err error) { d.write.Store(&err) }

// FailSyncs lets every fsync fail.
func (d *Disk) FailSyncs(err error) { d.sync.Store(&err) }

// FailCreates lets no file be made.
func (d *Disk) FailCreates(err error) { d.create.Store(&err) }

// HasFree pretends so many free bytes.
func (d *Disk) HasFree(n uint64) { d.free.Store(n) }

// Hold lets writes and fsyncs wait until Mend.
func (d *Disk) Hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		d.held = make(chan struct{})
	}
}

// Mend ends all faults.
func (d *Disk) Mend() {
	d.create.Store(nil)
	d.write.Store(nil)
	d.sync.Store(nil)
	d.free.Store(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held != nil {
		close(d.held)
		d.held = nil
	}
}

// Injected is how many operations failed or had to wait.
func (d *Disk) Injected() int64 { return d.injected.Load() }

func (d *Disk) fault(p *atomic.Pointer[error]) error {
	err := p.Load()
	if err == nil {
		return nil
	}
	d.injected.Add(1)
	return *err
}

func (d *Disk) wait() {
	d.mu.Lock()
	held := d.held
	d.mu.Unlock()
	if held != nil {
		d.injected.Add(1)
		<-held
	}
}

// SyncAll makes all journals safe at once, or fails as each of them would.
func (d *Disk) SyncAll(dir string) error {
	d.wait()
	if err := d.fault(&d.sync); err != nil {
		return err
	}
	return d.OS.SyncAll(dir)
}

// Create implements journal.Files.
func (d *Disk) Create(path string) (journal.File, error) {
	if err := d.fault(&d.create); err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := d.OS.Create(path)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

// Free implements journal.Files.
func (d *Disk) Free(dir string) (uint64, error) {
	if n := d.free.Load(); n > 0 {
		d.injected.Add(1)
		return n, nil
	}
	return d.OS.Free(dir)
}

type diskFile struct {
	journal.File
	d *Disk
}

// WriteAt leaves half of the bytes there when it fails, as a full disk does.
func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.wait()
	if err := f.d.fault(&f.d.write); err != nil {
		n, werr := f.File.WriteAt(b[:len(b)/2], off)
		return n, errors.Join(err, werr)
	}
	return f.File.WriteAt(b, off)
}

func (f *diskFile) Sync() error {
	f.d.wait()
	if err := f.d.fault(&f.d.sync); err != nil {
		return err
	}
	return f.File.Sync()
}
