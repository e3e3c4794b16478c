package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func FuzzReader(f *testing.F) {
	whole, err := os.ReadFile(build(f, sample()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add(slices.Concat(whole[:300], whole[400:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), int64(len(b)), "fuzz")
		if err != nil {
			var bad *CorruptError
			if !errors.As(err, &bad) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		rep, err := r.Inspect()
		if err != nil {
			t.Fatal(err)
		}
		if rep.Torn < 0 || rep.Lost+rep.Torn > int64(len(b)) {
			t.Fatalf("%+v of %d bytes", rep, len(b))
		}
		var e Entry
		if err := r.Next(&e); !errors.Is(err, io.EOF) {
			t.Fatalf("after the end: %v", err)
		}
	})
}

// The checksums keep nearly all random bytes from the entries, so these are
// fuzzed behind a right one.
func FuzzEntries(f *testing.F) {
	for _, e := range sample() {
		b := NewBlock(1000)
		switch e.Kind {
		case KindPacket:
			b.Packet(e.At, e.Track, &e.Packet)
		case KindSenderReport:
			b.Report(e.At, e.Track, &e.Report)
		case KindDigit:
			b.Digit(e.At, e.Track, &e.Digit)
		default:
			encoded, err := Encode(&e)
			if err != nil {
				f.Fatal(err)
			}
			b.Encoded(encoded)
		}
		f.Add(b.buf[frameSize:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 || len(body) > MaxBody {
			return
		}
		w := &Writer{salt: 1, head: []byte(`{"recording":"r","call":"c"}`)}
		file := make([]byte, preambleSize)
		putPreamble(file)
		file = append(file, w.headerBlock()...)
		w.seq = 1
		b := NewBlock(len(body))
		b.buf = append(b.buf, body...)
		w.seal(b.buf, kindEntries)
		file = append(file, b.buf...)
		r, err := NewReader(bytes.NewReader(file), int64(len(file)), "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		rep, err := r.Inspect()
		if err != nil || rep.Torn != 0 {
			t.Fatalf("%v, %+v", err, rep)
		}
		if s := r.Stats(); s.Entries+s.Unknown+s.Corrupt == 0 {
			t.Fatalf("%d bytes left no trace: %+v", len(body), s)
		}
	})
}

func TestSealAllocatesNothing(t *testing.T) {
	s := newSealing()
	if got := testing.AllocsPerRun(1000, s.packet); got != 0 || s.w.seq == 0 {
		t.Errorf("%v allocations a packet, %d blocks", got, s.w.seq)
	}
}

// BenchmarkSeal puts a packet into a block, and seals the blocks that are full, as
// they are written.
func BenchmarkSeal(b *testing.B) {
	s := newSealing()
	b.ReportAllocs()
	for b.Loop() {
		s.packet()
	}
}

type sealing struct {
	w     Writer
	block *Block
	p     Packet
}

func newSealing() *sealing {
	return &sealing{block: NewBlock(8 << 10), p: Packet{Payload: make([]byte, 160)}}
}

func (s *sealing) packet() {
	if s.block.Packet(1, 1, &s.p) {
		return
	}
	s.w.seal(s.block.buf, kindEntries)
	s.w.seq++
	s.block.Reset()
	s.block.Packet(1, 1, &s.p)
}

func BenchmarkReader(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a"+Extension)
	w, err := Create(path, header(), nil)
	if err != nil {
		b.Fatal(err)
	}
	p := &Packet{Payload: make([]byte, 160)}
	for i := range 100_000 {
		if err := w.Packet(time.Duration(i), 0, p); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	r := open(b, path)
	b.SetBytes(w.Size())
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Rewind(); err != nil {
			b.Fatal(err)
		}
		var e Entry
		for r.Next(&e) == nil {
		}
	}
}
