package opus

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"tapedeck/internal/native"
)

func TestParse(t *testing.T) {
	frame := func(toc byte, rest ...byte) []byte { return append([]byte{toc}, rest...) }
	zeros := func(n int) []byte { return make([]byte, n) }
	for name, test := range map[string]struct {
		in   []byte
		want Packet
	}{
		"SILK 60 ms with redundancy":       {frame(3<<3, 0x10, 1), Packet{Mode: SILK, Frame: 2880, Count: 1, Recovers: true}},
		"SILK 20 ms voiced":                {frame(9<<3, 0x80, 1), Packet{Mode: SILK, Frame: 960, Count: 1}},
		"SILK stereo, redundancy of side":  {frame(9<<3|4, 0x10, 1), Packet{Mode: SILK, Stereo: true, Frame: 960, Count: 1, Recovers: true}},
		"hybrid 10 ms with redundancy":     {frame(12<<3, 0x40, 1), Packet{Mode: Hybrid, Frame: 480, Count: 1, Recovers: true}},
		"CELT 2.5 ms":                      {frame(16<<3, 0xff, 0xff), Packet{Mode: CELT, Frame: 120, Count: 1}},
		"CELT 20 ms twice":                 {frame(31<<3|1, 1, 2, 3, 4), Packet{Mode: CELT, Frame: 960, Count: 2}},
		"two of told size":                 {frame(9<<3|2, 2, 0x40, 0, 9), Packet{Mode: SILK, Frame: 960, Count: 2, Recovers: true}},
		"DTX, one byte":                    {frame(9 << 3), Packet{Mode: SILK, Frame: 960, Count: 1, Empty: true}},
		"DTX, two bytes":                   {frame(9<<3, 0xff), Packet{Mode: SILK, Frame: 960, Count: 1, Empty: true}},
		"three of equal size":              {frame(9<<3|3, 3, 1, 1, 2, 2, 3, 3), Packet{Mode: SILK, Frame: 960, Count: 3}},
		"three of own size, two of pad":    {frame(9<<3|3, 0xc3, 2, 2, 1, 0x40, 0x40, 7, 8, 8, 0, 0), Packet{Mode: SILK, Frame: 960, Count: 3, Recovers: true}},
		"one of own size":                  {frame(9<<3|3, 0x81, 5, 5), Packet{Mode: SILK, Frame: 960, Count: 1}},
		"120 ms of 2.5":                    {frame(16<<3|3, 48), Packet{Mode: CELT, Frame: 120, Count: 48, Empty: true}},
		"padding of 254+1":                 {append(frame(9<<3|3, 0x41, 255, 1, 7, 7), zeros(255)...), Packet{Mode: SILK, Frame: 960, Count: 1}},
		"two-byte size of 252+4*1, code 2": {append(append(frame(9<<3|2, 252, 1), zeros(256)...), 1), Packet{Mode: SILK, Frame: 960, Count: 2}},
	} {
		got, err := Parse(test.in)
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, test.want)
		}
		if n, ok := Duration(test.in); !ok || n != test.want.Samples() {
			t.Errorf("%s: duration %d, %t", name, n, ok)
		}
	}
	for name, in := range map[string][]byte{
		"R1: empty":                   {},
		"R2: frame too large":         append(frame(9<<3), zeros(1276)...),
		"R2: of two":                  append(frame(9<<3|1), zeros(2*1276)...),
		"R3: odd":                     frame(9<<3|1, 1),
		"R4: no size":                 frame(9<<3 | 2),
		"R4: half a size":             frame(9<<3|2, 252),
		"R4: size too large":          frame(9<<3|2, 3, 1, 1),
		"R5: none":                    frame(9<<3|3, 0x80),
		"R5: 140 ms":                  frame(9<<3|3, 7, 1, 2, 3, 4, 5, 6, 7),
		"R6: no count":                frame(9<<3 | 3),
		"R6: unequal":                 frame(9<<3|3, 2, 1),
		"R6: padding too long":        frame(9<<3|3, 0x41, 3, 1, 1),
		"R6: padding without an end":  frame(9<<3|3, 0x41, 255, 255),
		"R7: too few sizes":           frame(9<<3|3, 0x83, 1),
		"R7: sizes larger than bytes": frame(9<<3|3, 0x82, 9, 1, 1),
	} {
		if got, err := Parse(in); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// reference is the parser of libopus.
type reference struct{ parse native.Func }

func newReference(t testing.TB) reference {
	t.Helper()
	l, err := native.Open(native.Options{Name: "libopus", Package: "libopus0", Files: []string{"libopus.so.0", "libopus.0.dylib"}, Needs: []string{"opus_packet_parse"}})
	if err != nil {
		t.Fatal(err)
	}
	return reference{l.Func("opus_packet_parse")}
}

// count is the number of frames, and the size of the first one; negative for
// what is no packet.
func (r reference) count(b []byte) (n, first int) {
	var sizes [48]int16
	got := r.parse.Call6(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, uintptr(unsafe.Pointer(&sizes)), 0)
	return int(int32(got)), int(sizes[0])
}

func FuzzPacket(f *testing.F) {
	for _, seed := range [][]byte{{}, {0x48}, {0x4b, 0xc3, 2, 2, 1, 0x40, 0x40, 7, 8, 8, 0, 0}, {0x4a, 2, 1, 1, 9}, {0xfd, 1, 2, 3, 4}, bytes.Repeat([]byte{0xff}, 300)} {
		f.Add(seed)
	}
	ref := newReference(f)
	native, err := NewDecoder(Options{Channels: 2})
	if err != nil {
		f.Fatal(err)
	}
	pure, err := NewDecoder(Options{Absent: true})
	if err != nil {
		f.Fatal(err)
	}
	pcm := make([]int16, 2*MaxFrame)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		count, first := ref.count(b)
		if (err == nil) != (count > 0) {
			t.Fatalf("%x: we say %v, libopus %d", b, err, count)
		}
		if err != nil {
			return
		}
		if p.Count != count || p.Empty != (first <= 1) {
			t.Fatalf("%x: %+v, libopus sees %d frames, the first of %d bytes", b, p, count, first)
		}
		if n, ok := Duration(b); !ok || n != p.Samples() {
			t.Fatalf("%x: duration %d of %d", b, n, p.Samples())
		}
		for _, d := range []*Decoder{native, pure} {
			n, err := d.Decode(pcm, b)
			if err != nil && !errors.Is(err, ErrPacket) || err == nil && n != p.Samples()*d.channels {
				t.Fatalf("%x: %d values of %+v, %v", b, n, p, err)
			}
			d.Conceal(pcm[:100])
			if n, err := d.Recover(pcm[:p.Frame*d.channels], b); err != nil && !errors.Is(err, ErrPacket) || n != 0 && n != p.Frame*d.channels {
				t.Fatalf("%x: recovered %d values of %+v, %v", b, n, p, err)
			}
		}
	})
}
