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
	"strconv"
	"strings"
	"testing"
	"time"
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
		{Kind: KindDigit, At: 30 * ms, Track: 1, Digit: Digit{Key: '#', Volume: 10, From: 20 * ms, Length: 10 * ms}},
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
	case KindDigit:
		err = w.Digit(e.At, e.Track, &e.Digit)
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

func TestKindNames(t *testing.T) {
	for k := KindPacket; k <= lastKind; k++ {
		if name := k.String(); name == "" || name == fmt.Sprintf("kind-%d", k) {
			t.Errorf("kind %d has no name", k)
		}
	}
	if Kind(99).String() != "kind-99" {
		t.Error(Kind(99).String())
	}
}

// What a party calls itself does nothing to the terminal that it is printed on.
func TestPrintIsVisible(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.journal")
	w, err := Create(path, Header{Recording: "r", Call: "c\u009b2J", SampleRate: 8000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	party := "é\u009b31m\x7f\x1b[2J\u202e\U000e0001"
	if err := errors.Join(w.Control(Entry{Kind: KindTrackOpened, Detail: Detail{Party: party}}), w.Close()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Print(&out, open(t, path), true); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !strconv.IsPrint(r) {
			t.Errorf("it prints %q", r)
		}
	}
	for _, want := range []string{`"c\u009b2J"`, `"party":"é\u009b31m\u007f\u001b[2J\u202e\udb40\udc01"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, &out)
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
	for _, want := range []string{header().Recording, "track-opened", `"cause":"call-ended"`, "ssrc deadbeef  pt 0  160 bytes marker", "16 entries", "key '#'  from 20ms  for 10ms"} {
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
