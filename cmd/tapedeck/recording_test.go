package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/keys"
	"tapedeck/internal/receipt"
	"tapedeck/internal/testkit"
	"tapedeck/internal/verify"
)

// execute runs the program.
func execute(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return out.String(), errs.String(), code
}

// provenRecording renders the journal of a short call, signed, and returns the
// directory: key, a.wav, a.json, and the path of the journal.
func provenRecording(t *testing.T) (dir, journal string) {
	t.Helper()
	dir, journal = t.TempDir(), shortJournal(t)
	out, errs, code := execute(t, "journal", "render", "--out", filepath.Join(dir, "a.wav"), "--receipt", filepath.Join(dir, "a.json"), journal)
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	key, err := keys.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := os.ReadFile(filepath.Join(dir, "a.json"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.Sign(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, dir, "unsigned.json", string(unsigned))
	testkit.WriteFile(t, dir, "a.json", string(signed))
	return dir, journal
}

func TestReceiptKey(t *testing.T) {
	dir := t.TempDir()
	if _, errs, code := administer(t, dir, "receipt-key"); code != 1 || !strings.Contains(errs, "first start") {
		t.Errorf("no key: exit %d: %s", code, errs)
	}
	key, err := keys.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public()
	for as, want := range map[string]string{"pem": public.PEM(), "base64": public.Base64() + "\n", "fingerprint": public.ID() + "\n"} {
		if out, errs, code := administer(t, dir, "receipt-key", "--as", as); code != 0 || out != want {
			t.Errorf("%s: exit %d: %q, want %q: %s", as, code, out, want, errs)
		}
	}
	var all receipt.Published
	out, _, _ := administer(t, dir, "receipt-key", "--as", "json")
	if err := json.Unmarshal([]byte(out), &all); err != nil || all != public.Published() {
		t.Errorf("%v: %s", err, out)
	}
	if private, err := os.ReadFile(keys.Path(dir)); err != nil || strings.Contains(string(private), public.Base64()) {
		t.Errorf("%v", err)
	}
}

func TestRecordingVerify(t *testing.T) {
	dir, journal := provenRecording(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	pem, _, _ := administer(t, dir, "receipt-key")
	raw, _, _ := administer(t, dir, "receipt-key", "--as", "base64")
	testkit.WriteFile(t, dir, "key.pem", pem)
	sound, err := os.ReadFile(in("a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	sound[len(sound)/2] ^= 1
	testkit.WriteFile(t, dir, "b.wav", string(sound))
	account, err := os.ReadFile(in("a.json"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, dir, "b.json", strings.Replace(string(account), `"lost": 0`, `"lost": 1`, 1))

	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"good":             {[]string{in("a.wav"), in("a.json")}, 0, "compare the fingerprint"},
		"key file":         {[]string{in("a.wav"), in("a.json"), "--key", in("key.pem"), "--journal", journal}, 0, "VERIFIED"},
		"key":              {[]string{in("a.wav"), in("a.json"), "--key", strings.TrimSpace(raw)}, 0, "VERIFIED"},
		"other key":        {[]string{in("a.wav"), in("a.json"), "--key", "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="}, 1, "signed by another key"},
		"file changed":     {[]string{in("b.wav"), in("a.json")}, 1, "is not verified: SHA-256"},
		"receipt changed":  {[]string{in("a.wav"), in("b.json")}, 1, "is not verified: signature"},
		"receipt unsigned": {[]string{in("a.wav"), in("unsigned.json")}, 1, "no signature"},
		"other journal":    {[]string{in("a.wav"), in("a.json"), "--journal", in("a.wav")}, 1, "is not verified: journal"},
		"swapped":          {[]string{in("a.json"), in("a.wav")}, 1, "not a signed receipt"},
		"no file":          {[]string{in("none.wav"), in("a.json")}, 1, "none.wav"},
		"no receipt":       {[]string{in("a.wav"), in("none.json")}, 1, "none.json"},
		"empty key":        {[]string{in("a.wav"), in("a.json"), "--key", ""}, 1, "--key is empty"},
		"empty journal":    {[]string{in("a.wav"), in("a.json"), "--journal="}, 1, "--journal is empty"},
		"bad key":          {[]string{in("a.wav"), in("a.json"), "--key", "x"}, 1, "neither a file nor a key"},
		"bad key file":     {[]string{in("a.wav"), in("a.json"), "--key", in("a.wav")}, 1, "not an Ed25519 public key"},
		"private key":      {[]string{in("a.wav"), in("a.json"), "--key", keys.Path(dir)}, 1, "private key"},
		"no arguments":     {nil, 2, "expected"},
	} {
		out, errs, code := execute(t, append([]string{"recording", "verify"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q:\n%s%s", name, code, c.code, c.says, out, errs)
		}
	}
	var report verify.Report
	out, _, code := execute(t, "recording", "verify", "--json", in("b.wav"), in("a.json"))
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.Verified || len(report.Summary) == 0 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

func TestSignalIsNamed(t *testing.T) {
	signal := errors.New("interrupt signal received")
	ctx, cancel := context.WithCancelCause(t.Context())
	if got := told(ctx, fs.ErrExist); !errors.Is(got, fs.ErrExist) || errors.Is(got, signal) {
		t.Errorf("without one: %v", got)
	}
	cancel(signal)
	for _, err := range []error{context.Canceled, signal, fmt.Errorf("fetch: %w", signal)} {
		if got := told(ctx, err); !errors.Is(got, err) || strings.Count(got.Error(), signal.Error()) != 1 {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestOnThisMachine(t *testing.T) {
	for server, want := range map[string]bool{
		"http://127.0.0.1:8080": true, "127.8.0.1:8080": true, "localhost": true, "http://[::1]:8080/": true, ":8080": true, "[::ffff:127.0.0.1]:1": true, "0.0.0.0:8080": true,
		"192.0.2.1": false, "https://recorder.example": false, "http://127.0.0.1.example:80": false, "http://localhost@192.0.2.1": false, "http://a b": false, "127.1": false,
	} {
		if got := onThisMachine(server); got != want {
			t.Errorf("%s: %t", server, got)
		}
	}
}
