package recorder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const recID = voice.RecordingID("0190e2f4-0000-7000-8000-000000000001")

// faults is a file layer that fails on demand.
type faults struct {
	journal.OS
	create, write, sync, dir atomic.Pointer[error]
	hold                     atomic.Pointer[chan struct{}] // writes wait until it is closed
	free                     atomic.Uint64
	syncs, writes            atomic.Int64
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

func TestARecording(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	if e := g.expect(Opened); e.Path != g.Path(recID) {
		t.Fatalf("%+v", e)
	}
	a := c.Track(TrackSpec{Call: "c1", Party: "+351", Role: voice.RoleCaller, Codecs: []Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}}})
	a.Take(g.packet(0)) // before Begin: dropped
	c.Begin(g.now(), time.Unix(1001, 0).UTC())
	c.Begin(g.now(), time.Time{}) // once only
	g.pass(20 * time.Millisecond)
	a.Take(g.packet(1))
	a.TakeReport(&rtp.SenderReport{Arrival: g.now(), SSRC: 7, NTP: 5})
	b := c.Track(TrackSpec{Call: "c2", Role: voice.RoleCallee})
	c.Joined(g.now(), "c1", "c2")
	b.Take(g.packet(2))
	c.Held(g.now(), "c2", true)
	b.SetCodecs(g.now(), nil)
	b.Close(g.now())
	b.Take(g.packet(3)) // closed: dropped
	c.Parted(g.now(), "c1", "c2")
	g.pass(time.Second)
	if at, err := c.Stop(voice.EndCallEnded); at != 1020*time.Millisecond || err != nil {
		t.Fatalf("stopped at %s, %v", at, err)
	}
	a.Take(g.packet(4)) // stopped: dropped
	if at, err := c.Stop(voice.EndStopped); at != 1020*time.Millisecond || !errors.Is(err, ErrStopped) {
		t.Fatalf("stopped again at %s, %v", at, err)
	}
	g.expect(Closed)
	list := entries(t, g.Path(recID))
	want := "track-opened begin packet sender-report track-opened joined packet held track-changed track-closed parted stop"
	if got := kinds(list); got != want {
		t.Fatalf("journal\n%s\nwant\n%s", got, want)
	}
	if last := list[len(list)-1]; last.Detail.Cause != "call-ended" || last.At != 1020*time.Millisecond || last.Detail.Wall.IsZero() {
		t.Fatalf("stop %+v", last)
	}
	if f := g.files; f.syncs.Load() == 0 {
		t.Fatal("nothing was fsynced")
	}
}

// A pause is fail-closed: many goroutines write, and after Pause returned no
// byte of theirs is found behind the marker.
func TestPauseIsExact(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	c.Begin(g.now(), time.Unix(1, 0))
	const takers = 4
	var paused atomic.Bool
	var stop atomic.Bool
	var group sync.WaitGroup
	for i := range takers {
		track := c.Track(TrackSpec{Call: voice.CallID(rune('a' + i))})
		group.Go(func() {
			for !stop.Load() {
				secret := paused.Load() // read before: what is taken then was taken in the pause
				p := g.packet(1)
				if secret {
					p = g.packet(0xee)
				}
				track.Take(p)
				runtime.Gosched()
			}
		})
	}
	for range 50 {
		g.pass(10 * time.Millisecond)
		at, err := c.Pause(voice.PauseSilence)
		if err != nil || at != g.now()-time.Second {
			t.Fatalf("paused at %s, %v", at, err)
		}
		paused.Store(true)
		runtime.Gosched()
		if _, err := c.Pause(voice.PauseSkip); !errors.Is(err, ErrPaused) {
			t.Fatal(err)
		}
		g.pass(10 * time.Millisecond)
		paused.Store(false)
		// Takers that still hold a secret finish before the gate opens.
		stop.Store(true)
		group.Wait()
		stop.Store(false)
		if _, err := c.Resume(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Resume(); !errors.Is(err, ErrNotPaused) {
			t.Fatal(err)
		}
		for i := range takers {
			track := c.Track(TrackSpec{Call: voice.CallID(rune('a' + i))})
			group.Go(func() {
				for !stop.Load() {
					p := g.packet(1)
					if paused.Load() {
						p = g.packet(0xee)
					}
					track.Take(p)
					runtime.Gosched()
				}
			})
		}
	}
	stop.Store(true)
	group.Wait()
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	g.expect(Opened)
	g.expect(Closed)
	shut := false
	for _, e := range entries(t, g.Path(recID)) {
		switch {
		case e.Repeat:
		case e.Kind == journal.KindPaused:
			shut = true
		case e.Kind == journal.KindResumed:
			shut = false
		case e.Kind == journal.KindPacket && (shut || e.Packet.Payload[0] == 0xee):
			t.Fatalf("a packet of the pause was recorded: %+v", e.Packet)
		}
	}
	raw, err := os.ReadFile(g.Path(recID))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, bytes.Repeat([]byte{0xee}, 16)) {
		t.Fatal("bytes of the pause are on disk")
	}
}

func TestCommandsOutOfPlace(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	if _, err := c.Pause(""); !errors.Is(err, ErrNotBegun) {
		t.Error(err)
	}
	if _, err := c.Resume(); !errors.Is(err, ErrNotBegun) {
		t.Error(err)
	}
	if at, err := c.Stop(voice.EndNotAnswered); at != 0 || err != nil {
		t.Errorf("stop before begin: %s, %v", at, err)
	}
	if _, err := c.Pause(""); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	c.Begin(g.now(), time.Time{})
	c.Track(TrackSpec{}).Take(g.packet(1))
	g.expect(Opened)
	g.expect(Closed)
	if got := kinds(entries(t, g.Path(recID))); got != "stop" {
		t.Error(got)
	}
	for _, id := range []voice.RecordingID{"", "../../etc/passwd", "x"} {
		if _, err := g.Start(Spec{Recording: id}); err == nil {
			t.Errorf("recording %q was started", id)
		}
	}
}

func TestTheSameIDTwiceFails(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	first := g.start(recID)
	g.expect(Opened)
	g.start(recID)
	if e := g.expect(Failed); !errors.Is(e.Err, ErrFailed) || !errors.Is(e.Err, os.ErrExist) {
		t.Fatal(e.Err)
	}
	if _, err := first.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	g.expect(Closed)
}

func TestCreateFails(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	fail(&g.files.create, syscall.EACCES)
	c := g.start(recID)
	if e := g.expect(Failed); !errors.Is(e.Err, syscall.EACCES) {
		t.Fatal(e.Err)
	}
	c.Begin(g.now(), time.Time{})
	c.Track(TrackSpec{}).Take(g.packet(1))
	if _, err := c.Stop(voice.EndStopped); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if n := g.used.Load(); n != 0 {
		t.Fatalf("%d bytes of buffer are still taken", n)
	}
}

func TestADirectoryThatCannotBeSyncedFailsTheStart(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	fail(&g.files.dir, syscall.EIO)
	g.start(recID)
	if e := g.expect(Failed); !errors.Is(e.Err, syscall.EIO) {
		t.Fatal(e.Err)
	}
}

// A disk that fails for a while costs nothing: the blocks wait, and the torn
// ends of failed writes are written over.
func TestDiskFailsForAWhile(t *testing.T) {
	head(t)
	for name, errno := range map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			c := g.start(recID)
			g.expect(Opened)
			track := c.Track(TrackSpec{Call: "c1"})
			c.Begin(g.now(), time.Unix(1, 0))
			n := 0
			for round := range 6 {
				before := g.files.writes.Load()
				if round%2 == 1 {
					fail(&g.files.write, errno)
				}
				for range 200 {
					g.pass(time.Millisecond)
					track.Take(g.packet(n))
					n++
				}
				testkit.Eventually(t, 10*time.Second, func() bool {
					g.pass(time.Millisecond)
					return g.files.writes.Load() > before
				})
				if round%2 == 1 {
					testkit.Eventually(t, 10*time.Second, func() bool { return g.Room() != nil })
					fail(&g.files.write, nil)
				}
			}
			testkit.Eventually(t, 10*time.Second, func() bool {
				g.pass(time.Millisecond)
				return g.Room() == nil
			})
			if _, err := c.Stop(voice.EndCallEnded); err != nil {
				t.Fatal(err)
			}
			g.expect(Closed)
			if got := packets(entries(t, g.Path(recID))); got != n {
				t.Fatalf("%d of %d packets are in the journal", got, n)
			}
		})
	}
}

func TestDiskFailsForGood(t *testing.T) {
	head(t)
	g := newRig(t, func(o *Options) { o.RetryFor = time.Second })
	c := g.start(recID)
	g.expect(Opened)
	track := c.Track(TrackSpec{Call: "c1"})
	c.Begin(g.now(), time.Unix(1, 0))
	track.Take(g.packet(1))
	testkit.Eventually(t, 10*time.Second, func() bool { return g.used.Load() == 0 })
	fail(&g.files.write, syscall.ENOSPC)
	track.Take(g.packet(2))
	var e Event
	testkit.Eventually(t, 10*time.Second, func() bool {
		g.pass(10 * time.Millisecond)
		select {
		case e = <-g.events:
			return true
		default:
			return false
		}
	})
	if e.Kind != Failed || !errors.Is(e.Err, syscall.ENOSPC) || !errors.Is(e.Err, ErrFailed) {
		t.Fatalf("%+v", e)
	}
	if _, err := c.Pause(""); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	track.Take(g.packet(3))
	rep, err := journal.Repair(g.Path(recID))
	if err != nil || rep.Packets != 1 || !rep.Begun || rep.Ended {
		t.Fatalf("%v, %+v", err, rep)
	}
	fail(&g.files.write, nil)
	testkit.Eventually(t, 10*time.Second, func() bool { return g.Room() == nil })
}

func TestFsyncFails(t *testing.T) {
	head(t)
	g := newRig(t, func(o *Options) { o.RetryFor = time.Second })
	c := g.start(recID)
	g.expect(Opened)
	track := c.Track(TrackSpec{})
	c.Begin(g.now(), time.Unix(1, 0))
	fail(&g.files.sync, syscall.EIO)
	before := g.files.syncs.Load()
	track.Take(g.packet(1))
	testkit.Eventually(t, 10*time.Second, func() bool { return g.files.syncs.Load() > before+1 }) // tried again
	fail(&g.files.sync, nil)
	if _, err := c.Stop(voice.EndCallEnded); err != nil {
		t.Fatal(err)
	}
	g.expect(Closed)

	second := g.start("0190e2f4-0000-7000-8000-000000000002")
	g.expect(Opened)
	fail(&g.files.sync, syscall.EIO)
	if _, err := second.Stop(voice.EndCallEnded); err != nil {
		t.Fatal(err)
	}
	var e Event
	testkit.Eventually(t, 10*time.Second, func() bool {
		g.pass(10 * time.Millisecond)
		select {
		case e = <-g.events:
			return true
		default:
			return false
		}
	})
	if e.Kind != Failed || !errors.Is(e.Err, syscall.EIO) {
		t.Fatalf("%+v", e)
	}
}

// A disk that does not answer costs what does not fit into memory, and that is
// said: in the journal, to the owner, in the metrics. The call is not held up.
func TestSlowDiskOverflows(t *testing.T) {
	head(t)
	reg := prometheus.NewRegistry()
	g := newRig(t, func(o *Options) { o.Buffer, o.Registerer = 4*blockMemory, reg })
	c := g.start(recID)
	g.expect(Opened)
	track := c.Track(TrackSpec{Call: "c1"})
	c.Begin(g.now(), time.Unix(1, 0))
	hold := make(chan struct{})
	g.files.hold.Store(&hold)
	taken := 0
	for range 1000 { // 180 KiB into 32
		g.pass(time.Millisecond)
		track.Take(g.packet(taken))
		taken++
	}
	if err := g.Room(); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("room: %v", err)
	}
	g.files.hold.Store(nil)
	close(hold)
	e := g.expect(Overflow)
	lost := e.Lost
	testkit.Eventually(t, 10*time.Second, func() bool { return g.used.Load() == 0 })
	for range 10 { // recording goes on
		g.pass(time.Millisecond)
		track.Take(g.packet(taken))
		taken++
	}
	if _, err := c.Stop(voice.EndCallEnded); err != nil {
		t.Fatal(err)
	}
	for {
		e := testkit.Receive(t, 10*time.Second, g.events)
		if e.Kind == Closed {
			break
		}
		lost += e.Lost
	}
	list := entries(t, g.Path(recID))
	var said uint64
	for _, e := range list {
		if e.Kind == journal.KindGap {
			said += e.Detail.Lost
			if e.Detail.From <= 0 || e.Detail.From > e.At {
				t.Errorf("gap from %s to %s", e.Detail.From, e.At)
			}
		}
	}
	if got := packets(list); uint64(got)+said != uint64(taken) || said != lost || said == 0 {
		t.Fatalf("%d taken, %d in the journal, %d in gaps, %d told", taken, got, said, lost)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n == 0 {
		t.Fatalf("%d metrics, %v", n, err)
	}
	if v := testutil.ToFloat64(g.metrics.lost); v != float64(said) {
		t.Fatalf("metric says %v", v)
	}
	if kinds(list[len(list)-1:]) != "stop" {
		t.Fatal("the stop was lost")
	}
}

func TestAPacketLargerThanABlockIsAGap(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	track := c.Track(TrackSpec{})
	c.Begin(g.now(), time.Unix(1, 0))
	p := g.packet(1)
	p.Payload = make([]byte, 2*blockSize)
	track.Take(p)
	track.Take(g.packet(2))
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	for e := range g.events {
		if e.Kind == Closed {
			break
		}
	}
	if got := kinds(entries(t, g.Path(recID))); got != "track-opened begin gap packet stop" {
		t.Fatal(got)
	}
}

func TestHeaderAndTopologyAreRestated(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	track := c.Track(TrackSpec{Call: "c1", Party: "p", Codecs: []Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}}})
	c.Begin(g.now(), time.Unix(1, 0))
	for i := range 5 {
		track.Take(g.packet(i))
		before := g.files.writes.Load()
		testkit.Eventually(t, 10*time.Second, func() bool { return g.files.writes.Load() > before })
		g.pass(restateEvery)
	}
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	g.expect(Opened)
	g.expect(Closed)
	raw, err := os.ReadFile(g.Path(recID))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(`"sampleRate":8000`)); n < 4 {
		t.Fatalf("the header is there %d times", n)
	}
	clear(raw[:700]) // header and first block
	r, err := journal.NewReader(bytes.NewReader(raw), int64(len(raw)), "damaged")
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Inspect()
	if err != nil || !rep.Begun || !rep.Ended || rep.Packets < 3 {
		t.Fatalf("%v, %+v", err, rep)
	}
}

func TestCloseWithoutStopKeepsEverything(t *testing.T) {
	head(t)
	g := newRig(t, func(o *Options) { o.FlushEvery, o.SyncEvery = time.Hour, time.Hour })
	c := g.start(recID)
	track := c.Track(TrackSpec{})
	c.Begin(g.now(), time.Unix(1, 0))
	for i := range 10 {
		track.Take(g.packet(i))
	}
	g.stop()
	for e := range g.events {
		if e.Kind == Failed {
			if !errors.Is(e.Err, ErrClosed) {
				t.Fatal(e.Err)
			}
			break
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Start(Spec{Recording: recID}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := g.Room(); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	found, err := Recover(filepath.Dir(g.Path(recID)))
	if err != nil || len(found) != 1 || !found[0].Began || found[0].Ended || found[0].Report.Packets != 10 {
		t.Fatalf("%v, %+v", err, found)
	}
}

func TestRoom(t *testing.T) {
	head(t)
	files := &faults{}
	files.free.Store(1 << 20)
	r, err := New(Options{Dir: t.TempDir(), Files: files, MinFree: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Room(); !errors.Is(err, ErrNoRoom) || !strings.Contains(err.Error(), "MiB") {
		t.Fatal(err)
	}
	files.free.Store(3 << 20)
	if err := r.lookAtDisk(); err != nil {
		t.Fatal(err)
	}
	if err := r.Room(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no directory was asked for")
	}
}

func TestRecover(t *testing.T) {
	head(t)
	dir := t.TempDir()
	build := func(id string, cut int, entries ...journal.Entry) {
		path := filepath.Join(dir, id+journal.Extension)
		w, err := journal.Create(path, journal.Header{Recording: id, Call: "c1", SampleRate: 8000}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := errors.Join(w.Control(e), w.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, w.Size()-int64(cut)); err != nil {
			t.Fatal(err)
		}
	}
	begin := journal.Entry{Kind: journal.KindBegin, At: 1}
	stop := journal.Entry{Kind: journal.KindStop, At: 2, Detail: journal.Detail{Wall: time.Unix(1, 0)}}
	build("a-whole", 0, begin, stop)
	build("b-torn", 3, begin, begin, stop)
	build("c-not-begun", 1, journal.Entry{Kind: journal.KindJoined}, begin)
	build("d-never-answered", 0, journal.Entry{Kind: journal.KindStop, At: 2})
	for name, text := range map[string]string{"e-empty.journal": "", "f-other.journal": "text", "notes.txt": "text"} {
		testkit.WriteFile(t, dir, name, text)
	}
	for range 2 { // twice gives the same
		found, err := Recover(dir)
		if err != nil || len(found) != 6 {
			t.Fatalf("%v, %+v", err, found)
		}
		for i, want := range []struct{ began, ended, bad bool }{
			{true, true, false}, {true, false, false}, {false, false, false}, {false, true, false}, {false, false, true}, {false, false, true},
		} {
			f := found[i]
			if f.Began != want.began || f.Ended != want.ended || (f.Err != nil) != want.bad || (f.Header.Call != "c1") != want.bad {
				t.Errorf("%s: %+v", f.Path, f)
			}
		}
	}
	if found, err := Recover(filepath.Join(dir, "none")); err != nil || found != nil {
		t.Errorf("no directory: %v, %v", found, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	const n = 100
	captures := make([]*Capture, n)
	ids := make([]voice.RecordingID, n)
	for i := range n {
		ids[i] = voice.RecordingID("0190e2f4-0000-7000-8000-0000000001" + string("0123456789"[i/10]) + string("0123456789"[i%10]))
		captures[i] = g.start(ids[i])
		captures[i].Begin(g.now(), time.Unix(1, 0))
	}
	tracks := make([]*Track, n)
	for i, c := range captures {
		tracks[i] = c.Track(TrackSpec{})
	}
	for i := range 200 {
		for _, track := range tracks {
			track.Take(g.packet(i))
		}
		g.pass(20 * time.Millisecond)
	}
	for _, c := range captures {
		if _, err := c.Stop(voice.EndCallEnded); err != nil {
			t.Fatal(err)
		}
	}
	opened, closed := 0, 0
	for closed < n {
		switch e := testkit.Receive(t, 30*time.Second, g.events); e.Kind {
		case Opened:
			opened++
		case Closed:
			closed++
		default:
			t.Fatalf("%+v", e)
		}
	}
	for _, id := range ids {
		if got := packets(entries(t, g.Path(id))); got != 200 {
			t.Fatalf("%s has %d packets", id, got)
		}
	}
	if opened != n || g.used.Load() != 0 {
		t.Fatalf("%d opened, %d bytes of buffer are still taken", opened, g.used.Load())
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	track := c.Track(TrackSpec{})
	c.Begin(g.now(), time.Unix(1, 0))
	p := g.packet(1)
	if n := testing.AllocsPerRun(2000, func() { track.Take(p) }); n > 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkTake(b *testing.B) {
	r, err := New(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	c, err := r.Start(Spec{Recording: recID})
	if err != nil {
		b.Fatal(err)
	}
	track := c.Track(TrackSpec{})
	c.Begin(0, time.Time{})
	p := &rtp.Received{Payload: make([]byte, 160)}
	var blocks []*journal.Block
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		track.Take(p)
		if n++; n%40 == 0 { // what the writer does once in 40 packets
			blocks, _, _ = c.detach(blocks[:0], true)
			for _, block := range blocks {
				r.release(block)
			}
		}
	}
}
