package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// At every length, a journal that was cut there reads as far as its last whole
// block.
func TestTruncationAtEveryByte(t *testing.T) {
	want := sample()
	whole, err := os.ReadFile(build(t, want))
	if err != nil {
		t.Fatal(err)
	}
	offsets := blockOffsets(whole)
	for n := range len(whole) + 1 {
		r, err := NewReader(bytes.NewReader(whole[:n]), int64(n), "cut")
		if n < offsets[1] {
			if !errors.Is(err, ErrNoHeader) && !errors.Is(err, ErrNotJournal) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		blocks := 0 // of entries, whole ones
		for blocks+2 < len(offsets) && offsets[blocks+2] <= n {
			blocks++
		}
		got, corrupt := read(t, r)
		if len(corrupt) > 0 || !equal(got, want[:blocks]) || r.Stats().Torn != int64(n-offsets[blocks+1]) {
			t.Fatalf("cut at %d: %d entries, corrupt %v, %+v", n, len(got), corrupt, r.Stats())
		}
	}
}

func TestRepairCutsTheTornTail(t *testing.T) {
	want := sample()
	whole, err := os.ReadFile(build(t, want))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut"+Extension)
	offsets := blockOffsets(whole)
	var cuts []int
	for _, at := range offsets {
		cuts = append(cuts, at, at+1, at+frameSize, at-1)
	}
	for _, n := range cuts {
		if n > len(whole) || n < 0 {
			continue
		}
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		h, end, endErr := Ending(path)
		rep, err := Repair(path, nil)
		if n < offsets[1] {
			if err == nil || endErr == nil || rep.Begun {
				t.Fatalf("cut at %d: %v, %v", n, err, endErr)
			}
			continue
		}
		if err != nil || endErr != nil || h.Call != "c1" || (end != nil) != (n == len(whole)) {
			t.Fatalf("cut at %d: %v, ending %v, %v", n, err, end, endErr)
		}
		if rep.Size+rep.Torn != int64(n) || rep.Damaged != 0 || rep.Ended != (n == len(whole)) || !slices.Contains(offsets, int(rep.Size)) {
			t.Fatalf("cut at %d: %+v", n, rep)
		}
		if again, err := Repair(path, nil); err != nil || again.Torn != 0 || again.Size != rep.Size {
			t.Fatalf("repairing twice: %v, %+v", err, again)
		}
	}
}

// A flipped bit costs its block and no other.
func TestEveryBitFlipCostsOneBlock(t *testing.T) {
	want := sample()
	whole, err := os.ReadFile(build(t, want))
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		r, err := NewReader(bytes.NewReader(bad), int64(len(bad)), "flipped")
		if err != nil { // the one header of this short journal, or its version
			var c *CorruptError
			if !errors.As(err, &c) || i > 700 {
				t.Fatalf("byte %d: %v", i, err)
			}
			continue
		}
		got, corrupt := read(t, r)
		if lost := len(want) - len(got); lost > 1 {
			t.Fatalf("byte %d cost %d entries", i, lost)
		}
		s := r.Stats()
		if len(got) < len(want) && s.Torn == 0 && len(corrupt) != 1 {
			t.Fatalf("byte %d: corrupt %v, torn %d", i, corrupt, s.Torn)
		}
		for _, c := range corrupt {
			if c.Path != "flipped" || c.Offset > int64(i) || c.Offset+c.Length < int64(i) || c.Error() == "" {
				t.Fatalf("byte %d: %+v", i, c)
			}
		}
	}
}

func TestTheHeaderMayBeLostWhenItIsRestated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a"+Extension)
	w, err := Create(path, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	for _, e := range want {
		put(t, w, e)
		if err := errors.Join(w.Flush(), w.Restate()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[:preambleSize+frameSize+10])
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), path)
	if err != nil {
		t.Fatal(err)
	}
	got, corrupt := read(t, r)
	if !reflect.DeepEqual(r.Header(), header()) || !equal(got, want) || len(corrupt) != 1 {
		t.Fatalf("%d entries, corrupt %v", len(got), corrupt)
	}
}

func TestBlocksThatAreMissingOrForeignAreTold(t *testing.T) {
	whole, err := os.ReadFile(build(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	blocks := blockOffsets(whole)
	third := whole[blocks[3]:blocks[4]]

	missing := slices.Concat(whole[:blocks[3]], whole[blocks[4]:])
	twice := slices.Concat(whole[:blocks[4]], third, whole[blocks[4]:])
	other, err := os.ReadFile(build(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.Concat(whole[:blocks[4]], other[blocks[4]:blocks[5]], whole[blocks[5]:])
	for name, c := range map[string]struct {
		bytes   []byte
		entries int
		err     error
	}{
		"missing": {missing, len(sample()) - 1, ErrMissing},
		"twice":   {twice, len(sample()), ErrMalformed},
		"foreign": {foreign, len(sample()) - 1, ErrMalformed},
	} {
		r, err := NewReader(bytes.NewReader(c.bytes), int64(len(c.bytes)), name)
		if err != nil {
			t.Fatal(err)
		}
		got, corrupt := read(t, r)
		if len(got) != c.entries || len(corrupt) != 1 || !errors.Is(corrupt[0], c.err) {
			t.Errorf("%s: %d entries, %v", name, len(got), corrupt)
		}
	}
}

// blockOffsets finds where blocks begin.
func blockOffsets(b []byte) (out []int) {
	for i := preambleSize; i+frameSize <= len(b); {
		f, err := parseFrame(b[i : i+frameSize])
		if err != nil {
			return out
		}
		out = append(out, i)
		i += frameSize + int(f.length)
	}
	return append(out, len(b))
}

func TestUnknownEntriesArePassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a"+Extension)
	w, err := Create(path, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBlock(1000)
	b.Encoded(append(putEntry(nil, 200, 0, 3, 1), 1, 2, 3))
	b.Packet(2, 0, &Packet{Payload: []byte{1}})
	if err := errors.Join(w.Append(b), w.Close()); err != nil {
		t.Fatal(err)
	}
	r := open(t, path)
	got, corrupt := read(t, r)
	if len(got) != 1 || len(corrupt) != 0 || r.Stats().Unknown != 1 {
		t.Fatalf("%v, %v, %+v", got, corrupt, r.Stats())
	}
}

func TestEntriesThatLieAreTold(t *testing.T) {
	for name, entry := range map[string][]byte{
		"too long":      putEntry(nil, KindPacket, 0, 500, 1),
		"cut head":      {1, 2, 3},
		"short packet":  append(putEntry(nil, KindPacket, 0, 3, 1), 1, 2, 3),
		"short report":  append(putEntry(nil, KindSenderReport, 0, 3, 1), 1, 2, 3),
		"short digit":   append(putEntry(nil, KindDigit, 0, 3, 1), 1, 2, 3),
		"no JSON":       append(putEntry(nil, KindStop, 0, 3, 1), 1, 2, 3),
		"JSON of a map": append(putEntry(nil, KindStop, 0, 2, 1), "[]"...),
	} {
		path := filepath.Join(t.TempDir(), "a"+Extension)
		w, err := Create(path, header(), nil)
		if err != nil {
			t.Fatal(err)
		}
		b := NewBlock(1000)
		b.Encoded(entry)
		if err := w.Append(b); err != nil {
			t.Fatal(err)
		}
		put(t, w, sample()[2])
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, corrupt := read(t, open(t, path))
		if len(got) != 1 || len(corrupt) != 1 || !errors.Is(corrupt[0], ErrMalformed) {
			t.Errorf("%s: %d entries, %v", name, len(got), corrupt)
		}
	}
}

func TestNotAJournal(t *testing.T) {
	version := make([]byte, 100)
	putPreamble(version)
	version[8] = 9
	copy(version[12:16], func() []byte {
		c := checksum(version[:12])
		return []byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24)}
	}())
	for name, c := range map[string]struct {
		bytes []byte
		err   error
	}{
		"empty":         {nil, ErrNotJournal},
		"text":          {bytes.Repeat([]byte("no journal at all\n"), 10000), ErrNotJournal},
		"other version": {version, ErrVersion},
		"only preamble": {func() []byte { b := make([]byte, 16); putPreamble(b); return b }(), ErrNoHeader},
	} {
		_, err := NewReader(bytes.NewReader(c.bytes), int64(len(c.bytes)), name)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestDamageAnywhereLosesOnlyItsBlocks(t *testing.T) {
	want := sample()
	whole, err := os.ReadFile(build(t, want))
	if err != nil {
		t.Fatal(err)
	}
	offsets := blockOffsets(whole)
	rapid.Check(t, func(t *rapid.T) {
		b := slices.Clone(whole)
		from := rapid.IntRange(offsets[1], len(b)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(b)).Draw(t, "to")
		fill := rapid.SliceOfN(rapid.Byte(), to-from, to-from).Draw(t, "bytes")
		copy(b[from:], fill)
		hit := 0
		for i := 1; i+1 < len(offsets); i++ {
			if offsets[i] < to && offsets[i+1] > from && !bytes.Equal(b[offsets[i]:offsets[i+1]], whole[offsets[i]:offsets[i+1]]) {
				hit++
			}
		}
		r, err := NewReader(bytes.NewReader(b), int64(len(b)), "damaged")
		if err != nil {
			t.Fatal(err)
		}
		entries := 0
		for {
			var e Entry
			err := r.Next(&e)
			var bad *CorruptError
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.As(err, &bad) {
				t.Fatal(err)
			}
			if err == nil {
				entries++
			}
		}
		if entries != len(want)-hit {
			t.Fatalf("%d blocks hit, %d of %d entries left", hit, entries, len(want))
		}
	})
}
