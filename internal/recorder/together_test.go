package recorder

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/voice"
)

// crowd starts more captures than are fsynced one by one, and waits until each of
// their journals is safe.
func crowd(g *rig, n int) []*Capture {
	g.t.Helper()
	all := make([]*Capture, n)
	for i := range all {
		all[i] = g.start(voice.RecordingID(fmt.Sprintf("0190e2f4-0000-7000-8000-%012d", i)))
	}
	for range all {
		g.expect(Opened)
	}
	return all
}

// speak lets everybody say something until the condition holds, as fast as the
// disk takes it.
func speak(g *rig, tracks []*Track, until func() bool) {
	for n := 1; !until(); n++ {
		if g.used.Load() > g.o.Buffer/2 {
			runtime.Gosched()
			continue
		}
		for _, t := range tracks {
			t.Take(g.packet(n))
		}
		g.pass(20 * time.Millisecond)
		runtime.Gosched()
	}
}

func TestManyJournalsAreMadeSafeByOneCall(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	var tracks []*Track
	all := crowd(g, 3*togetherFrom)
	for _, c := range all {
		tracks = append(tracks, c.Track(TrackSpec{Call: "c1"}))
		c.Begin(g.now(), time.Unix(1, 0))
	}
	before := g.files.together.Load()
	speak(g, tracks, func() bool { return g.files.together.Load() > before+2 })
	for _, c := range all {
		if _, err := c.Stop(voice.EndStopped); err != nil {
			t.Fatal(err)
		}
	}
	for range all {
		g.expect(Closed)
	}
}

// Journals that are made one after the other wait for each other: so many fsyncs that
// each of them is asked for itself would keep the processor from the calls.
func TestJournalsThatAreMadeTogetherAreMadeSafeTogether(t *testing.T) {
	head(t)
	g := newRig(t, func(o *Options) { o.SyncEvery = time.Hour })
	const n = 12 * togetherFrom
	began := time.Now()
	for _, c := range crowd(g, n) {
		if _, err := c.Stop(voice.EndStopped); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		g.expect(Closed)
	}
	// In a round there are fewer than togetherFrom of them, or one for all.
	rounds := uint64(time.Since(began)/errandPace) + 2
	if asked := uint64(g.files.syncs.Load()) + uint64(g.files.together.Load()); asked > rounds*(togetherFrom-1) {
		t.Errorf("%d syncs for %d journals in %d rounds", asked, n, rounds)
	}
}

// Where the system cannot make all safe at once, or says that something was not
// written, each journal is asked for itself: none pays for another.
func TestWithoutOneCallEachJournalIsMadeSafeAlone(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	fail(&g.files.all, syscall.EIO)
	var tracks []*Track
	all := crowd(g, 3*togetherFrom)
	for _, c := range all {
		tracks = append(tracks, c.Track(TrackSpec{Call: "c1"}))
		c.Begin(g.now(), time.Unix(1, 0))
	}
	before := g.files.syncs.Load()
	speak(g, tracks, func() bool { return g.files.syncs.Load() > before+3*togetherFrom })
	for _, c := range all {
		if _, err := c.Stop(voice.EndStopped); err != nil {
			t.Fatal(err)
		}
	}
	for range all {
		g.expect(Closed)
	}
}

// The syncer may hear that a capture is finished when it has closed it already:
// the owner is told once.
func TestAnErrandThatComesTooLateTellsNothing(t *testing.T) {
	g := newRig(t, nil)
	c := g.start("0190e2f4-0000-7000-8000-000000000001")
	g.expect(Opened)
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	closed := g.expect(Closed)
	g.toSync.add(c, &c.syncing.called)
	// The next capture is opened by the same goroutine, after that errand.
	g.start("0190e2f4-0000-7000-8000-000000000002")
	if e := g.expect(Opened); e.Path == closed.Path {
		t.Fatalf("%+v after %+v", e, closed)
	}
}
