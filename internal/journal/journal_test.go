package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func header() Header {
	return Header{
		Recording: "0190e2f4-0000-7000-8000-000000000001", Workspace: "w", Channel: "ch", Call: "c1",
		Stereo: true, MaxLength: time.Hour, SampleRate: 8000,
		Wall: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Start: 5 * time.Second,
	}
}

// sample is one entry of each kind.
func sample() []Entry {
	ms := time.Millisecond
	codecs := []Codec{{PT: 0, Name: "PCMU", ClockRate: 8000, SampleRate: 8000, Channels: 1}, {PT: 101, Name: "telephone-event", ClockRate: 8000}}
	return []Entry{
		{Kind: KindTrackOpened, At: 1 * ms, Track: 0, Detail: Detail{Call: "c1", Party: "+351", Role: "caller", Codecs: codecs}},
		{Kind: KindBegin, At: 2 * ms, Detail: Detail{Wall: header().Wall}},
		{Kind: KindPacket, At: 20 * ms, Track: 0, Packet: Packet{Seq: 65535, Time: 1 << 31, SSRC: 0xdeadbeef, PT: 0, Marker: true, Payload: bytes.Repeat([]byte{0x7f}, 160)}},
		{Kind: KindSenderReport, At: 21 * ms, Track: 0, Report: SenderReport{SSRC: 0xdeadbeef, NTP: 1 << 60, RTPTime: 7, Packets: 8, Octets: 9}},
		{Kind: KindTrackOpened, At: 22 * ms, Track: 1, Detail: Detail{Call: "c2", Party: "sip:b@example.com", Role: "callee"}},
		{Kind: KindJoined, At: 23 * ms, Detail: Detail{Call: "c1", Other: "c2"}},
		{Kind: KindTrackChanged, At: 24 * ms, Track: 1, Detail: Detail{Codecs: codecs[:1]}},
		{Kind: KindHeld, At: 25 * ms, Detail: Detail{Call: "c2", Held: true}},
		{Kind: KindPaused, At: 26 * ms, Detail: Detail{Behavior: "skip", Offset: 24 * ms}},
		{Kind: KindResumed, At: 27 * ms, Detail: Detail{Offset: 25 * ms}},
		{Kind: KindGap, At: 28 * ms, Detail: Detail{From: 20 * ms, Lost: 3}},
		{Kind: KindPacket, At: -time.Microsecond, Track: 1, Packet: Packet{PT: 101, Payload: []byte{}}},
		{Kind: KindParted, At: 29 * ms, Detail: Detail{Call: "c1", Other: "c2"}},
		{Kind: KindTrackClosed, At: 30 * ms, Track: 1},
		{Kind: KindStop, At: 31 * ms, Detail: Detail{Cause: "call-ended", Offset: 29 * ms, Wall: header().Wall}},
	}
}

func put(t testing.TB, w *Writer, e Entry) {
	t.Helper()
	var err error
	switch e.Kind {
	case KindPacket:
		err = w.Packet(e.At, e.Track, &e.Packet)
	case KindSenderReport:
		err = w.Report(e.At, e.Track, &e.Report)
	default:
		err = w.Control(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// build writes a journal with a block for each entry.
func build(t testing.TB, entries []Entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a"+Extension)
	w, err := Create(path, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		put(t, w, e)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// read returns all entries and the corrupt parts.
func read(t testing.TB, r *Reader) (entries []Entry, corrupt []*CorruptError) {
	t.Helper()
	for {
		var e Entry
		err := r.Next(&e)
		var bad *CorruptError
		switch {
		case errors.Is(err, io.EOF):
			return entries, corrupt
		case errors.As(err, &bad):
			corrupt = append(corrupt, bad)
			continue
		case err != nil:
			t.Fatal(err)
		}
		e.Packet.Payload = slices.Clone(e.Packet.Payload)
		e.Detail.Track = nil
		entries = append(entries, e)
	}
}

func open(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func equal(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool {
		if x.Kind == KindPacket && len(x.Packet.Payload) == 0 && len(y.Packet.Payload) == 0 {
			x.Packet.Payload, y.Packet.Payload = nil, nil
		}
		return reflect.DeepEqual(x, y)
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := sample()
	r := open(t, build(t, want))
	if !reflect.DeepEqual(r.Header(), header()) {
		t.Fatalf("header %+v", r.Header())
	}
	for range 2 { // Rewind makes no difference
		got, corrupt := read(t, r)
		if len(corrupt) > 0 || !equal(got, want) {
			t.Fatalf("read\n%+v\nwrote\n%+v\ncorrupt %v", got, want, corrupt)
		}
		if s := r.Stats(); s.Torn != 0 || s.Corrupt != 0 || s.Good != r.Size() {
			t.Fatalf("stats %+v", s)
		}
		if err := r.Rewind(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyBlocks(t *testing.T) {
	var want []Entry
	for i := range 5000 {
		want = append(want, Entry{Kind: KindPacket, At: time.Duration(i) * 20 * time.Millisecond, Track: uint16(i % 3), Packet: Packet{
			Seq: uint16(i), Time: uint32(160 * i), SSRC: 7, Payload: bytes.Repeat([]byte{byte(i)}, i%700),
		}})
	}
	path := filepath.Join(t.TempDir(), "a"+Extension)
	w, err := Create(path, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range want {
		put(t, w, e)
	}
	if err := w.Restate(); err != nil { // out of order on purpose: before the last block
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var tee bytes.Buffer
	r := open(t, path)
	r.Tee(&tee)
	if err := r.Rewind(); err != nil {
		t.Fatal(err)
	}
	if got, corrupt := read(t, r); !equal(got, want) || len(corrupt) > 0 {
		t.Fatalf("%d entries, %v", len(got), corrupt)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(tee.Bytes(), file) || int64(len(file)) != w.Size() {
		t.Fatalf("the tee saw %d bytes of %d, the writer says %d", tee.Len(), len(file), w.Size())
	}
}

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
		rep, err := Repair(path)
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
		if again, err := Repair(path); err != nil || again.Torn != 0 || again.Size != rep.Size {
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

func TestCreateDoesNotOverwrite(t *testing.T) {
	path := build(t, nil)
	if _, err := Create(path, header(), nil); !errors.Is(err, os.ErrExist) {
		t.Fatalf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	h := header()
	h.Call = string(make([]byte, 2*MaxDetail))
	if _, err := Create(filepath.Join(t.TempDir(), "a"), h, nil); err == nil {
		t.Error("a header without end was taken")
	}
	if _, err := Encode(&Entry{Kind: KindPacket}); err == nil {
		t.Error("a packet was encoded as control entry")
	}
	if _, err := Encode(&Entry{Kind: KindStop, Detail: Detail{Party: string(make([]byte, 2*MaxDetail))}}); err == nil {
		t.Error("a detail without end was taken")
	}
	b := NewBlock(50)
	if b.Packet(0, 0, &Packet{Payload: make([]byte, 40)}) || b.Len() != 0 {
		t.Error("a block took more than it holds")
	}
	if !b.Packet(0, 0, &Packet{Payload: make([]byte, 25)}) || b.Report(0, 0, &SenderReport{}) || b.Len() != 50 {
		t.Error("a full block took more")
	}
}

// A write that failed half way is written over by the next try.
func TestAppendCanBeTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a"+Extension)
	files := &flaky{}
	w, err := Create(path, header(), files)
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	for i, e := range want {
		put(t, w, e)
		if files.fail = i%2 == 0; files.fail {
			if err := w.Flush(); !errors.Is(err, errFlaky) {
				t.Fatalf("got %v", err)
			}
			files.fail = false
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, corrupt := read(t, open(t, path))
	if !equal(got, want) || len(corrupt) > 0 {
		t.Fatalf("%d entries, %v", len(got), corrupt)
	}
}

var errFlaky = errors.New("flaky")

type flaky struct {
	OS
	fail bool
}

type flakyFile struct {
	File
	of *flaky
}

func (f *flaky) Create(path string) (File, error) {
	file, err := f.OS.Create(path)
	return &flakyFile{file, f}, err
}

func (f *flakyFile) WriteAt(b []byte, off int64) (int, error) {
	if !f.of.fail {
		return f.File.WriteAt(b, off)
	}
	n, err := f.File.WriteAt(b[:len(b)/2], off)
	return n, errors.Join(errFlaky, err)
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

func TestKindNames(t *testing.T) {
	for k := KindPacket; k <= KindStop; k++ {
		if name := k.String(); name == "" || name == fmt.Sprintf("kind-%d", k) {
			t.Errorf("kind %d has no name", k)
		}
	}
	if Kind(99).String() != "kind-99" {
		t.Error(Kind(99).String())
	}
}

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

func BenchmarkBlockPacket(b *testing.B) {
	block, p := NewBlock(8<<10), &Packet{Payload: make([]byte, 160)}
	b.ReportAllocs()
	for b.Loop() {
		if !block.Packet(1, 1, p) {
			block.Reset()
		}
	}
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

func TestPrint(t *testing.T) {
	path := build(t, sample())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Print(&out, open(t, path), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{header().Recording, "track-opened", `"cause":"call-ended"`, "ssrc deadbeef  pt 0  160 bytes marker", "15 entries"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	offsets := blockOffsets(whole)
	whole[offsets[4]+40] ^= 1
	whole = append(whole[:len(whole)-3], 9)
	r, err := NewReader(bytes.NewReader(whole), int64(len(whole)), "damaged")
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	var bad *CorruptError
	if err := Print(&out, r, false); !errors.As(err, &bad) || bad.Offset != int64(offsets[4]) {
		t.Fatal(err)
	}
	for _, want := range []string{"CORRUPT", "torn tail", "no end record", "1 corrupt parts"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "marker") {
		t.Error("packets were not asked for")
	}
}
