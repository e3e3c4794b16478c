//go:build unix

package fileblob

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tapedeck/internal/blob"
	"tapedeck/internal/testkit"
)

const fullFolder = "FILEBLOB_FULL_FOLDER"

// TestFullDisk: a write that the system cuts short leaves the old blob, no rest,
// and the source. The child gets a limit on file size, which acts as a full disk
// does: in the middle of a write.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	b := blob.New(noLinks(t, filepath.Join(dir, "files")))
	defer b.Close()
	if _, err := b.Put(t.Context(), "k", strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v") //nolint:gosec // this very program
	child.Env = append(os.Environ(), fullFolder+"="+dir)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, _, err := b.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if got := left(t, dir); !slices.Equal(got, []string{"big", "files/k"}) {
		t.Errorf("left %v", got)
	}
}

// TestFullDiskChild is the child of TestFullDisk. Without a folder named to it,
// it has nothing to do.
func TestFullDiskChild(t *testing.T) {
	dir := os.Getenv(fullFolder)
	if dir == "" {
		return
	}
	big := bytes.Repeat([]byte("x"), 1<<20)
	path := testkit.WriteFile(t, dir, "big", string(big))
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100_000, Max: 100_000}); err != nil {
		t.Fatal(err)
	}
	b := blob.New(noLinks(t, filepath.Join(dir, "files")))
	defer b.Close()
	_, put := b.Put(t.Context(), "k", bytes.NewReader(big))
	_, putFile := b.PutFile(t.Context(), "k", path)
	for _, err := range []error{put, putFile} {
		if !errors.Is(err, syscall.EFBIG) || b.Permanent(err) {
			t.Errorf("got %v", err)
		}
	}
}
