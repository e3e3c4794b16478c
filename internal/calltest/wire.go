package calltest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// Packet is a UDP packet as it went over the loopback interface.
type Packet struct {
	At       time.Duration // on the capture's clock
	From, To uint16        // ports
	Payload  []byte
}

// Wire is a running capture of the loopback interface.
type Wire struct {
	cmd  *exec.Cmd
	file string
}

// Watch starts a capture of all UDP on loopback. It returns when the capture
// runs.
func Watch(t testing.TB) *Wire {
	t.Helper()
	w := &Wire{file: filepath.Join(t.TempDir(), "wire.pcap")}
	w.cmd = exec.CommandContext(t.Context(), "dumpcap", "-q", "-i", "lo", "-f", "udp", "-B", "16", "-w", w.file)
	said, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatalf("dumpcap: %v; scripts/install-test-deps installs what the tests need", err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "File: ") {
			return w // what it says on ending fits into the pipe
		}
	}
	t.Fatalf("dumpcap did not start: %v", w.cmd.Wait())
	return nil
}

// Stop ends the capture and returns its packets, the oldest first. Only what
// went from or to one of the ports is read.
func (w *Wire) Stop(t testing.TB) []Packet {
	t.Helper()
	w.drain(t)
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		t.Fatalf("dumpcap: %v", err)
	}
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "tshark", "-r", w.file, "-T", "fields",
		"-e", "frame.time_epoch", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "udp.payload")
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v: %s", err, &problems)
	}
	var packets []Packet
	for line := range strings.Lines(out.String()) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("tshark wrote %q", line)
		}
		packets = append(packets, Packet{At: instant(t, f[0]), From: port(t, f[1]), To: port(t, f[2]), Payload: unhex(t, f[3])})
	}
	return packets
}

// drain waits until all that went over the wire so far is in the file: a
// capture that is ended drops what it has not read yet. A packet with a word
// of its own, sent last, shows it.
func (w *Wire) drain(t testing.TB) {
	t.Helper()
	c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(freePorts(t, 1))})
	if err != nil {
		t.Fatal(err)
	}
	word := []byte("drained " + w.file)
	testkit.Eventually(t, patience, func() bool {
		_, _ = c.Write(word) // nobody listens: every second one is refused
		data, err := os.ReadFile(w.file)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(data, word)
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func instant(t testing.TB, s string) time.Duration {
	t.Helper()
	whole, part, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt((part + "000000000")[:9], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(sec)*time.Second + time.Duration(ns)
}

func port(t testing.TB, s string) uint16 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Start is when a stream's first sample was sent, by its promptest packets:
// the earliest that the arrival of any of them allows, given 20 ms of PCMU each.
// That is what a receiver with hindsight knows, and free of the sender's jitter.
func Start(packets []Packet, from uint16) (time.Duration, int) {
	first, n, base := time.Duration(math.MaxInt64), 0, uint32(0)
	for _, p := range packets {
		if p.From != from || len(p.Payload) != 12+160 || p.Payload[0] != 0x80 {
			continue
		}
		at := uint32(p.Payload[4])<<24 | uint32(p.Payload[5])<<16 | uint32(p.Payload[6])<<8 | uint32(p.Payload[7])
		if n == 0 {
			base = at
		}
		n++
		first = min(first, p.At-time.Duration(at-base)*time.Second/8000)
	}
	return first, n
}

// SIP finds when the first SIP message with these words in its first line and
// CSeq went to or from a port.
func SIP(t testing.TB, packets []Packet, fromPort, toPort uint16, line, cseq string) time.Duration {
	t.Helper()
	for _, p := range packets {
		if (fromPort != 0 && p.From != fromPort) || (toPort != 0 && p.To != toPort) {
			continue
		}
		text := string(p.Payload)
		if strings.HasPrefix(text, line) && strings.Contains(text, cseq) {
			return p.At
		}
	}
	t.Fatalf("no SIP message %q from port %d to %d", line, fromPort, toPort)
	return 0
}

// PortOf is the port of an address.
func PortOf(t testing.TB, address string) uint16 {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port()
}

// mediaPort is the RTP port that the peer with this SIP port named in its SDP.
func mediaPort(t testing.TB, packets []Packet, sip uint16) uint16 {
	t.Helper()
	for _, p := range packets {
		if p.From != sip {
			continue
		}
		if _, rest, found := strings.Cut(string(p.Payload), "\nm=audio "); found {
			number, _, _ := strings.Cut(rest, " ")
			return port(t, number)
		}
	}
	t.Fatalf("no SDP from port %d", sip)
	return 0
}
