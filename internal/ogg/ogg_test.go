package ogg

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{
			Channels: rapid.IntRange(1, 2).Draw(rt, "channels"), PreSkip: rapid.IntRange(0, 2000).Draw(rt, "preskip"), InputRate: 8000,
			Tags: rapid.SliceOfN(rapid.String(), 0, 3).Draw(rt, "tags"), Serial: rapid.Uint32().Draw(rt, "serial"),
		}
		var b bytes.Buffer
		w, err := NewWriter(&b, o)
		if err != nil {
			rt.Fatal(err)
		}
		var packets [][]byte
		for n := rapid.IntRange(5, 300).Draw(rt, "packets"); n > 0; n-- {
			size := rapid.OneOf(rapid.IntRange(1, 300), rapid.SampledFrom([]int{254, 255, 256, 509, 510, 511, 1275, 4000})).Draw(rt, "size")
			packets = append(packets, bytes.Repeat([]byte{byte(n)}, size))
			if err := w.Packet(packets[len(packets)-1], 960); err != nil {
				rt.Fatal(err)
			}
		}
		end := int64(len(packets)*960 - o.PreSkip - rapid.IntRange(0, 959).Draw(rt, "trim"))
		if err := w.Close(end); err != nil {
			rt.Fatal(err)
		}
		r, err := NewReader(&b)
		if err != nil {
			rt.Fatal(err)
		}
		got := r.Options()
		if got.Channels != o.Channels || got.PreSkip != o.PreSkip || got.Serial != o.Serial || got.InputRate != 8000 || !slices.Equal(got.Tags, o.Tags) {
			rt.Fatalf("wrote %+v, read %+v", o, got)
		}
		for i, want := range packets {
			p, err := r.Packet()
			if err != nil || !bytes.Equal(p, want) {
				rt.Fatalf("packet %d: %d bytes of %d, %v", i, len(p), len(want), err)
			}
		}
		if _, err := r.Packet(); !errors.Is(err, io.EOF) {
			rt.Fatalf("after the end: %v", err)
		}
		if r.Granule() != end+int64(o.PreSkip) {
			rt.Fatalf("it ends at %d, not %d", r.Granule(), end+int64(o.PreSkip))
		}
	})
}

// A second of audio shares a page, and every page but the last ends where its
// packets do.
func TestPages(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, Options{Channels: 1, PreSkip: 312, InputRate: 8000, Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	for range 120 {
		if err := w.Packet(make([]byte, 60), 960); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(120*960 - 312 - 500); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for page := range bytes.SplitSeq(b.Bytes(), []byte("OggS")) {
		if len(page) > 14 {
			got = append(got, int64(page[2])|int64(page[3])<<8|int64(page[4])<<16)
		}
	}
	if want := []int64{0, 0, 48000, 96000, 120*960 - 500}; !slices.Equal(got, want) {
		t.Errorf("pages end at %v, want %v", got, want)
	}
}

func TestImpossibleRequests(t *testing.T) {
	for _, o := range []Options{{}, {Channels: 3}, {Channels: 1, PreSkip: -1}, {Channels: 1, PreSkip: 1 << 16}, {Channels: 1, Tags: []string{string(make([]byte, 70000))}}} {
		if _, err := NewWriter(io.Discard, o); err == nil {
			t.Errorf("%d channels, pre-skip %d were taken", o.Channels, o.PreSkip)
		}
	}
	w, err := NewWriter(io.Discard, Options{Channels: 1, PreSkip: 312})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"empty packet": w.Packet(nil, 960), "packet without time": w.Packet([]byte{1}, 0), "packet of 70 kB": w.Packet(make([]byte, 70000), 960),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := w.Packet([]byte{1}, 960); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(1000); err == nil {
		t.Error("it ends after its packets")
	}
	if err := w.Packet([]byte{1}, 960); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := w.Close(0); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := NewWriter(failing{}, Options{Channels: 1}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a disk that is full: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// valid is a short file.
func valid(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Options{Channels: 2, PreSkip: 312, InputRate: 48000, Tags: []string{"TITLE=x"}, Serial: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := w.Packet(bytes.Repeat([]byte{byte(i)}, 200*i+1), 960); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(2000); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// One byte that is changed, or missing, is noticed.
func TestDamageIsNoticed(t *testing.T) {
	good := valid(t)
	read := func(b []byte) error {
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Packet()
		}
		return err
	}
	if err := read(good); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if err := read(bad); !errors.Is(err, ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if err := read(good[:i]); !errors.Is(err, ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	good := valid(f)
	f.Add(good)
	f.Add(good[:60])
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, crc := bytes.Clone(in), newTable()
		// Checksums would keep nearly every input out.
		for at := 0; ; {
			next := bytes.Index(b[at:], []byte("OggS"))
			if next < 0 || at+next+headerSize > len(b) {
				break
			}
			at += next
			end := at + headerSize + int(b[at+atSegments])
			if end > len(b) {
				break
			}
			for _, v := range b[at+headerSize : end] {
				end += int(v)
			}
			if end > len(b) {
				break
			}
			clear(b[at+atCRC : at+atCRC+4])
			sum := crc.sum(b[at:end])
			b[at+atCRC], b[at+atCRC+1], b[at+atCRC+2], b[at+atCRC+3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			at = end
		}
		r, err := NewReader(bytes.NewReader(b))
		total := 0
		for err == nil {
			var p []byte
			p, err = r.Packet()
			total += len(p)
		}
		if total > len(b) {
			t.Errorf("%d bytes of packets in %d bytes", total, len(b))
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("an error of its own kind: %v", err)
		}
	})
}
