package callgen

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	head := []byte{0x80, 0x88, 0x12, 0x34, 0, 0, 0, 5, 0xaa, 0xbb, 0xcc, 0xdd}
	with := func(first byte, more ...byte) []byte {
		b := slices.Concat(head, more)
		b[0] = first
		return b
	}
	for _, c := range []struct {
		name    string
		packet  []byte
		payload []byte
		ok      bool
	}{
		{"plain", with(0x80, 1, 2, 3), []byte{1, 2, 3}, true},
		{"no payload", with(0x80), nil, true},
		{"contributing source", with(0x81, 9, 9, 9, 9, 1), []byte{1}, true},
		{"extension", with(0x90, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, 1), []byte{1}, true},
		{"padding", with(0xa0, 1, 0, 0, 3), []byte{1}, true},
		{"wrong version", with(0x40, 1), nil, false},
		{"cut in the header", head[:11], nil, false},
		{"cut in the sources", with(0x82, 1), nil, false},
		{"cut in the extension", with(0x90, 0, 0), nil, false},
		{"extension longer than the packet", with(0x90, 0, 0, 0xff, 0xff, 1), nil, false},
		{"padding longer than the packet", with(0xa0, 200), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, ok := parse(c.packet)
			if ok != c.ok || !bytes.Equal(f.Payload, c.payload) {
				t.Fatalf("payload %v, %v", f.Payload, ok)
			}
			if ok && (f.Seq != 0x1234 || f.Time != 5 || f.SSRC != 0xaabbccdd || f.PT != 8 || !f.Marker) {
				t.Errorf("%+v", f)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "packet")
		if f, ok := parse(b); ok && len(f.Payload)+12 > len(b) {
			t.Fatalf("%d bytes of payload in %d", len(f.Payload), len(b))
		}
	})
}

func TestAssemble(t *testing.T) {
	frame := func(ssrc, at uint32, pt uint8, code byte) Frame {
		return Frame{SSRC: ssrc, Time: at, PT: pt, Payload: bytes.Repeat([]byte{code}, 160)}
	}
	one := Decode([]byte{0x10})[0]
	first := uint32(0xfffffff0) // the clock wraps after it
	got := Assemble([]Frame{
		frame(1, 9000, 0, 0x10), // of another source
		frame(2, first, 0, 0x10),
		frame(2, first+320, 0, 0x10),     // one is missing before it
		frame(2, first+160*4, 101, 0x10), // no audio
		frame(2, first-160, 0, 0x10),     // older than the first
	})
	want := slices.Concat(slices.Repeat([]int16{one}, 160), make([]int16, 160), slices.Repeat([]int16{one}, 160))
	if !slices.Equal(got, want) {
		t.Errorf("%d samples, want %d", len(got), len(want))
	}
	if got := Assemble(nil); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	if a, mu := Assemble([]Frame{frame(1, 0, 8, 0xd5)}), Assemble([]Frame{frame(1, 0, 0, 0xff)}); a[0] != 8 || mu[0] != 0 {
		t.Errorf("silence in A-law is %d, in µ-law %d", a[0], mu[0])
	}
}
