package recorder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const recID = voice.RecordingID("0190e2f4-0000-7000-8000-000000000001")

// faults is a file layer that fails on demand.
type faults struct {
	journal.OS
	create, write, sync, dir, all atomic.Pointer[error]
	hold                          atomic.Pointer[chan struct{}] // writes wait until it is closed
	free                          atomic.Uint64
	syncs, together, writes       atomic.Int64
}

func fault(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

type faultyFile struct {
	journal.File
	f *faults
}

func (f *faults) Create(path string) (journal.File, error) {
	if err := fault(&f.create); err != nil {
		return nil, err
	}
	file, err := f.OS.Create(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faults) SyncDir(dir string) error {
	if err := fault(&f.dir); err != nil {
		return err
	}
	return f.OS.SyncDir(dir)
}

func (f *faults) SyncAll(dir string) error {
	f.together.Add(1)
	if err := errors.Join(fault(&f.all), fault(&f.sync), fault(&f.dir)); err != nil {
		return err
	}
	return f.OS.SyncAll(dir)
}

func (f *faults) Free(dir string) (uint64, error) {
	if n := f.free.Load(); n > 0 {
		return n, nil
	}
	return f.OS.Free(dir)
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	f.f.writes.Add(1)
	if hold := f.f.hold.Load(); hold != nil {
		<-*hold
	}
	if err := fault(&f.f.write); err != nil {
		n, werr := f.File.WriteAt(b[:len(b)/2], off) // a torn write
		return n, errors.Join(err, werr)
	}
	return f.File.WriteAt(b, off)
}

func (f *faultyFile) Sync() error {
	f.f.syncs.Add(1)
	if err := fault(&f.f.sync); err != nil {
		return err
	}
	return f.File.Sync()
}

// fail sets or clears a fault.
func fail(p *atomic.Pointer[error], err error) {
	if err == nil {
		p.Store(nil)
		return
	}
	p.Store(&err)
}

// rig is a running recorder.
type rig struct {
	*Recorder
	t      testing.TB
	files  *faults
	clock  atomic.Int64
	events chan Event
	stop   func()
}

// newRig starts a recorder on a clock that the test moves. Its ticks are fast,
// since they are real.
func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	g := &rig{t: t, files: &faults{}, events: make(chan Event, 1000)}
	o := Options{
		Dir: t.TempDir(), FlushEvery: 2 * time.Millisecond, SyncEvery: 4 * time.Millisecond, Files: g.files,
		Now: func() time.Duration { return time.Duration(g.clock.Load()) },
	}
	g.clock.Store(int64(time.Second))
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	g.Recorder = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func (g *rig) start(id voice.RecordingID) *Capture {
	g.t.Helper()
	c, err := g.Start(Spec{
		Recording: id, Call: "c1", Stereo: true, Wall: time.Unix(1000, 0).UTC(),
		Notify: func(e Event) { g.events <- e },
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *rig) expect(k EventKind) Event {
	g.t.Helper()
	e := testkit.Receive(g.t, 10*time.Second, g.events)
	if e.Kind != k {
		g.t.Fatalf("event %+v, want kind %d", e, k)
	}
	return e
}

func (g *rig) now() time.Duration { return time.Duration(g.clock.Load()) }

// pass moves the clock.
func (g *rig) pass(d time.Duration) { g.clock.Add(int64(d)) }

// packet is packet n of a party that speaks n.
func (g *rig) packet(n int) *rtp.Received {
	return &rtp.Received{
		Arrival: g.now(), Seq: 1<<16 + uint64(n), Time: 1<<32 + uint64(160*n), SSRC: 7, Payload: bytes.Repeat([]byte{byte(n)}, 160),
	}
}

func entries(t testing.TB, path string) []journal.Entry {
	t.Helper()
	r, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []journal.Entry
	for {
		var e journal.Entry
		err := r.Next(&e)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Packet.Payload = bytes.Clone(e.Packet.Payload)
		out = append(out, e)
	}
}

// kinds lists the entries of a journal, without the restated ones.
func kinds(list []journal.Entry) string {
	var out []string
	for _, e := range list {
		if !e.Repeat {
			out = append(out, e.Kind.String())
		}
	}
	return strings.Join(out, " ")
}

func packets(list []journal.Entry) (n int) {
	for _, e := range list {
		if e.Kind == journal.KindPacket {
			n++
		}
	}
	return n
}

func head(t testing.TB) {
	t.Helper()
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
}
