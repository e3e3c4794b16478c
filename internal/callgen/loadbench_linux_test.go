package callgen

import (
	"net/netip"
	"testing"
	"time"
)

// loop is a load whose legs hear each other directly, sent and heard by hand.
type loop struct {
	m *loadMedia
	w *loadWire
}

func newLoop(t testing.TB, calls int) *loop {
	t.Helper()
	m, err := newLoadMedia(time.Now(), calls, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.close(); err != nil {
			t.Error(err)
		}
	})
	for call := range uint32(calls) {
		m.begin(call, [2]chan time.Duration{})
		for leg := range uint8(2) {
			m.learn(call, leg, m.addr(call, 1-leg))
		}
		m.count(call, true)
	}
	return &loop{m: m, w: newLoadWire()}
}

// batch sends some frames and hears what has come.
func (l *loop) batch() {
	l.m.send(l.w, loadBatch)
	for i := range l.m.sockets {
		l.m.drain(l.w, int32(i))
	}
}

// BenchmarkLoadFrame is what a frame costs the generator, the kernel's part of
// sending, delivering and reading it among it.
func BenchmarkLoadFrame(b *testing.B) {
	l := newLoop(b, 128)
	b.ReportAllocs()
	for n := 0; n < b.N; n += loadBatch {
		l.batch()
	}
	if l.m.latency.Count() == 0 {
		b.Error("no frame was heard")
	}
}

// BenchmarkLoadMark is the generator's own part: to write a frame, and to know it
// again.
func BenchmarkLoadMark(b *testing.B) {
	l := newLoop(b, 128)
	packet := newPacket()
	from := packed(l.m.addr(0, callerLeg))
	out, at := &l.m.out[l.m.order[callerLeg]], l.m.order[calleeLeg]
	to := place{at / legsPerSocket, at % legsPerSocket}
	b.ReportAllocs()
	for range b.N {
		out.frame(&packet, 1, 0)
		l.m.hear(to, packet[:], from, time.Millisecond)
	}
	if got := l.m.in[calleeLeg].received; got != uint64(b.N) {
		b.Errorf("%d of %d frames were known again", got, b.N)
	}
}

func TestLoadDoesNotAllocate(t *testing.T) {
	l := newLoop(t, 64)
	if n := testing.AllocsPerRun(100, l.batch); n != 0 {
		t.Errorf("%g allocations a batch", n)
	}
}

// TestLegsHaveAddressesOfTheirOwn, and a frame that comes to another leg's is not
// taken for one that came to its own.
func TestLegsHaveAddressesOfTheirOwn(t *testing.T) {
	l := newLoop(t, 64)
	seen := map[netip.AddrPort]bool{}
	for call := range uint32(64) {
		for leg := range uint8(2) {
			at := l.m.addr(call, leg)
			if seen[at] {
				t.Fatalf("two legs are at %s", at)
			}
			seen[at] = true
		}
	}
	neighbour := func(i int32) int32 { return i ^ 1 }
	i := l.m.order[l.m.index(0, calleeLeg)]
	packet := newPacket()
	l.m.out[l.m.order[l.m.index(0, callerLeg)]].frame(&packet, 1, 0)
	from := packed(l.m.addr(0, callerLeg))
	to := place{neighbour(i) / legsPerSocket, neighbour(i) % legsPerSocket}
	l.m.hear(to, packet[:], from, time.Millisecond)
	if got := l.m.in[calleeLeg].received; got != 0 || l.m.strange != 1 {
		t.Errorf("a frame at the wrong address: %d taken, %d of strangers, want 0 and 1", got, l.m.strange)
	}
}
