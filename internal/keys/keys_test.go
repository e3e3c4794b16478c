package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tapedeck/internal/receipt"
	"tapedeck/internal/testkit"
)

func open(t *testing.T, dir string) *Key {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "first start") {
		t.Errorf("load before the first start: %v", err)
	}
	k := open(t, dir)
	info, err := os.Stat(Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	text, err := os.ReadFile(Path(dir))
	if err != nil || !strings.HasPrefix(string(text), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("not PKCS#8 in PEM: %.30q, %v", text, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("left in the directory: %v, %v", list, err)
	}

	// A restart keeps the key, and does not touch its file.
	again := open(t, dir)
	if !bytes.Equal(again.Public(), k.Public()) {
		t.Error("a restart changed the key")
	}
	if now, err := os.ReadFile(Path(dir)); err != nil || !bytes.Equal(now, text) {
		t.Errorf("a restart changed the file: %v", err)
	}
	if loaded, err := Load(dir); err != nil || !bytes.Equal(loaded.Public(), k.Public()) {
		t.Errorf("load: %v", err)
	}
	if other := open(t, t.TempDir()); bytes.Equal(other.Public(), k.Public()) {
		t.Error("two installations have one key")
	}

	// Copied to another node, it is the same key.
	node := t.TempDir()
	if err := os.WriteFile(Path(node), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if copied := open(t, node); copied.Public().ID() != k.Public().ID() {
		t.Error("a copied key is another one")
	}
}

func TestSign(t *testing.T) {
	k := open(t, t.TempDir())
	signed, err := k.Sign([]byte("{\n  \"samples\": 1\n}"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := receipt.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyBy(k.Public()); err != nil {
		t.Error(err)
	}
	if _, err := k.Sign(signed); err == nil {
		t.Error("signed twice")
	}
}

// TestNotPrinted: no way of printing or logging a key shows its private half.
func TestNotPrinted(t *testing.T) {
	k := open(t, t.TempDir())
	want := "receipt key " + k.Public().ID()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, key := range []any{k, *k} {
			if got := fmt.Sprintf(verb, key); got != want {
				t.Errorf("%s of %T shows %s", verb, key, got)
			}
		}
	}
	if text, err := json.Marshal([]any{k}); err != nil || string(text) != "[{}]" {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

// TestTogether: two that start in one directory at once end up with one key.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			k, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.Public().ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys %v", ids)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good, err := os.ReadFile(func() string { dir := t.TempDir(); open(t, dir); return Path(dir) }())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"empty":          {"", 0o600, "damaged"},
		"cut":            {string(good[:60]), 0o600, "damaged"},
		"rubbish":        {"no key", 0o600, "damaged"},
		"public":         {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n-----END PUBLIC KEY-----\n", 0o600, "no PRIVATE KEY"},
		"no PKCS#8":      {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600, "damaged"},
		"X25519":         {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n", 0o600, "no Ed25519"},
		"huge":           {strings.Repeat("x", maxFile+1), 0o600, "damaged"},
		"world-readable": {string(good), 0o644, "chmod 600"},
		"group-readable": {string(good), 0o640, "chmod 600"},
		"world-writable": {string(good), 0o602, "chmod 600"},
	} {
		dir := t.TempDir()
		testkit.WriteFile(t, dir, FileName, c.text)
		if err := os.Chmod(Path(dir), c.mode); err != nil {
			t.Fatal(err)
		}
		for _, open := range []func(string) (*Key, error){Open, Load} {
			_, err := open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), Path(dir)) {
				t.Errorf("%s: %v, want something about %q and the path", name, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), string(good[30:60])) {
				t.Errorf("%s: the error shows the key: %v", name, err)
			}
		}
		if now, err := os.ReadFile(Path(dir)); err != nil || string(now) != c.text {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(Path(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); err == nil {
		t.Error("a key in a directory that is not there")
	}
}
