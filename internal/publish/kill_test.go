package publish

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/archive"
	"tapedeck/internal/blob"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

const killEnv = "PUBLISH_KILL_DIR"

// TestKilledInTheMiddle kills a process while it makes a master, another format
// and a render, and starts again on what is left: everything is made, once and
// whole, and no part of a file is anywhere. The process is this test, started
// again.
func TestKilledInTheMiddle(t *testing.T) {
	if root := os.Getenv(killEnv); root != "" {
		makeUntilKilled(t, root)
	}
	for _, c := range []struct {
		name, partial string
		ask           func(t *testing.T, r *rig) (voice.Recording, voice.RenderID)
		stored        []string // when all is made; * is a render
	}{
		{"master", ".wav", func(t *testing.T, r *rig) (voice.Recording, voice.RenderID) {
			rec := r.row(t, voice.RecordingOngoing) // a crash has cut it off already
			r.journal(t, rec.ID, begun)
			return rec, ""
		}, []string{".json", ".peaks", ".wav"}},
		{"format", ".flac", func(t *testing.T, r *rig) (voice.Recording, voice.RenderID) {
			rec := r.published(t)
			r.o.Patience = 1 // nobody makes it here
			if _, err := r.Format(t.Context(), rec, voice.FormatFLAC); voice.CodeOf(err) != voice.CodeNotReady {
				t.Fatal(err)
			}
			return rec, voice.FormatRender(rec.ID, voice.FormatFLAC)
		}, []string{".flac", ".json", ".peaks", ".wav"}},
		{"again", ".flac", func(t *testing.T, r *rig) (voice.Recording, voice.RenderID) {
			rec := r.published(t)
			asked, err := r.Again(t.Context(), rec, voice.Render{Swap: true, Stereo: true, Format: voice.FormatFLAC})
			if err != nil {
				t.Fatal(err)
			}
			return rec, asked.ID
		}, []string{".*.flac", ".*.json", ".json", ".peaks", ".wav"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			before := newRigIn(t, root)
			rec, id := c.ask(t, before)
			killWhenThere(t, root, filepath.Join(before.o.WorkDir, "*"+c.partial+partialExt))

			after := newRigIn(t, root)
			after.nothingAtWork(t)
			if err := after.Recover(t.Context(), after.dir); err != nil {
				t.Fatal(err)
			}
			if err := after.runner(t).Idle(t.Context()); err != nil {
				t.Fatal(err)
			}
			after.nothingAtWork(t)
			got := after.load(t, rec.ID)
			if got.Status != voice.RecordingAvailable {
				t.Fatalf("the recording is %s: %s", got.Status, got.Problem)
			}
			if err := after.o.Archive.Verify(t.Context(), got); err != nil {
				t.Error(err)
			}
			names := after.stored(t, rec)
			if id != "" {
				made := after.render(t, rec, id)
				if data := after.content(t, made); made.Status != voice.RenderAvailable || int64(len(data)) != made.Size {
					t.Errorf("render is %+v, its file has %d bytes", made, len(data))
				}
				for i := range names {
					names[i] = strings.Replace(names[i], string(id), "*", 1)
				}
			}
			if !slices.Equal(names, c.stored) {
				t.Errorf("in the storage: %v, want %v", names, c.stored)
			}
		})
	}
}

// killWhenThere runs a process that does the jobs that are left in a directory,
// and kills it when it has begun a file.
func killWhenThere(t *testing.T, root, pattern string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledInTheMiddle$")
	cmd.Env = append(os.Environ(), killEnv+"="+root)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() bool {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(found, func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > 0
		})
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process ended by itself: %v\n%s", err, &said)
	}
}

// stuck is a storage that never takes a file.
type stuck struct{ blob.Driver }

func (stuck) PutFile(context.Context, string, string) (bool, error) { select {} }

// makeUntilKilled does what is to be done. It never gets to the end of a file,
// however quick the machine is.
func makeUntilKilled(t *testing.T, root string) {
	r := newRigIn(t, root)
	var err error
	if r.o.Archive, err = archive.New(archive.Options{Bucket: blob.New(stuck{r.driver})}); err != nil {
		t.Fatal(err)
	}
	if err := r.Recover(t.Context(), r.dir); err != nil {
		t.Fatal(err)
	}
	r.runner(t)
	select {} // it is killed
}
