package pcapng

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTshark compares what was written with what tshark reads: names, times to
// the nanosecond, addresses, payloads of every length, comments, checksums.
func TestTshark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, Options{Software: "test", Comment: "the whole of it"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.Stream(Stream{Name: "alice", Description: "says"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Stream(Stream{Name: "bob é"})
	if err != nil {
		t.Fatal(err)
	}
	from, to := netip.MustParseAddrPort("198.18.0.1:4000"), netip.MustParseAddrPort("198.51.100.1:5000")
	var want []string
	at := time.Unix(1_700_000_000, 123_456_789)
	for n := range 9 {
		stream, name, comments := a, "alice", []string(nil)
		if n%2 == 1 {
			stream, name, comments = b, "bob é", []string{"paused", "resumed"}
		}
		if err := w.Packet(stream, at, from, to, bytes.Repeat([]byte{byte(n)}, n), comments...); err != nil {
			t.Fatal(err)
		}
		want = append(want, strings.Join([]string{
			name, stamp(at), "198.18.0.1", "198.51.100.1", "4000", "5000",
			strings.Repeat(fmt.Sprintf("%02x", n), n), strings.Join(comments, ","), "1",
		}, "|"))
		at = at.Add(1_000_000_001)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", path, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"}
	for _, field := range []string{"frame.interface_name", "frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "udp.payload", "frame.comment", "ip.checksum.status"} {
		args = append(args, "-e", field)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, &said)
	}
	if got := strings.Split(strings.TrimSpace(string(out)), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("tshark reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func stamp(at time.Time) string { return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()) }

type broken struct{ left int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWhatCannotBeWritten(t *testing.T) {
	four, six := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:1")
	w, err := NewWriter(&bytes.Buffer{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w.Packet(0, time.Now(), four, four, nil) == nil {
		t.Error("a stream that is not there was taken")
	}
	if _, err := w.Stream(Stream{Name: strings.Repeat("x", 1<<20)}); err != nil {
		t.Error(err)
	}
	if w.Packet(0, time.Now(), four, four, make([]byte, MaxPayload+1)) == nil || w.Packet(0, time.Now(), four, six, nil) == nil {
		t.Error("what IPv4 cannot carry was taken")
	}
	if err := w.Packet(0, time.Now(), four, four, make([]byte, MaxPayload)); err != nil {
		t.Error(err)
	}
	for n := range 3 {
		w, err := NewWriter(&broken{left: n}, Options{})
		if err == nil {
			_, err = w.Stream(Stream{})
		}
		if err == nil {
			err = w.Packet(0, time.Now(), four, four, nil)
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("write %d failed and the error is %v", n, err)
		}
	}
}

// A text that is too long is cut between characters.
func TestLongText(t *testing.T) {
	var out bytes.Buffer
	if _, err := NewWriter(&out, Options{Comment: "x" + strings.Repeat("é", maxOption)}); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(out.Bytes(), []byte("é")); n != (maxOption-1)/2 || bytes.Count(out.Bytes(), []byte{0xc3}) != n {
		t.Errorf("%d characters, %d begun", n, bytes.Count(out.Bytes(), []byte{0xc3}))
	}
}
