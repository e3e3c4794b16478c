package media

import (
	"testing"
	"unsafe"

	"tapedeck/internal/rtp"
)

const cacheLine = 64

// What the usual packet needs of a leg is in seven cache lines in a row, and three of
// them are all that is needed to send it on by a leg. Each other line would cost a wait
// for memory a packet.
func TestWhatEveryPacketNeedsLiesTogether(t *testing.T) {
	l := newLeg(nil, "A")
	address := func(p unsafe.Pointer) uintptr { return uintptr(p) }
	first := address(unsafe.Pointer(&l.out)) + unsafe.Sizeof(l.out) - cacheLine
	if first%cacheLine != 0 {
		t.Fatalf("what a packet needs begins at byte %d of a cache line", first%cacheLine)
	}
	line := func(at uintptr) int { return int(at-first) / cacheLine }
	for _, f := range []struct {
		name      string
		at        unsafe.Pointer
		size      uintptr
		from, end int // lines
	}{
		{"media.socket", unsafe.Pointer(&l.media.socket), unsafe.Sizeof(l.media.socket), 1, 1},
		{"media.leg", unsafe.Pointer(&l.media.leg), unsafe.Sizeof(l.media.leg), 1, 1},
		{"media.control", unsafe.Pointer(&l.media.control), unsafe.Sizeof(l.media.control), 1, 1},
		{"configured", unsafe.Pointer(&l.configured), 1, 1, 1},
		{"mux", unsafe.Pointer(&l.mux), 1, 1, 1},
		{"sends", unsafe.Pointer(&l.sends), 1, 1, 1},
		{"receives", unsafe.Pointer(&l.receives), 1, 1, 1},
		{"inBand", unsafe.Pointer(&l.inBand), 1, 1, 1},
		{"started", unsafe.Pointer(&l.started), 1, 1, 1},
		{"timedOut", unsafe.Pointer(&l.timedOut), 1, 1, 1},
		{"peer", unsafe.Pointer(&l.peer), unsafe.Sizeof(l.peer), 1, 1},
		{"w", unsafe.Pointer(&l.w), unsafe.Sizeof(l.w), 1, 1},
		{"heard", unsafe.Pointer(&l.heard), unsafe.Sizeof(l.heard), 2, 2},
		{"taps", unsafe.Pointer(&l.taps), unsafe.Sizeof(l.taps), 2, 2},
		{"audible", unsafe.Pointer(&l.audible), unsafe.Sizeof(l.audible), 2, 2},
		{"through", unsafe.Pointer(&l.through), unsafe.Sizeof(l.through), 2, 2},
		{"usual", unsafe.Pointer(&l.usual), unsafe.Sizeof(l.usual), 2, 2},
		{"in", unsafe.Pointer(&l.in), 4 * cacheLine, 3, 6}, // see its own test
	} {
		if from, end := line(address(f.at)), line(address(f.at)+f.size-1); from < f.from || end > f.end {
			t.Errorf("%s is in lines %d to %d, not in %d to %d", f.name, from, end, f.from, f.end)
		}
	}
}

// order is a tap that notes when it was called.
type order struct {
	counter
	list *[]*order
}

func (o *order) Take(*rtp.Received) { *o.list = append(*o.list, o) }

func TestTapsAreCalledInTheirOrder(t *testing.T) {
	for n := range 4 {
		var called []*order
		given := make([]Tap, n)
		for i := range given {
			given[i] = &order{list: &called}
		}
		r := newRig(t, false)
		r.legs[0].taps = tapsOf(given)
		r.turn()
		if len(called) != n {
			t.Fatalf("%d of %d taps were called", len(called), n)
		}
		for i, tap := range called {
			if tap != given[i] {
				t.Errorf("of %d taps, another was called as number %d", n, i)
			}
		}
	}
}
