package rtp

import (
	"testing"
	"unsafe"
)

// What the usual packet needs of a stream lies in as few cache lines as possible: one
// for sending, four for receiving, and the first of these is all that a relay to the
// peer asks for. Each other line would cost a wait for memory a packet.
func TestWhatEveryPacketNeedsLiesTogether(t *testing.T) {
	const line = 64
	var s Sender
	var r Receiver
	sender, source := unsafe.Offsetof(s.ssrc), unsafe.Offsetof(r.first)
	if end := unsafe.Sizeof(s) - sender; end > line {
		t.Errorf("what a relayed packet needs of a Sender has %d bytes", end)
	}
	for _, f := range []struct {
		name  string
		end   uintptr
		lines uintptr
	}{
		{"latch.source", unsafe.Offsetof(r.latch) + unsafe.Offsetof(r.latch.source) + unsafe.Sizeof(r.latch.source), 1},
		{"latch.heard", unsafe.Offsetof(r.latch) + unsafe.Offsetof(r.latch.heard) + unsafe.Sizeof(r.latch.heard), 1},
		{"latch.loose", unsafe.Offsetof(r.latch) + unsafe.Offsetof(r.latch.loose) + unsafe.Sizeof(r.latch.loose), 1},
		{"formats.usual", unsafe.Offsetof(r.formats) + unsafe.Offsetof(r.formats.usual) + unsafe.Sizeof(r.formats.usual), 4},
		{"current", unsafe.Offsetof(r.current) + unsafe.Sizeof(r.current), 4},
		{"released", unsafe.Offsetof(r.released) + unsafe.Sizeof(r.released), 4},
		{"epoch", unsafe.Offsetof(r.epoch) + unsafe.Sizeof(r.epoch), 4},
		{"rivals", unsafe.Offsetof(r.rivals) + unsafe.Sizeof(r.rivals), 4},
		{"received", unsafe.Offsetof(r.received) + unsafe.Sizeof(r.received), 4},
		{"octets", unsafe.Offsetof(r.octets) + unsafe.Sizeof(r.octets), 4},
		{"first up to rate", source + unsafe.Offsetof(r.first.rate) + unsafe.Sizeof(r.first.rate), 4},
	} {
		if f.end > f.lines*line {
			t.Errorf("Receiver: %s ends at byte %d, beyond the first %d", f.name, f.end, f.lines*line)
		}
	}
}
