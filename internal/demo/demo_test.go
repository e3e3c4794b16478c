package demo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/client"
	"tapedeck/internal/render"
	"tapedeck/internal/testkit"
	"tapedeck/internal/verify"
)

// TestRun is the whole main job, as the command does it.
func TestRun(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	dir := t.TempDir()
	var out bytes.Buffer
	picture := filepath.Join(dir, "picture.svg")
	r, err := Run(t.Context(), Options{Data: filepath.Join(dir, "data"), Out: &out, Progress: io.Discard, Picture: picture, Version: "test"})
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{r.Path, r.ReceiptPath, r.KeyPath, picture} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, word := range []string{r.Path, "correlation with what was said 1.0000", "complete, ended by call-ended", "file and receipt are as key", "recording verify --key " + r.KeyPath} {
		if !strings.Contains(out.String(), word) {
			t.Errorf("the report does not say %q", word)
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestJudgeFindsEveryFault: a good result passes, and each thing that can be
// wrong with it is said.
func TestJudgeFindsEveryFault(t *testing.T) {
	good := func() *Result {
		r := &Result{
			Length: time.Second, Shortest: time.Second, Longest: time.Second, Hash: "h",
			Recording: &client.Recording{}, Receipt: &client.Receipt{},
		}
		r.Recording.SHA256, r.Receipt.File.SHA256, r.Receipt.Complete = "h", "h", true
		r.Receipt.Tracks = []client.TrackReceipt{{Received: 50}, {Received: 50}}
		r.Proof = &verify.Report{Verified: true}
		for i := range r.Sides {
			r.Sides[i].Correlation, r.Sides[i].CrossTalk = 1, math.Inf(-1)
		}
		return r
	}
	if err := good().Judge(); err != nil {
		t.Fatalf("a good result: %v", err)
	}
	for says, spoil := range map[string]func(*Result){
		"correlation 0.9000":      func(r *Result) { r.Sides[0].Correlation = 0.9 },
		"correlation NaN":         func(r *Result) { r.Sides[1].Correlation = math.NaN() },
		"-40.0 dB":                func(r *Result) { r.Sides[1].CrossTalk = -40 },
		"silent":                  func(r *Result) { r.Sides[0].Level.RMS = math.Inf(-1) },
		"6ms apart":               func(r *Result) { r.Offset = -6 * time.Millisecond },
		"970ms long":              func(r *Result) { r.Length = 970 * time.Millisecond },
		"6s after the hangup":     func(r *Result) { r.AvailableAfter = 6 * time.Second },
		"not the one of the rece": func(r *Result) { r.Hash = "x" },
		"not verified: SHA-256":   func(r *Result) { r.Proof = &verify.Report{Findings: []render.Finding{{What: render.FindHash}}} },
		"not complete":            func(r *Result) { r.Receipt.Complete = false },
		"knows of 1 tracks":       func(r *Result) { r.Receipt.Tracks = r.Receipt.Tracks[1:] },
		"lost 1 of 51":            func(r *Result) { r.Receipt.Tracks[0].Lost = 1 },
	} {
		r := good()
		spoil(r)
		if err := r.Judge(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "-2ms", "2ms"), says) {
			t.Errorf("%q is not said, but %v", says, err)
		}
	}
}

func TestLane(t *testing.T) {
	pcm := make([]int16, 400)
	for i := range pcm[:200] {
		pcm[i] = 32767
		pcm[i+200] = 3276 // 20 dB below
	}
	rows := lane(append(make([]int16, 200), pcm...), 6, 2)
	if want := []string{"  ██▂▂", "  ████"}; rows[0] != want[0] || rows[1] != want[1] {
		t.Errorf("drawn %q, want %q", rows, want)
	}
	if rows := lane(nil, 3, 1); rows[0] != "   " {
		t.Errorf("nothing is drawn as %q", rows)
	}
}

func TestConversations(t *testing.T) {
	names := Conversations()
	if len(names) != 2 {
		t.Fatalf("there are %v", names)
	}
	for _, name := range names {
		c, err := readConversation(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.caller) != len(c.callee) || len(c.caller)%160 != 0 || len(c.caller) < 12*8000 || len(c.caller) > 15*8000 {
			t.Errorf("%s: %d and %d samples", name, len(c.caller), len(c.callee))
		}
		for i, pcm := range c.said() {
			loud := loudParts(pcm)
			if level := rms(loud); level < -22 || level > -18 {
				t.Errorf("%s, party %d speaks at %.1f dBFS", name, i, level)
			}
		}
	}
	if _, err := readConversation("none"); err == nil || !strings.Contains(err.Error(), "clinic, order") {
		t.Errorf("a conversation that there is not: %v", err)
	}
}

// loudParts leaves out what is silence between sentences.
func loudParts(pcm []int16) (out []int16) {
	for i := 0; i+800 <= len(pcm); i += 800 {
		if part := pcm[i : i+800]; rms(part) > -45 {
			out = append(out, part...)
		}
	}
	return out
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	testkit.Timeout(t, 20*time.Second)
	testkit.NoLeaks(t)
	if _, err := Run(t.Context(), Options{Conversation: "none"}); err == nil {
		t.Error("there is no such conversation")
	}
	file := testkit.WriteFile(t, t.TempDir(), "file", "")
	if _, err := Run(t.Context(), Options{Data: file}); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a file as data directory: %v", err)
	}
}

// TestQuoted: the line that the report offers to be copied is one that a shell
// reads as it was meant.
func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{
		"/a-1/b.wav": "/a-1/b.wav", "/my files/b": "'/my files/b'", "a'b": `'a'\''b'`, "$(x)": "'$(x)'", "": "''",
	} {
		if got := quoted(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
