package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// shortJournal writes the journal of one second of a party.
func shortJournal(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.journal")
	w, err := journal.Create(path, journal.Header{Recording: "rec-1", Call: "A", SampleRate: 8000, Stereo: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	control := func(e journal.Entry) { err = errors.Join(err, w.Control(e), w.Flush()) }
	control(journal.Entry{Kind: journal.KindTrackOpened, Detail: journal.Detail{Call: "A", Party: "+351", Role: "caller"}})
	control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: time.Unix(1000, 0)}})
	for i := range 50 {
		err = errors.Join(err, w.Packet(time.Duration(i+1)*20*time.Millisecond, 0, &journal.Packet{
			Seq: uint16(i), Time: uint32(160 * i), SSRC: 1, Payload: bytes.Repeat([]byte{0x55}, 160),
		}))
	}
	control(journal.Entry{Kind: journal.KindStop, At: time.Second, Detail: journal.Detail{Cause: "stopped"}})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJournalInspect(t *testing.T) {
	var out bytes.Buffer
	if err := (&journalInspectCmd{File: shortJournal(t)}).Run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rec-1", "+351", "50  packets on track 0", "stopped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestJournalRender(t *testing.T) {
	dir := t.TempDir()
	mono := false
	c := &journalRenderCmd{File: shortJournal(t), Out: filepath.Join(dir, "a.wav"), Receipt: filepath.Join(dir, "a.json")}
	for channels, stereo := range map[int]*bool{2: nil, 1: &mono} {
		var out bytes.Buffer
		c.Stereo = stereo
		if err := c.Run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(c.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		var receipt render.Receipt
		if err := json.Unmarshal(text, &receipt); err != nil {
			t.Fatal(err)
		}
		if receipt.Samples != 8000 || receipt.Channels != channels || receipt.EndCause != voice.EndStopped {
			t.Errorf("%s", text)
		}
		if err := render.Check(c.Out, receipt); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), receipt.File.SHA256) || !strings.Contains(out.String(), "1s") {
			t.Errorf("it said %q", out.String())
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, files left: %v", err, left)
	}
	c.Out = filepath.Join(dir, "none", "a.wav")
	if err := c.Run(t.Context(), &bytes.Buffer{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Out = filepath.Join(dir, "b.wav")
	if err := c.Run(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, err = os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v, files left: %v", err, left)
	}
}

func TestJournalRepair(t *testing.T) {
	path := shortJournal(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-5); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cut", "whole"} {
		var out bytes.Buffer
		if err := (&journalRepairCmd{File: path}).Run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestJournalCommandsOnOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("this is no journal"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	for name, run := range map[string]func() error{
		"inspect": func() error { return (&journalInspectCmd{File: path}).Run(t.Context(), out) },
		"render":  func() error { return (&journalRenderCmd{File: path, Out: path + ".wav"}).Run(t.Context(), out) },
		"repair":  func() error { return (&journalRepairCmd{File: path}).Run(t.Context(), out) },
	} {
		if err := run(); !errors.Is(err, journal.ErrNotJournal) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJournalIsNotWrittenOver: a slip in a name does not cost the journal, and
// nothing but a file is replaced.
func TestJournalIsNotWrittenOver(t *testing.T) {
	path := shortJournal(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	wav := filepath.Join(dir, "a.wav")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"render":            {[]string{"render", path, "--out", path}, "would be lost"},
		"render, other way": {[]string{"render", path, "--out", filepath.Dir(path) + "/./" + filepath.Base(path)}, "would be lost"},
		"render to a link":  {[]string{"render", path, "--out", link}, "would be lost"},
		"receipt":           {[]string{"render", path, "--out", wav, "--receipt", path}, "would be lost"},
		"receipt, link":     {[]string{"render", path, "--out", wav, "--receipt", link}, "would be lost"},
		"receipt over file": {[]string{"render", path, "--out", wav, "--receipt", wav}, "would be lost"},
		"directory":         {[]string{"render", path, "--out", dir}, "no file"},
		"device":            {[]string{"render", path, "--out", os.DevNull}, "no file"},
		"capture":           {[]string{"inspect", path, "--pcapng", path}, "would be lost"},
		"capture, device":   {[]string{"inspect", path, "--pcapng", os.DevNull}, "no file"},
	} {
		if _, errs, code := execute(t, append([]string{"journal"}, c.args...)...); code != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the journal is not what it was: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, files left: %v", err, left)
	}
}
