package calltest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// Peer is another SIP program on this machine.
type Peer struct {
	Port   uint16 // of SIP
	name   string
	cmd    *exec.Cmd
	said   *bytes.Buffer
	exited chan error // sent to once, by the goroutine that waits for the process
}

// Sipp starts sipp with a scenario of testdata and µ-law audio to be streamed
// as RTP. more are its further arguments, the address to call among them.
func Sipp(t testing.TB, scenario string, ulaw []byte, more ...string) *Peer {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "said.ulaw"), ulaw, 0o600); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(testkit.Root(t), "internal", "calltest", "testdata", scenario)
	p := &Peer{Port: freePorts(t, 1), name: "sipp " + scenario}
	args := append([]string{
		"-sf", script, "-i", "127.0.0.1", "-p", strconv.Itoa(int(p.Port)),
		"-mi", "127.0.0.1", "-mp", strconv.Itoa(int(freePorts(t, 100))),
		"-nostdin", "-timeout", "120s",
	}, more...)
	p.run(t, dir, "sipp", args...)
	return p
}

// Baresip starts baresip as a party that says the WAV file in a codec and calls
// uri. The file has the codec's rate and channels as baresip names them: g711 is
// "PCMU/8000/1", g722 "G722/16000/1", opus "opus/48000/2".
func Baresip(t testing.TB, wavFile, uri, module, spoken string) *Peer {
	t.Helper()
	dir := t.TempDir()
	p := &Peer{Port: freePorts(t, 1), name: "baresip"}
	modules := ""
	for _, known := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"} {
		if _, err := os.Stat(known); err == nil {
			modules = known
		}
	}
	media := freePorts(t, 100)
	testkit.WriteFile(t, dir, "config", fmt.Sprintf(`sip_listen 127.0.0.1:%d
net_interface 127.0.0.1
module_path %s
module %s.so
module aufile.so
module_app account.so
module_app menu.so
audio_source aufile,%s
audio_player aufile,%s
audio_alert none,none
rtp_ports %d-%d
`, p.Port, modules, module, wavFile, filepath.Join(dir, "heard.wav"), media, media+98))
	testkit.WriteFile(t, dir, "accounts", fmt.Sprintf("<sip:alice@127.0.0.1:%d>;regint=0;audio_codecs=%s\n", p.Port, spoken))
	testkit.WriteFile(t, dir, "contacts", "")
	p.run(t, dir, "baresip", "-f", dir, "-e", "/dial "+uri)
	return p
}

func (p *Peer) run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	p.said, p.exited = &bytes.Buffer{}, make(chan error, 1)
	// Ended by the cleanup: the test's context ends before it.
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.said, p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v; scripts/install-test-deps installs what the tests need", program, err)
	}
	cmd, exited := p.cmd, p.exited
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if p.cmd == nil {
			return
		}
		_ = cmd.Process.Kill() // it may have ended by itself
		<-exited
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.said)
		}
	})
}

// Wait waits until the peer has ended well.
func (p *Peer) Wait(t testing.TB, within time.Duration) {
	t.Helper()
	err := testkit.Receive(t, within, p.exited)
	p.cmd = nil
	if err != nil {
		t.Fatalf("%s ended with %v:\n%s", p.name, err, p.said)
	}
}

// Quit ends a peer that does not end by itself.
func (p *Peer) Quit(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	p.cmd = nil
}

// freePorts finds n UDP ports in a row that nobody uses, the first one even.
// The system chooses where, above the server's range.
func freePorts(t testing.TB, n int) uint16 {
	t.Helper()
	for range 1000 {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		from := (c.LocalAddr().(*net.UDPAddr).Port + 1) &^ 1
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if from+n < 1<<16 && rowFree(from, n) {
			return uint16(from)
		}
	}
	t.Fatalf("no %d UDP ports in a row are free", n)
	return 0
}

func rowFree(from, n int) bool {
	for p := from; p < from+n; p++ {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p})
		if err != nil {
			return false
		}
		if err := c.Close(); err != nil {
			return false
		}
	}
	return true
}
