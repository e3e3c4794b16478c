package verify

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tapedeck/internal/receipt"
	"tapedeck/internal/render"
	"tapedeck/internal/testkit"
	"tapedeck/internal/wav"
)

// document reads docs/format/receipt.md.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "format", "receipt.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the code between two marks of the document.
func block(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(document(t), "<!-- "+name+" -->\n```")
	code, _, end := strings.Cut(rest, "```\n<!-- end of "+name+" -->")
	_, code, line := strings.Cut(code, "\n")
	if !found || !end || !line {
		t.Fatalf("the document has no code marked %q", name)
	}
	return code
}

// TestDocumentNamesEveryMember: whoever reads a receipt finds all of it in the
// document.
func TestDocumentNamesEveryMember(t *testing.T) {
	text := document(t)
	var look func(reflect.Type)
	seen := map[reflect.Type]bool{}
	look = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || seen[of] || !strings.HasPrefix(of.PkgPath(), "tapedeck/") {
			return
		}
		seen[of] = true
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, `"`+name+`"`) {
				t.Errorf("%s.%s: the document does not speak of %q", of, f.Name, name)
			}
			look(f.Type)
		}
	}
	look(reflect.TypeFor[render.Receipt]())
}

// silence makes the recording of the document's example.
func silence(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewWriter(f, wav.Format{SampleRate: 8000, Channels: 2}, 8000)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.Write(make([]int16, 2*8000)), w.Close(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDocumentedExample: the example of the document is verified, by us and, as
// the document says, by openssl; and not when one byte of it is another.
func TestDocumentedExample(t *testing.T) {
	dir := t.TempDir()
	public, err := receipt.ParsePublicKey([]byte(block(t, "key")))
	if err != nil {
		t.Fatal(err)
	}
	if want := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))[32:]; !bytes.Equal(public, want) {
		t.Errorf("the key is not the one that the document speaks of: %x", public)
	}
	account := block(t, "example")
	testkit.WriteFile(t, dir, "receipt-key.pub", block(t, "key"))
	path := testkit.WriteFile(t, dir, "receipt.json", account)
	silence(t, filepath.Join(dir, "recording.wav"))
	r, err := Run(t.Context(), Options{File: filepath.Join(dir, "recording.wav"), Receipt: path, Key: public})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Verified {
		t.Errorf("%s", printed(t, r))
	}

	recipe := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", block(t, "recipe"))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := recipe()
	if err != nil || !strings.Contains(out, "Signature Verified Successfully") || !strings.Contains(out, "recording.wav: OK") {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", block(t, "fingerprint"))
	cmd.Dir = dir
	if id, err := cmd.Output(); err != nil || strings.TrimSpace(string(id)) != public.ID() {
		t.Errorf("fingerprint %q, %v, want %s", id, err, public.ID())
	}
	testkit.WriteFile(t, dir, "receipt.json", strings.Replace(account, `"lost": 1`, `"lost": 0`, 1))
	if out, err := recipe(); err == nil {
		t.Errorf("openssl verifies a changed receipt: %s", out)
	}
	testkit.WriteFile(t, dir, "receipt.json", account)
	testkit.WriteFile(t, dir, "recording.wav", "RIFF")
	if out, err := recipe(); err == nil {
		t.Errorf("the recipe takes another file: %s", out)
	}
}

// TestDocumentedSize: the signature is as long as the document says.
func TestDocumentedSize(t *testing.T) {
	account := block(t, "example")
	member := strings.LastIndex(account, ",\n  \"signature\"")
	if n := len(account) - member - len("\n}\n"); n != 248 || !strings.Contains(document(t), "248 bytes") {
		t.Errorf("the signature has %d bytes", n)
	}
}
