package recorder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tapedeck/internal/journal"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

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
	rep, err := journal.Repair(g.Path(recID), nil)
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
