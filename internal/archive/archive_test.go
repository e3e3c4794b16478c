package archive_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/blob"
	"tapedeck/internal/blob/fileblob"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const wav = "RIFF, let us say"

func recording() voice.Recording {
	return voice.Recording{
		ID: "0193b5a0-0000-7000-8000-000000000001", Workspace: "0193b5a0-0000-7000-8000-00000000000a",
		Status:    voice.RecordingCompleted,
		CreatedAt: time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("east", 2*3600)), // still 2025 in UTC
	}
}

func open(t *testing.T) (a *archive.Archive, dir string) {
	t.Helper()
	dir = t.TempDir()
	driver, err := fileblob.New(fileblob.Options{Dir: filepath.Join(dir, "files")})
	if err != nil {
		t.Fatal(err)
	}
	bucket := blob.New(driver)
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	if a, err = archive.New(archive.Options{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func TestStore(t *testing.T) {
	a, dir := open(t)
	r := recording()
	sum := sha256.Sum256([]byte(wav))
	r.Size, r.SHA256 = int64(len(wav)), hex.EncodeToString(sum[:])
	path := testkit.WriteFile(t, dir, "x.wav", wav)
	file, err := a.Store(t.Context(), r, path, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	const base = "0193b5a0-0000-7000-8000-00000000000a/2025/12/31/recording/0193b5a0-0000-7000-8000-000000000001"
	want := archive.File{Key: base + ".wav", ReceiptKey: base + ".json", Size: r.Size, SHA256: r.SHA256}
	if file != want {
		t.Fatalf("got %+v, want %+v", file, want)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	r.File, r.Receipt = file.Key, file.ReceiptKey
	f, info, err := a.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(data) != wav {
		t.Errorf("%q, %v", data, err)
	}
	if info.Size != r.Size || info.SHA256 != r.SHA256 || info.ModTime.IsZero() {
		t.Errorf("info %+v", info)
	}
	if receipt, err := a.Receipt(t.Context(), r); err != nil || string(receipt) != `{"a":1}` {
		t.Errorf("receipt %q, %v", receipt, err)
	}
	// Again, as after a crash before the row was written.
	if _, err := a.Store(t.Context(), r, testkit.WriteFile(t, dir, "x.wav", wav), []byte(`{}`)); err != nil {
		t.Error(err)
	}

	audio := r
	audio.Receipt = ""
	for range 2 {
		if err := a.Erase(t.Context(), audio); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := a.Open(t.Context(), r); !errors.Is(err, blob.ErrNotExist) || !a.Permanent(err) {
		t.Errorf("open what is erased: %v", err)
	}
	if _, err := a.Receipt(t.Context(), r); err != nil {
		t.Errorf("the receipt went, too: %v", err)
	}
	if err := a.Erase(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Receipt(t.Context(), r); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("receipt of what is erased: %v", err)
	}
}

func TestStoreRefuses(t *testing.T) {
	a, dir := open(t)
	for name, spoil := range map[string]func(*voice.Recording){
		"size": func(r *voice.Recording) { r.Size = 7 },
		"hash": func(r *voice.Recording) { r.SHA256 = strings.Repeat("0", 64) },
	} {
		r := recording()
		spoil(&r)
		_, err := a.Store(t.Context(), r, testkit.WriteFile(t, dir, "x.wav", wav), nil)
		if !errors.Is(err, archive.ErrMismatch) || a.Permanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*voice.Recording){
		"no time":      func(r *voice.Recording) { r.CreatedAt = time.Time{} },
		"no id":        func(r *voice.Recording) { r.ID = "" },
		"no workspace": func(r *voice.Recording) { r.Workspace = "" },
		"id climbs":    func(r *voice.Recording) { r.ID = "../../x" },
	} {
		r := recording()
		spoil(&r)
		path := testkit.WriteFile(t, dir, "y.wav", wav)
		if _, err := a.Store(t.Context(), r, path, nil); err == nil {
			t.Errorf("%s: stored", name)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: refused, but the file is gone: %v", name, err)
		}
	}
	if _, err := a.Store(t.Context(), recording(), filepath.Join(dir, "none.wav"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, _, err := a.Open(t.Context(), recording()); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
	if _, err := archive.New(archive.Options{}); err == nil {
		t.Error("an archive without a bucket")
	}
}
