package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
)

// callJournal writes a journal of two parties: µ-law with loss, reordering,
// duplicates, a key and a sender report, and Opus with a dynamic payload type.
// It returns what each track's packets are, as tshark shows them.
func callJournal(t *testing.T) (path string, want map[uint32][]string, lost int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "call.journal")
	wall := time.Unix(1_700_000_000, 500_000_000).UTC()
	w, err := journal.Create(path, journal.Header{Recording: "rec-1", Call: "A", SampleRate: 8000, Stereo: true, Wall: wall}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want = map[uint32][]string{}
	note := func(e error) { err = errors.Join(err, e) }
	note(w.Control(journal.Entry{Kind: journal.KindTrackOpened, Track: 0, Detail: journal.Detail{Call: "A", Party: "+351", Role: "caller", Codecs: []journal.Codec{
		{PT: 0, Name: "PCMU", ClockRate: 8000}, {PT: 101, Name: "telephone-event", ClockRate: 8000},
	}}}))
	note(w.Control(journal.Entry{Kind: journal.KindTrackOpened, Track: 1, Detail: journal.Detail{Call: "B", Party: "sip:b@example.com", Role: "callee"}}))
	note(w.Control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: wall}}))
	note(w.Control(journal.Entry{Kind: journal.KindJoined, Detail: journal.Detail{Call: "A", Other: "B"}}))
	note(w.Control(journal.Entry{Kind: journal.KindTrackChanged, Track: 1, Detail: journal.Detail{Codecs: []journal.Codec{{PT: 111, Name: "opus", ClockRate: 48000, Channels: 2}}}}))
	at := time.Duration(0)
	packet := func(track uint16, p journal.Packet) {
		note(w.Packet(at, track, &p))
		stamp := wall.Add(at)
		mark := "0"
		if p.Marker {
			mark = "1"
		}
		want[p.SSRC] = append(want[p.SSRC], fmt.Sprintf("%d.%09d|%d|%d|%d|%s|%d", stamp.Unix(), stamp.Nanosecond(), p.Seq, p.Time, p.PT, mark, len(p.Payload)))
	}
	for i := range 200 {
		at += 20*time.Millisecond + time.Duration(i%7)*time.Microsecond
		seq := i
		switch {
		case i%10 == 5:
			seq++ // two in the wrong order
		case i%10 == 6:
			seq--
		}
		if i%25 == 23 {
			lost++
		} else {
			packet(0, journal.Packet{Seq: uint16(65503 + seq), Time: uint32(160 * seq), SSRC: 0x1111, Marker: i == 0, Payload: bytes.Repeat([]byte{byte(i)}, 160)})
		}
		packet(1, journal.Packet{Seq: uint16(i), Time: uint32(960 * i), SSRC: 0x2222, PT: 111, Payload: []byte{0xf8, 0xff, 0xfe}})
		if i == 100 {
			note(w.Flush()) // a block of its own
			packet(0, journal.Packet{Seq: uint16(65503 + seq), Time: uint32(160 * seq), SSRC: 0x1111, Payload: bytes.Repeat([]byte{byte(i)}, 160)})
			note(w.Report(at, 0, &journal.SenderReport{SSRC: 0x1111, NTP: 1 << 62, RTPTime: 16000, Packets: 100, Octets: 16000}))
			note(w.Digit(at, 0, &journal.Digit{Key: '5', From: at, Length: time.Millisecond}))
			note(w.Control(journal.Entry{Kind: journal.KindHeld, At: at, Detail: journal.Detail{Call: "B", Held: true}}))
		}
	}
	note(w.Control(journal.Entry{Kind: journal.KindStop, At: at + time.Millisecond, Detail: journal.Detail{Cause: "stopped"}}))
	note(w.Close())
	if err != nil {
		t.Fatal(err)
	}
	return path, want, lost
}

func tshark(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tshark", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %s: %v\n%s", args, err, &said)
	}
	return strings.TrimSpace(string(out))
}

// TestJournalAsCapture: what tshark reads is what the journal holds, packet by
// packet, by nothing but the capture itself; and what it counts as lost is what
// the receipt says.
func TestJournalAsCapture(t *testing.T) {
	path, want, lost := callJournal(t)
	to := filepath.Join(t.TempDir(), "call.pcapng")
	var out bytes.Buffer
	if err := (&journalInspectCmd{File: path, Pcapng: to}).Run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if n := len(want[0x1111]) + len(want[0x2222]); !strings.Contains(out.String(), fmt.Sprintf("%s: %d RTP packets\n", to, n)) || !strings.Contains(out.String(), `key '5'`) {
		t.Errorf("it said\n%s", &out)
	}
	got := map[uint32][]string{}
	args := []string{"-r", to, "-Y", "rtp", "-T", "fields", "-E", "separator=|"}
	for _, f := range []string{"rtp.ssrc", "frame.time_epoch", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "udp.length"} {
		args = append(args, "-e", f)
	}
	for line := range strings.Lines(tshark(t, args...)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		ssrc, err := strconv.ParseUint(fields[0], 0, 32)
		if err != nil || len(fields) != 7 {
			t.Fatalf("%q: %v", line, err)
		}
		size, err := strconv.Atoi(fields[6])
		if err != nil {
			t.Fatal(err)
		}
		mark := strings.NewReplacer("True", "1", "False", "0").Replace(fields[5])
		got[uint32(ssrc)] = append(got[uint32(ssrc)], strings.Join(fields[1:5], "|")+"|"+mark+"|"+strconv.Itoa(size-8-12))
	}
	for ssrc, list := range want {
		if !slices.Equal(got[ssrc], list) {
			t.Errorf("of %08x tshark reads %d packets, want %d:\n%s\nwant\n%s", ssrc, len(got[ssrc]), len(list),
				strings.Join(got[ssrc], "\n"), strings.Join(list, "\n"))
		}
	}
	streams := tshark(t, "-r", to, "-q", "-z", "rtp,streams")
	for _, line := range []string{
		fmt.Sprintf(`198.18.0.1 20000 198.19.255.254 20000 0x00001111 g711U %d`, len(want[0x1111])),
		fmt.Sprintf(`198.18.0.2 20002 198.19.255.254 20002 0x00002222 opus %d`, len(want[0x2222])),
	} {
		if !strings.Contains(strings.Join(strings.Fields(streams), " "), line) {
			t.Errorf("%q is not in\n%s", line, streams)
		}
	}
	// tshark counts by the numbers that it expects, so that a duplicate hides a loss.
	if want := fmt.Sprintf(" %d (", lost-1); !strings.Contains(streams, want) {
		t.Errorf("lost are %q packets, tshark says\n%s", want, streams)
	}
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	plan, err := render.Make(j, render.Layout{Stereo: true})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := plan.File(t.Context(), filepath.Join(t.TempDir(), "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if tr := receipt.Tracks[0]; tr.Lost != int64(lost) || tr.Duplicate != 1 {
		t.Errorf("the receipt says %d lost and %d doubled", tr.Lost, tr.Duplicate)
	}
	names := tshark(t, "-r", to, "-Y", "rtcp.pt == 200 || frame.comment", "-T", "fields", "-e", "frame.interface_name", "-e", "rtcp.timestamp.rtp", "-e", "frame.comment")
	for _, part := range []string{"track 0 caller +351", "16000", "begin", "joined"} {
		if !strings.Contains(names, part) {
			t.Errorf("%q is not in %q", part, names)
		}
	}
}

// A damaged journal gives the capture of what is left, and says what is wrong; a
// place that cannot be written leaves nothing.
func TestCaptureOfBadInput(t *testing.T) {
	path, _, _ := callJournal(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "call.pcapng")
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(path, append(whole, whole[300:700]...), 0o600); err != nil {
		t.Fatal(err)
	}
	var bad *journal.CorruptError
	if err := (&journalInspectCmd{File: path, Pcapng: to}).Run(t.Context(), &bytes.Buffer{}); err != nil && !errors.As(err, &bad) {
		t.Fatal(err)
	}
	tshark(t, "-r", to, "-q", "-z", "rtp,streams")
	dir := t.TempDir()
	if err := (&journalInspectCmd{File: path, Pcapng: filepath.Join(dir, "none", "x")}).Run(t.Context(), &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&journalInspectCmd{File: path, Pcapng: filepath.Join(dir, "x")}).Run(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, files left: %v", err, left)
	}
}

// What codecs mean is known by a repeated entry when the first one was lost; so many
// entries that no packet was between do not make a block that nobody reads; and what
// a party calls itself does nothing to who reads it.
func TestCaptureOfOddJournals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.journal")
	wall := time.Unix(1_700_000_000, 0).UTC()
	w, err := journal.Create(path, journal.Header{Recording: "r\r\nTo: x", Call: "A", SampleRate: 8000, Wall: wall}, nil)
	if err != nil {
		t.Fatal(err)
	}
	note := func(e error) { err = errors.Join(err, e) }
	note(w.Control(journal.Entry{Kind: journal.KindTrackOpened, Detail: journal.Detail{Call: "A", Party: "p\u009b2J"}}))
	changed := journal.Entry{Kind: journal.KindTrackChanged, Repeat: true, At: time.Millisecond, Detail: journal.Detail{Codecs: []journal.Codec{{PT: 111, Name: "opus", ClockRate: 48000, Channels: 2}}}}
	note(w.Control(changed))
	note(w.Control(changed))
	for i := range 6000 {
		note(w.Control(journal.Entry{Kind: journal.KindHeld, At: time.Duration(i), Detail: journal.Detail{Call: strings.Repeat("x", 3500)}}))
	}
	for i := range 3 {
		note(w.Packet(time.Second, 0, &journal.Packet{Seq: uint16(i), Time: uint32(960 * i), SSRC: 0x2222, PT: 111, Payload: []byte{0xf8, 0xff, 0xfe}}))
	}
	if note(w.Close()); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "odd.pcapng")
	if err := (&journalInspectCmd{File: path, Pcapng: to}).Run(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(tshark(t, "-r", to, "-q", "-z", "rtp,streams")), " "); !strings.Contains(got, "0x00002222 opus 3 ") {
		t.Errorf("tshark reads %s", got)
	}
	if got := strings.Count(tshark(t, "-r", to, "-Y", "sip"), "\n") + 1; got != 4 {
		t.Errorf("%d SIP messages, want those of two offers", got)
	}
	raw, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("\u009b")) || bytes.Contains(raw, []byte("\nTo: x.")) {
		t.Error("control characters are in the capture")
	}
	if !bytes.Contains(raw, []byte("and 5000 more entries")) {
		t.Error("entries are missing without a word")
	}
}
