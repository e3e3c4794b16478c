package blob_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/blob"
	"tapedeck/internal/testkit"
)

// liar is a driver that keeps something else than what it is given.
type liar struct {
	blob.Driver

	keeps string
}

type content struct{ *strings.Reader }

func (content) Close() error { return nil }

func (l liar) Put(_ context.Context, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (l liar) PutFile(context.Context, string, string) (bool, error) { return false, nil }

func (l liar) Open(context.Context, string) (io.ReadSeekCloser, blob.Info, error) {
	return content{strings.NewReader(l.keeps)}, blob.Info{}, nil
}

func (l liar) Permanent(error) bool { return false }

// TestVerifies: a disk that says yes and keeps something else is found out, and
// the source is kept.
func TestVerifies(t *testing.T) {
	for _, keeps := range []string{"", "conten", "Content", "content and more"} {
		b := blob.New(liar{keeps: keeps})
		_, err := b.Put(t.Context(), "k", strings.NewReader("content"))
		if !errors.Is(err, blob.ErrMismatch) || b.Permanent(err) {
			t.Errorf("put, kept %q: %v", keeps, err)
		}
		path := testkit.WriteFile(t, t.TempDir(), "f", "content")
		if _, err := b.PutFile(t.Context(), "k", path); !errors.Is(err, blob.ErrMismatch) {
			t.Errorf("put file, kept %q: %v", keeps, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the source is gone: %v", err)
		}
	}
	b := blob.New(liar{keeps: "content"})
	path := testkit.WriteFile(t, t.TempDir(), "f", "content")
	if _, err := b.PutFile(t.Context(), "k", path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was copied is still there: %v", err)
	}
}

// TestSummedBy: large files are summed by who was asked to, alone and together with
// others; what it says counts, its error too.
func TestSummedBy(t *testing.T) {
	small, large := testkit.WriteFile(t, t.TempDir(), "f", "content"), testkit.WriteFile(t, t.TempDir(), "f", strings.Repeat("content", 1<<18))
	calls := 0
	var fault error
	b := blob.New(liar{keeps: ""}).SummedBy(func(ctx context.Context, r io.Reader) (blob.Info, error) {
		calls++
		info, err := blob.Sum(ctx, r)
		return info, errors.Join(err, fault)
	})
	for path, want := range map[string]int{small: 0, large: 1} {
		calls = 0
		err := b.Together(func(b *blob.Bucket) error {
			_, err := b.PutFile(t.Context(), "k", path)
			return err
		})
		if !errors.Is(err, blob.ErrMismatch) || calls != want {
			t.Errorf("%v after %d calls, want %d", err, calls, want)
		}
	}
	fault = errors.New("no")
	if _, err := b.PutFile(t.Context(), "k", large); !errors.Is(err, fault) {
		t.Errorf("the fault is %v", err)
	}
}

// TestCheckKey: what is let through can be a path below a folder on any system.
func TestCheckKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(
			rapid.StringMatching(`[a-z./\\_-]{0,12}`), rapid.String(), rapid.StringN(990, 1010, 1010),
		).Draw(t, "key")
		err := blob.CheckKey(key)
		if err != nil && !errors.Is(err, blob.ErrInvalidKey) {
			t.Fatalf("%q: %v", key, err)
		}
		safe := key != "" && len(key) <= 1000 && !strings.ContainsAny(key, "\\\x00: ") && key[0] != '/' &&
			!strings.HasSuffix(key, "/") && !strings.Contains(key, "//") && key[0] != '.' && !strings.Contains(key, "/.")
		if err == nil && !safe {
			t.Fatalf("%q was let through", key)
		}
	})
}
