package journal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/journal"
	"tapedeck/internal/testkit"
)

// A reader written from docs/format/journal.md alone. It shares nothing with the
// package, so that the document is checked and not only the code.

// fact is an entry as the document tells it.
type fact struct {
	kind, flags byte
	at          int64
	body        []byte
}

// documented reads a journal by the document's rules. It returns the first whole
// header, the entries of all good blocks, and where the torn tail begins.
func documented(file []byte) (header []byte, facts []fact, tail int) {
	le := binary.LittleEndian
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	type block struct {
		kind          byte
		salt, seq     uint32
		from, to, end int
	}
	// A good block by its checksums and flags, wherever it is.
	at := func(i int) (b block, ok bool) {
		if i+28 > len(file) || string(file[i:i+4]) != "\xf7\x54\x44\x42" || le.Uint32(file[i+24:]) != sum(file[i:i+24]) {
			return b, false
		}
		length := int(le.Uint32(file[i+16:]))
		if length < 1 || length > 65536 || file[i+5] != 0 || i+28+length > len(file) || le.Uint32(file[i+20:]) != sum(file[i+28:i+28+length]) {
			return b, false
		}
		return block{file[i+4], le.Uint32(file[i+8:]), le.Uint32(file[i+12:]), i + 28, i + 28 + length, i + 28 + length}, true
	}
	start := 0
	if len(file) >= 16 && string(file[:8]) == "TAPEDECK" && le.Uint32(file[12:]) == sum(file[:12]) && le.Uint32(file[8:]) == 1 {
		start = 16
	}
	var salt uint32
	for i := start; i < len(file) && header == nil; i++ {
		if b, ok := at(i); ok {
			if b.kind == 1 && json.Valid(file[b.from:b.to]) {
				header, salt = file[b.from:b.to], b.salt
			}
			i = b.end - 1
		}
	}
	tail = start
	expected := uint32(0)
	for i := start; header != nil && i < len(file); {
		b, ok := at(i)
		if !ok || b.salt != salt || b.seq < expected || b.kind != 1 && b.kind != 2 {
			i++ // look for the next magic, at any byte
			continue
		}
		expected, i, tail = b.seq+1, b.end, b.end
		if b.kind == 1 {
			continue
		}
		for body := file[b.from:b.to]; len(body) >= 12; {
			n := int(le.Uint16(body[2:]))
			if 12+n > len(body) {
				break
			}
			facts = append(facts, fact{body[0], body[1], int64(le.Uint64(body[4:])), body[12 : 12+n]})
			body = body[12+n:]
		}
	}
	return header, facts, tail
}

// tell says an entry in words that the document's reader and the package's both
// come to.
func (f *fact) tell() string {
	le, b := binary.LittleEndian, f.body
	head := fmt.Sprintf("%d at %d repeat %v ", f.kind, f.at, f.flags&1 != 0)
	switch {
	case f.kind == 1:
		return head + fmt.Sprint(le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:]), le.Uint32(b[8:]), b[12], f.flags&2 != 0, b[13:])
	case f.kind == 2:
		return head + fmt.Sprint(le.Uint16(b), le.Uint32(b[2:]), le.Uint64(b[6:]), le.Uint32(b[14:]), le.Uint32(b[18:]), le.Uint32(b[22:]))
	case f.kind == 14:
		return head + fmt.Sprint(le.Uint16(b), string(b[2]), b[3], int64(le.Uint64(b[4:])), int64(le.Uint64(b[12:])))
	}
	var members map[string]any
	if err := json.Unmarshal(b, &members); err != nil {
		return err.Error()
	}
	return head + fmt.Sprint(members)
}

func tell(e *journal.Entry) string {
	head := fmt.Sprintf("%d at %d repeat %v ", e.Kind, e.At, e.Repeat)
	switch e.Kind {
	case journal.KindPacket:
		p := &e.Packet
		return head + fmt.Sprint(e.Track, p.Seq, p.Time, p.SSRC, p.PT, p.Marker, p.Payload)
	case journal.KindSenderReport:
		r := &e.Report
		return head + fmt.Sprint(e.Track, r.SSRC, r.NTP, r.RTPTime, r.Packets, r.Octets)
	case journal.KindDigit:
		d := &e.Digit
		return head + fmt.Sprint(e.Track, string(d.Key), d.Volume, int64(d.From), int64(d.Length))
	}
	text, err := json.Marshal(&e.Detail)
	if err != nil {
		return err.Error()
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return err.Error()
	}
	return head + fmt.Sprint(members)
}

// read reads with the package.
func read(t interface {
	Helper()
	Fatal(...any)
}, file []byte) (facts []string, tail int64, err error) {
	t.Helper()
	r, err := journal.NewReader(bytes.NewReader(file), int64(len(file)), "test")
	if err != nil {
		return nil, 0, err
	}
	for {
		var e journal.Entry
		err := r.Next(&e)
		var bad *journal.CorruptError
		switch {
		case errors.Is(err, io.EOF):
			return facts, r.Stats().Good, nil
		case errors.As(err, &bad):
			continue
		case err != nil:
			t.Fatal(err)
		}
		facts = append(facts, tell(&e))
	}
}

// someJournal has every kind of entry, restated headers and many blocks.
func someJournal(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.journal")
	wall := time.Unix(1_700_000_000, 0).UTC()
	w, err := journal.Create(path, journal.Header{Recording: "r", Workspace: "w", Channel: "ch", Call: "A", Stereo: true, Masked: true, MaxLength: time.Hour, SampleRate: 16000, Wall: wall, Start: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	track := uint16(0)
	for n := range 40 {
		at := time.Duration(n) * time.Second
		err := errors.Join(
			w.Control(journal.Entry{Kind: journal.Kind(3 + n%11), At: at, Track: track, Repeat: n%5 == 0, Detail: journal.Detail{
				Call: "A", Other: "B", Party: "+351", Role: "caller", Held: n%2 == 0, Wall: wall, Behavior: "skip", Cause: "stopped", Offset: at, From: at / 2, Lost: uint64(n),
				Codecs: []journal.Codec{{PT: 111, Name: "opus", ClockRate: 48000, SampleRate: 48000, Channels: 2}}, Unheard: &journal.Unheard{Foreign: 1, Malformed: 2, Unknown: 3, Overflow: 4},
			}}),
			w.Packet(at, 7, &journal.Packet{Seq: uint16(n), Time: 1 << 31, SSRC: 0xdeadbeef, PT: 96, Marker: n%2 == 0, Payload: bytes.Repeat([]byte{byte(n)}, n)}),
			w.Report(at, 8, &journal.SenderReport{SSRC: 1, NTP: 1 << 63, RTPTime: 2, Packets: 3, Octets: 4}),
			w.Digit(at, 9, &journal.Digit{Key: '#', Volume: 10, From: at - 1, Length: time.Second}),
			w.Flush(),
		)
		if n%10 == 0 {
			err = errors.Join(err, w.Restate())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheDocumentReadsWhatTheCodeWrites(t *testing.T) {
	file := someJournal(t)
	header, facts, tail := documented(file)
	got, good, err := read(t, file)
	if err != nil || good != int64(tail) || tail != len(file) || len(facts) != 160 || len(got) != len(facts) {
		t.Fatalf("%v: the code reads %d entries to %d, the document %d to %d", err, len(got), good, len(facts), tail)
	}
	for i := range facts {
		if want := facts[i].tell(); got[i] != want {
			t.Errorf("entry %d: the code reads\n%s\nthe document\n%s", i, got[i], want)
		}
	}
	var members map[string]any
	if err := json.Unmarshal(header, &members); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "format", "journal.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if !bytes.Contains(text, []byte("`"+name+"`")) {
			t.Errorf("the document does not tell of the header's %s", name)
		}
	}
	// Each kind is named with its number, and each member of a detail.
	for k := journal.Kind(1); k.String() != fmt.Sprintf("kind-%d", k); k++ {
		name := strings.ReplaceAll(k.String(), "-", " ")
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^(\| %d \| %s \||### %d: %s$)`, k, name, k, name))
		if !row.Match(text) {
			t.Errorf("the document does not tell of kind %d, %s", k, name)
		}
	}
	for _, f := range facts {
		if f.kind < 3 || f.kind > 13 {
			continue
		}
		if err := json.Unmarshal(f.body, &members); err != nil {
			t.Fatal(err)
		}
		for name := range members {
			if !bytes.Contains(text, []byte("`"+name+"`")) {
				t.Errorf("the document does not tell of %s", name)
			}
		}
		break
	}
	if sum := fmt.Sprintf("`%08x`", crc32.Checksum([]byte("123456789"), crc32.MakeTable(crc32.Castagnoli))); !bytes.Contains(text, []byte(sum)) {
		t.Errorf("the document's check value is not %s", sum)
	}
}

// The rule of the torn tail and of corrupt parts, as the document gives it, finds
// the same entries as the code, whatever happened to the file.
func TestTheDocumentReadsDamageAsTheCodeDoes(t *testing.T) {
	whole := someJournal(t)
	rapid.Check(t, func(t *rapid.T) {
		file := slices.Clone(whole)
		for range rapid.IntRange(1, 4).Draw(t, "faults") {
			at := rapid.IntRange(0, len(file)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0: // a bit flips
				file[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1: // the rest is not there
				file = file[:max(1, at)]
			case 2: // a part is zero, as an unwritten sector
				clear(file[at:min(len(file), at+rapid.IntRange(1, 600).Draw(t, "size"))])
			case 3: // a part is there twice
				to := min(len(file), at+rapid.IntRange(1, 600).Draw(t, "size"))
				file = slices.Insert(file, at, slices.Clone(file[at:to])...)
			}
		}
		header, facts, tail := documented(file)
		got, good, err := read(t, file)
		if (err == nil) != (header != nil) {
			t.Fatalf("the code says %v, the document finds the header %q", err, header)
		}
		if err != nil {
			return
		}
		if len(got) != len(facts) || good != int64(tail) {
			t.Fatalf("the code reads %d entries to %d, the document %d to %d", len(got), good, len(facts), tail)
		}
		for i := range facts {
			if want := facts[i].tell(); got[i] != want {
				t.Fatalf("entry %d: the code reads\n%s\nthe document\n%s", i, got[i], want)
			}
		}
	})
}
