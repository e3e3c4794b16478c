package calltest

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
)

// command runs the program as an operator does, and returns its exit code.
func (p *Program) command(t testing.TB, args ...string) (said string, code int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.binary, args...).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %v", args, err)
	}
	if failed != nil {
		code = failed.ExitCode()
	}
	return string(out), code
}

// expect runs a command and wants its exit code, and what it must say.
func (p *Program) expect(t testing.TB, code int, says string, args ...string) {
	t.Helper()
	if said, got := p.command(t, args...); got != code || !strings.Contains(said, says) {
		t.Errorf("%q ended with %d, want %d and %q:\n%s", args, got, code, says, said)
	}
}

// proof: what was recorded of a call, fetched with its receipt, is proved
// without the server by the key that the server shows; and not when one byte of
// either is another.
func proof(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "5101"}), s.Party(t, callgen.PartyOptions{User: "5102"})
	call, _ := s.Bridged(t, near, far, `,"record":true,"recordStereo":true`)
	near.Play(callgen.PCM(said(300, 900)))
	hearing(t, far, 600*time.Millisecond)
	if err := far.Hangup(); err != nil {
		t.Fatal(err)
	}
	var list struct{ Results []Recording }
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings?sourceId="+call.ID, "", http.StatusOK, &list)
	if len(list.Results) != 1 {
		t.Fatalf("recordings of the call: %+v", list.Results)
	}
	id := s.AwaitRecording(t, list.Results[0].ID, "available").ID

	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	server := []string{"--server", "http://" + s.HTTP, "--data", s.Data}
	s.expect(t, 0, "as the server has it", append([]string{"recording", "download", id, "--out", in("a.wav")}, server...)...)
	s.expect(t, 0, "", append([]string{"recording", "receipt", id, "--out", in("a.json")}, server...)...)
	var key struct{ Algorithm, KeyID, PublicKey, PEM string }
	s.Do(t, http.MethodGet, "/receipt-key", "", http.StatusOK, &key)
	if key.Algorithm != "Ed25519" {
		t.Errorf("the key is %+v", key)
	}
	s.expect(t, 0, key.KeyID, "receipt-key", "--data", s.Data, "--as", "fingerprint")
	s.expect(t, 0, strings.TrimSpace(key.PEM), "receipt-key", "--data", s.Data)

	verify := func(code int, says, file, receipt string) {
		t.Helper()
		s.expect(t, code, says, "recording", "verify", "--key", key.PublicKey, file, receipt)
	}
	verify(0, "complete: everything", in("a.wav"), in("a.json"))
	s.expect(t, 0, "VERIFIED", "recording", "verify", "--journal", filepath.Join(s.Data, "journals", id+".journal"), in("a.wav"), in("a.json"))
	for _, name := range []string{"a.wav", "a.json"} {
		whole, err := os.ReadFile(in(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, 22, len(whole) / 2, len(whole)/2 + 2, len(whole) - 1} {
			changed := bytes.Clone(whole)
			changed[at] ^= 1
			if err := os.WriteFile(in("b"+filepath.Ext(name)), changed, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "a.wav" {
				verify(1, "SHA-256", in("b.wav"), in("a.json"))
			} else {
				verify(1, "is not verified: signature", in("a.wav"), in("b.json"))
			}
		}
	}

	// Rendered again, the file has a receipt of its own.
	s.expect(t, 0, "as the server has it", append([]string{
		"recording", "render", id, "--swap", "--format", "flac", "--out", in("c.flac"), "--receipt", in("c.json"),
	}, server...)...)
	verify(0, "flac, compared as a whole", in("c.flac"), in("c.json"))
	verify(1, "SHA-256", in("a.wav"), in("c.json"))
	verify(1, "a FLAC file: this receipt is of the WAV file", in("c.flac"), in("a.json"))
	s.expect(t, 0, "as the server has it", append([]string{"recording", "download", id, "--format", "flac", "--out", in("d.flac")}, server...)...)
}
