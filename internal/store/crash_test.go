package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// crashDatabase names the database to the child of TestCrash.
const crashDatabase = "STORE_CRASH_DATABASE"

// TestCrashChild is the child of TestCrash: it writes until it is killed.
// Without a database named to it, it has nothing to do.
func TestCrashChild(t *testing.T) {
	if path := os.Getenv(crashDatabase); path != "" {
		t.Fatal(writeForEver(path))
	}
}

// writeForEver prints the number of each call whose Update returned, from
// several writers at once.
func writeForEver(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: path})
	if err != nil {
		return err
	}
	failed := make(chan error) // a writer that fails sends, and the process ends
	for w := range 4 {
		go func() {
			for n := w; ; n += 4 {
				err := db.Update(ctx, func(tx *store.Tx) error { return tx.PutCall(crashCall(n)) })
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(os.Stdout, "call %d\n", n)
			}
		}()
	}
	return <-failed
}

func crashCall(n int) voice.Call {
	at := time.Unix(1_800_000_000+int64(n), 0)
	return voice.Call{
		ID: voice.CallID(fmt.Sprint("call-", n)), Workspace: "w", Channel: "c",
		Status: voice.CallOngoing, CreatedAt: at, UpdatedAt: at,
	}
}

// TestCrash: what Update returned for is there after kill -9, and nothing is
// there in part.
func TestCrash(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	path := filepath.Join(t.TempDir(), store.FileName)
	var told []int
	for round := range 3 {
		told = append(told, crash(t, path, 60+40*round)...)
		db, err := store.Open(t.Context(), store.Options{URL: path, MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			for _, n := range told {
				c, err := tx.Call("w", "c", crashCall(n).ID)
				if err != nil {
					return fmt.Errorf("call %d: %w", n, err)
				}
				if c.Status != voice.CallOngoing {
					return fmt.Errorf("call %d is %s", n, c.Status)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// crash lets a child write, kills it after it reported n calls, and returns all
// that it reported.
func crash(t *testing.T, path string, n int) (told []int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$") //nolint:gosec // this very program
	child.Env = append(os.Environ(), crashDatabase+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var call int
		if _, err := fmt.Sscanf(lines.Text(), "call %d", &call); err != nil {
			continue // cut off by the kill, or a line of the test binary
		}
		told = append(told, call)
		if len(told) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	if len(told) < n {
		t.Fatalf("the child reported %d calls, want %d", len(told), n)
	}
	return told
}
