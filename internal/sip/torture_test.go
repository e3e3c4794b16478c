package sip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// TestTorture sends the messages of testdata/torture, which are those of RFC 4475 with
// our address in the Via, and some junk. The head of each file says what it is and what
// it gets: the code of the answer, "call" for a call that comes in, nothing for silence.
// After every one of them the next peer is served.
func TestTorture(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	files, err := filepath.Glob("testdata/torture/*.sip")
	must(t, err)
	if len(files) < 30 {
		t.Fatalf("%d messages", len(files))
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		_, rest, _ := strings.Cut(string(text), "\n# want:")
		want, raw, _ := strings.Cut(rest, "\n")
		torture(t, b, filepath.Base(name), strings.ReplaceAll(raw, "\n", "\r\n"), strings.TrimSpace(want))
	}
	for name, raw := range map[string]string{
		"junk":             "hello",
		"zeros":            strings.Repeat("\x00", 100),
		"high bytes":       "\xff\xfe\xfd \x80 \x81\r\n\r\n",
		"keep-alive":       "\r\n\r\n",
		"start line alone": "INVITE sip:a@b SIP/2.0",
		"STUN":             "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl",
	} {
		torture(t, b, name, raw, "")
	}
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_dialogs") == 0 })
	if b.counter(t, "tapedeck_sip_panics_total") != 0 {
		t.Error("faults")
	}
	if b.rejected(t, rejectMalformed) < 8 {
		t.Errorf("%v malformed are counted", b.rejected(t, rejectMalformed))
	}
}

// torture sends one message and looks at what it gets.
func torture(t *testing.T, b *node, name, raw, want string) {
	t.Helper()
	p := siptest.New(t, b.Addr())
	p.Send(raw)
	// The answer to the next one ends the wait.
	p.Send(siptest.Request("OPTIONS sip:next SIP/2.0", "", "Via: SIP/2.0/UDP x;branch=z9hG4bKnext;rport", "From: <sip:a@b>;tag=1",
		"To: <sip:next@b>", "Call-ID: next", "CSeq: 7 OPTIONS"))
	got := ""
	for {
		m, ok := p.Receive(siptest.Patience)
		if !ok {
			t.Fatalf("%s: the agent does not answer any more", name)
		}
		if m.Get("Call-ID") == "next" {
			break
		}
		if m.Code() != 100 {
			got = m.Start[len("SIP/2.0 "):][:3]
		}
	}
	if want == "call" {
		select {
		case in := <-b.calls:
			got = "call"
			must(t, in.Reject(486, ""))
		case <-time.After(siptest.Patience):
		}
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}
