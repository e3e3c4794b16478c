package recorder

import (
	"testing"
	"unsafe"

	"tapedeck/internal/voice"
)

// What a packet needs of a track and of a capture is in the first cache line of
// each. Elsewhere it would cost a wait for memory a packet.
func TestWhatEveryPacketNeedsLiesTogether(t *testing.T) {
	const line = 64
	var track Track
	var c Capture
	// Where the run-time puts them depends on their sizes.
	g := newRig(t, nil)
	for range 3 {
		c := g.start(recID)
		made := c.Track(TrackSpec{})
		if at := uintptr(unsafe.Pointer(c)) % line; at != 0 {
			t.Errorf("a Capture begins at byte %d of a cache line, it has %d bytes", at, unsafe.Sizeof(*c))
		}
		if at := uintptr(unsafe.Pointer(made)) % line; at != 0 {
			t.Errorf("a Track begins at byte %d of a cache line, it has %d bytes", at, unsafe.Sizeof(*made))
		}
		if _, err := c.Stop(voice.EndStopped); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []struct {
		name string
		end  uintptr
	}{
		{"Track.wary", unsafe.Offsetof(track.wary) + unsafe.Sizeof(track.wary)},
		{"Track.closed", unsafe.Offsetof(track.closed) + unsafe.Sizeof(track.closed)},
		{"Track.keys.events", unsafe.Offsetof(track.keys) + unsafe.Offsetof(track.keys.events) + unsafe.Sizeof(track.keys.events)},
		{"Track.keys.pending", unsafe.Offsetof(track.keys) + unsafe.Offsetof(track.keys.pending) + unsafe.Sizeof(track.keys.pending)},
		{"Track.keys.last", unsafe.Offsetof(track.keys) + unsafe.Offsetof(track.keys.last) + unsafe.Sizeof(track.keys.last)},
		{"Capture.start", unsafe.Offsetof(c.start) + unsafe.Sizeof(c.start)},
		{"Capture.mu", unsafe.Offsetof(c.mu) + unsafe.Sizeof(c.mu)},
		{"Capture.since", unsafe.Offsetof(c.since) + unsafe.Sizeof(c.since)},
		{"Capture.fill", unsafe.Offsetof(c.fill) + unsafe.Sizeof(c.fill)},
		{"Capture.packets", unsafe.Offsetof(c.packets) + unsafe.Sizeof(c.packets)},
		{"Capture.lost", unsafe.Offsetof(c.lost) + unsafe.Sizeof(c.lost)},
		{"Capture.open", unsafe.Offsetof(c.open) + unsafe.Sizeof(c.open)},
	} {
		if f.end > line {
			t.Errorf("%s ends at byte %d, beyond the first %d", f.name, f.end, line)
		}
	}
}
