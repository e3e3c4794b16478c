package recorder

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

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
	b.Close(g.now(), Unheard{Foreign: 3})
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
	for _, e := range list {
		if e.Kind == journal.KindTrackClosed && (e.Track != 1 || e.Detail.Unheard == nil || *e.Detail.Unheard != Unheard{Foreign: 3}) {
			t.Errorf("the end of a track says %+v", e)
		}
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

func TestAPacketLargerThanABlockIsAGap(t *testing.T) {
	head(t)
	g := newRig(t, nil)
	c := g.start(recID)
	track := c.Track(TrackSpec{})
	c.Begin(g.now(), time.Unix(1, 0))
	p := g.packet(1)
	p.Payload = make([]byte, 2*blockMemory)
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
		before := g.files.writes.Load() // first: the writer may be quicker than we
		track.Take(g.packet(i))
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
	var blocks []journal.Block
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		track.Take(p)
		if n++; n%40 == 0 { // what the writer does once in 40 packets
			blocks, _, _ = c.detach(blocks[:0], true)
			for i := range blocks {
				r.release(&blocks[i])
			}
		}
	}
}
