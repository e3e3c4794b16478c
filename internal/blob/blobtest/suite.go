package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"tapedeck/internal/blob"
)

// Run runs the suite. fresh makes a new empty bucket for each test.
func Run(t *testing.T, fresh func(t testing.TB) *blob.Bucket) {
	for name, test := range map[string]func(*testing.T, *blob.Bucket){
		"put":             testPut,
		"put file":        testPutFile,
		"replace":         testReplace,
		"together":        testTogether,
		"missing":         testMissing,
		"keys":            testKeys,
		"seek":            testSeek,
		"failed put":      testFailedPut,
		"cancelled":       testCancelled,
		"at once":         testAtOnce,
		"reader survives": testReaderSurvives,
	} {
		t.Run(name, func(t *testing.T) {
			b := fresh(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, b)
		})
	}
}

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func read(t testing.TB, b *blob.Bucket, key string) string {
	t.Helper()
	f, info, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if info.Size != int64(len(data)) {
		t.Errorf("%s: info says %d bytes, there are %d", key, info.Size, len(data))
	}
	return string(data)
}

func wantMissing(t testing.TB, b *blob.Bucket, key string) {
	t.Helper()
	if _, _, err := b.Open(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("open %s: %v", key, err)
	}
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("stat %s: %v", key, err)
	}
}

func testPut(t *testing.T, b *blob.Bucket) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for key, content := range map[string]string{"a": "x", "w/2026/11/22/r.wav": big, "w/2026/11/22/r.json": "", "A-b_c.d/e": "y"} {
		info, err := b.Put(t.Context(), key, iotest.HalfReader(strings.NewReader(content)))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != int64(len(content)) || info.SHA256 != sumOf(content) {
			t.Errorf("%s: %+v", key, info)
		}
		if read(t, b, key) != content {
			t.Errorf("%s: reads differently", key)
		}
		stat, err := b.Stat(t.Context(), key)
		if err != nil || stat.Size != info.Size {
			t.Errorf("%s: %+v, %v", key, stat, err)
		}
		if again, err := b.Verify(t.Context(), key); err != nil || again != info {
			t.Errorf("%s: verified as %+v, %v", key, again, err)
		}
		for range 2 {
			if err := b.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
		wantMissing(t, b, key)
	}
}

// testTogether: what is put together is all there, also when the last of it fails.
func testTogether(t *testing.T, b *blob.Bucket) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("file"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := b.Together(func(b *blob.Bucket) error {
		if info, err := b.PutFile(t.Context(), "a/b/x", path); err != nil || info.SHA256 != sumOf("file") {
			t.Errorf("%+v, %v", info, err)
		}
		_, err := b.Put(t.Context(), "a/b/y", strings.NewReader("bytes"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, "a/b/x") + " " + read(t, b, "a/b/y"); got != "file bytes" {
		t.Errorf("%q", got)
	}
	broken := errors.New("broken")
	err = b.Together(func(b *blob.Bucket) error {
		if _, err := b.Put(t.Context(), "c/z", strings.NewReader("there")); err != nil {
			t.Error(err)
		}
		return broken
	})
	if !errors.Is(err, broken) || read(t, b, "c/z") != "there" {
		t.Errorf("error is %v", err)
	}
	if _, err := b.Put(t.Context(), "c/later", strings.NewReader("alone")); err != nil {
		t.Error(err)
	}
}

func testPutFile(t *testing.T, b *blob.Bucket) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"one", "two"} { // the second replaces the first
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := b.PutFile(t.Context(), "w/f.wav", path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != 3 || info.SHA256 != sumOf(content) || read(t, b, "w/f.wav") != content {
			t.Errorf("%+v", info)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file stayed: %v", err)
		}
	}
	if _, err := b.PutFile(t.Context(), "w/f.wav", path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if read(t, b, "w/f.wav") != "two" {
		t.Error("a failed put changed the blob")
	}
}

func testReplace(t *testing.T, b *blob.Bucket) {
	for _, content := range []string{"long content", "short", ""} {
		if _, err := b.Put(t.Context(), "k", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, b, "k"); got != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
}

func testMissing(t *testing.T, b *blob.Bucket) {
	wantMissing(t, b, "a/b/c")
	if _, err := b.Put(t.Context(), "a/b", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c", "a/c", "A/B"} {
		wantMissing(t, b, key)
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	if read(t, b, "a/b") != "x" {
		t.Error("lost")
	}
	_, err := b.Stat(t.Context(), "a/c")
	if !b.Permanent(err) || b.Permanent(nil) || b.Permanent(errors.New("disk on fire")) {
		t.Error("what is permanent")
	}
}

// badKeys are keys that must never reach a driver.
func badKeys() []string {
	return []string{
		"", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../x", "a/../b", "a/../../b", "./a", "a/.", ".hidden", "a/.b",
		"a\\b", "a\x00b", "a b", "a\n", "c:x", "ä", "a?b", "%2e%2e/x", strings.Repeat("a", 1001),
	}
}

func testKeys(t *testing.T, b *blob.Bucket) {
	for _, key := range badKeys() {
		_, err1 := b.Put(t.Context(), key, strings.NewReader("x"))
		_, err2 := b.PutFile(t.Context(), key, "/dev/null")
		_, _, err3 := b.Open(t.Context(), key)
		_, err4 := b.Stat(t.Context(), key)
		for i, err := range []error{err1, err2, err3, err4, b.Delete(t.Context(), key)} {
			if !errors.Is(err, blob.ErrInvalidKey) || !b.Permanent(err) {
				t.Errorf("%q, method %d: %v", key, i, err)
			}
		}
	}
}

func testSeek(t *testing.T, b *blob.Bucket) {
	if _, err := b.Put(t.Context(), "k", strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	f, _, err := b.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		offset int64
		whence int
		want   string
	}{{5, io.SeekStart, "56"}, {-2, io.SeekEnd, "89"}, {-6, io.SeekCurrent, "45"}} {
		if _, err := f.Seek(c.offset, c.whence); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(f, got); err != nil || string(got) != c.want {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

// testFailedPut: a source that breaks off leaves what was there.
func testFailedPut(t *testing.T, b *blob.Bucket) {
	broken := func() io.Reader {
		return io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	if _, err := b.Put(t.Context(), "a/new", broken()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	wantMissing(t, b, "a/new")
	if _, err := b.Put(t.Context(), "old", strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "old", broken()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if got := read(t, b, "old"); got != "whole" {
		t.Errorf("got %q", got)
	}
}

func testCancelled(t *testing.T, b *blob.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	endless := io.MultiReader(strings.NewReader("first"), readerFunc(func(p []byte) (int, error) {
		cancel() // in the middle
		return len(p), nil
	}))
	if _, err := b.Put(ctx, "k", endless); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutFile(ctx, "k", path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a cancelled put took the file: %v", err)
	}
	wantMissing(t, b, "k")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// testAtOnce: whoever reads while others put sees one of the contents, whole.
func testAtOnce(t *testing.T, b *blob.Bucket) {
	content := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, 64<<10) }
	if _, err := b.Put(t.Context(), "x/k", bytes.NewReader(content(0))); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				// Each writer has a blob of its own, in a directory of its own: there
				// the bytes that Put reads back are its own.
				key := fmt.Sprintf("x/%d/%d", w, i)
				if _, err := b.Put(t.Context(), key, bytes.NewReader(content(w))); err != nil {
					t.Error(err)
				}
				// The shared one may be replaced by another before it is read
				// back, which Put reports.
				if _, err := b.Put(t.Context(), "x/k", bytes.NewReader(content(w))); err != nil && !errors.Is(err, blob.ErrMismatch) {
					t.Error(err)
				}
				got := read(t, b, "x/k")
				if len(got) != 64<<10 || strings.Trim(got, got[:1]) != "" {
					t.Error("a mixture")
				}
			}
		})
	}
	wg.Wait()
}

// testReaderSurvives: deleting does not pull a file away from who reads it.
func testReaderSurvives(t *testing.T, b *blob.Bucket) {
	if _, err := b.Put(t.Context(), "k", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	f, _, err := b.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
}
