package render

import (
	"io"
	"reflect"
	"testing"
	"time"
)

// TestADeskIsForMany: what was rendered before on a desk changes nothing, and a
// rendering takes next to no memory on a desk that was used.
func TestADeskIsForMany(t *testing.T) {
	paths := []string{
		longCall(t, 10*time.Second),
		drifting(t, 25*time.Second, 300, -200),
		longCall(t, 3*time.Second),
	}
	want := make([]Receipt, len(paths))
	for i, path := range paths {
		want[i] = makeAndWrite(t, path, discard{io.Discard}, nil)
	}
	desk := NewDesk()
	for range 3 {
		for i, path := range paths {
			if got := renderOn(t, desk, path, discard{io.Discard}, nil); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("%s: on a used desk %+v, on a new one %+v", path, got, want[i])
			}
		}
	}
}

// TestRenderAllocatesNothingAPacket: what a rendering allocates does not grow with
// its packets, but for what the clock model keeps of each second.
func TestRenderAllocatesNothingAPacket(t *testing.T) {
	desk := NewDesk()
	allocations := func(length time.Duration) float64 {
		path := longCall(t, length)
		return testing.AllocsPerRun(3, func() { renderOn(t, desk, path, discard{io.Discard}, nil) })
	}
	short, long := allocations(30*time.Second), allocations(90*time.Second)
	const packets = 60 * 50 * 2
	if grown := (long - short) / packets; grown > 0.02 {
		t.Errorf("%.0f allocations for 30 s, %.0f for 90 s: %.3f a packet", short, long, grown)
	}
}
