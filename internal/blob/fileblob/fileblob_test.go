package fileblob

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/blob"
	"tapedeck/internal/blob/blobtest"
	"tapedeck/internal/testkit"
)

func newDriver(t testing.TB, dir string) *Driver {
	t.Helper()
	d, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBucket(t *testing.T) {
	blobtest.Run(t, func(t testing.TB) *blob.Bucket {
		return blob.New(newDriver(t, filepath.Join(t.TempDir(), "files")))
	})
}

// noLinks is a folder on another file system than the files put into it.
func noLinks(t testing.TB, dir string) *Driver {
	d := newDriver(t, dir)
	d.link = func(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EXDEV} }
	return d
}

func TestBucketOfAnotherFileSystem(t *testing.T) {
	blobtest.Run(t, func(t testing.TB) *blob.Bucket {
		return blob.New(noLinks(t, t.TempDir()))
	})
}

// left lists all files below a folder.
func left(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMoves: on the same file system no byte is copied.
func TestMoves(t *testing.T) {
	dir := t.TempDir()
	d := newDriver(t, filepath.Join(dir, "files"))
	b := blob.New(d)
	defer b.Close()
	path := testkit.WriteFile(t, dir, "x.wav", "content")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutFile(t.Context(), "a/x.wav", path); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dir, "files", "a", "x.wav"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("another file: %v", err)
	}
	if got := left(t, dir); !slices.Equal(got, []string{"files/a/x.wav"}) {
		t.Errorf("left %v", got)
	}
}

// TestSymbolicLinks: a link in the folder leads nowhere outside of it, and a
// link that is put is copied, not moved.
func TestSymbolicLinks(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := testkit.WriteFile(t, outside, "secret", "secret")
	b := blob.New(newDriver(t, filepath.Join(dir, "files")))
	defer b.Close()
	for name, target := range map[string]string{"dir": outside, "file": secret, "up": "../outside"} {
		if err := os.Symlink(target, filepath.Join(dir, "files", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file", "up/secret"} {
		if f, _, err := b.Open(t.Context(), key); err == nil {
			t.Errorf("%s was opened: %v", key, f.Close())
		}
		if err := b.Delete(t.Context(), key); err == nil {
			t.Errorf("%s was deleted", key)
		}
	}
	for _, key := range []string{"dir/new", "up/new"} {
		if _, err := b.Put(t.Context(), key, strings.NewReader("x")); err == nil {
			t.Errorf("%s was put", key)
		}
		if _, err := b.PutFile(t.Context(), key, testkit.WriteFile(t, dir, "f", "x")); err == nil {
			t.Errorf("%s was put", key)
		}
	}
	if got := left(t, outside); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("outside: %v", got)
	}
	if got := left(t, filepath.Join(dir, "files", incoming)); len(got) > 0 {
		t.Errorf("incoming: %v", got)
	}

	link := filepath.Join(dir, "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutFile(t.Context(), "copy", link); err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Lstat(filepath.Join(dir, "files", "copy")); err != nil || !stat.Mode().IsRegular() {
		t.Errorf("%v, %v", stat, err)
	}
}

// TestClearsIncoming: what a crash left is removed, what is being written stays.
func TestClearsIncoming(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	if err := newDriver(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, incoming)
	old := testkit.WriteFile(t, in, "old", "x")
	testkit.WriteFile(t, in, "young", "x")
	ago := time.Now().Add(-2 * abandonedAfter)
	if err := os.Chtimes(old, ago, ago); err != nil {
		t.Fatal(err)
	}
	if err := newDriver(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if got := left(t, in); !slices.Equal(got, []string{"young"}) {
		t.Errorf("left %v", got)
	}
}

func TestNewFails(t *testing.T) {
	dir := t.TempDir()
	file := testkit.WriteFile(t, dir, "file", "x")
	for name, path := range map[string]string{"no parent": filepath.Join(dir, "a", "b"), "a file": file} {
		d, err := New(Options{Dir: path})
		if err == nil {
			t.Errorf("%s: opened, %v", name, d.Close())
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: does not name the folder: %v", name, err)
		}
	}
}

// What is written from memory, as each receipt is, does not cost a buffer each time.
func TestPutMakesNoBuffer(t *testing.T) {
	d := newDriver(t, t.TempDir())
	receipt := make([]byte, 2000)
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if err := d.Put(t.Context(), "a/receipt.json", bytes.NewReader(receipt)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	// The race detector makes the pool forget a quarter of its buffers.
	if n := (after.TotalAlloc - before.TotalAlloc) / times; n > writeBuffer/2 {
		t.Errorf("%d bytes for a receipt of %d", n, len(receipt))
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
