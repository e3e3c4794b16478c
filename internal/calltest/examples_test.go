package calltest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/speech"
	"tapedeck/internal/testkit"
)

// TestExamples builds each program of examples/ and lets it serve a call.
func TestExamples(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	s := NewStage(t)
	for name, play := range map[string]func(*testing.T, *Stage){
		"ivr":       menuOfKeys,
		"voicemail": answeringMachine,
		"recorder":  inlineRecorder,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, s)
		})
	}
}

// example is a running program of examples/.
type example struct {
	mu    sync.Mutex
	lines []string
	read  chan struct{} // closed when it says nothing any more
}

// example builds a program of examples/ and starts it against the server, as its
// user would. It is interrupted when the test ends, and must then end well.
func (s *Stage) example(t *testing.T, name string, args ...string) *example {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "./examples/"+name)
	build.Dir = testkit.Root(t)
	if raceDetector {
		build.Args = append(build.Args[:2:2], append([]string{"-race"}, build.Args[2:]...)...)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	e := &example{read: make(chan struct{})}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Env = append(os.Environ(), "TAPEDECK_SERVER=http://"+s.HTTP, "TAPEDECK_DATA="+s.Data)
	cmd.SysProcAttr = endsWithParent()
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			e.mu.Lock()
			e.lines = append(e.lines, lines.Text())
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Errorf("%s has ended by itself: %v", name, err)
		}
		<-e.read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v: %s", name, err, &faults)
		}
		t.Logf("%s said:\n%s", name, strings.Join(e.lines, "\n"))
	})
	return e
}

// says waits until the program has said something that holds all words.
func (e *example) says(t *testing.T, words ...string) string {
	t.Helper()
	var found string
	testkit.Eventually(t, time.Minute, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, line := range e.lines {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

// speaking waits until the party hears somebody speak.
func speaking(t *testing.T, p *callgen.Party) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() bool {
		pcm, rate, err := p.Audio()
		return err == nil && len(pcm) > rate && audio.Measure(pcm[len(pcm)-rate/2:]).RMS > -35
	})
}

// menuOfKeys: who presses 2 while the menu is spoken talks to support, and to
// nobody else, and the talk is on both sides of the file.
func menuOfKeys(t *testing.T, s *Stage) {
	sales, support := s.Party(t, callgen.PartyOptions{User: "sales"}), s.Party(t, callgen.PartyOptions{User: "support"})
	e := s.example(t, "ivr", "-number", "2000", "-sales", sales.URI(), "-support", support.URI())
	e.says(t, "number 2000 is ready")

	caller := s.Party(t, callgen.PartyOptions{User: "15550001"})
	s.Dial(t, caller, "2000").Up(t)
	speaking(t, caller)
	if err := caller.Digits("2"); err != nil {
		t.Fatal(err)
	}
	if err := support.Answered(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.says(t, support.URI(), "is ongoing")
	question, answer := said(300, 1500), said(1700, 3300)
	play(t, caller, support, question)
	play(t, support, caller, answer)
	if err := caller.Hangup(); err != nil {
		t.Fatal(err)
	}
	hearsWhole(t, support, question, "what the caller said, at support")
	hearsWhole(t, caller, answer, "what support said, at the caller")
	if sales.HeardCount() > 0 {
		t.Error("sales was called, too")
	}
	e.says(t, "15550001 is completed")
	e.says(t, "gather: pressed 2")
	e.says(t, "bridge: skipped")

	call := s.CallFrom(t, caller, "completed")
	for _, r := range s.Recordings(t) {
		if r.SourceID != call.ID {
			continue
		}
		s.AwaitRecording(t, r.ID, "available")
		a := s.Audio(t, r.ID)
		found(t, a.Sides[0], question, "left")
		found(t, a.Sides[1], answer, "right")
		return
	}
	t.Error("the talk was not recorded")
}

// answeringMachine: what the caller says after the tone is written down.
func answeringMachine(t *testing.T, s *Stage) {
	dir := t.TempDir()
	e := s.example(t, "voicemail", "-number", "2001", "-save", dir, "-silence", "60")
	e.says(t, "number 2001 takes messages")
	clip, err := voicesOf(t).Synthesize(t.Context(), speech.Utterance{Text: "my telephone number has changed this morning", Locale: "en-US", Voice: "rms"})
	if err != nil {
		t.Fatal(err)
	}

	caller := s.Party(t, callgen.PartyOptions{User: "15550002", Codecs: []string{"G722"}})
	s.Dial(t, caller, "2001").Up(t)
	call := s.CallFrom(t, caller, "ongoing")
	testkit.Eventually(t, time.Minute, func() bool { // after the greeting and the tone
		return slices.ContainsFunc(s.Recordings(t), func(r Recording) bool { return r.SourceID == call.ID && r.Status == "ongoing" })
	})
	await(t, caller.Play(callgen.PCM(clip.At(16000).Samples)).Done())
	if err := caller.Digits("#"); err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Ended(t.Context()); err != nil { // by the flow
		t.Fatal(err)
	}
	line := e.says(t, "15550002 left a message")
	if !strings.Contains(line, "telephone number has changed") {
		t.Errorf("written down was: %s", line)
	}
	kept := strings.TrimSpace(strings.SplitAfter(e.says(t, "kept as"), "kept as")[1])
	if info, err := os.Stat(kept); err != nil || info.Size() < 1000 {
		t.Errorf("%s: %v", kept, err)
	}
}

// inlineRecorder: two talk through the recorder, and its files are the proof.
func inlineRecorder(t *testing.T, s *Stage) {
	dir := t.TempDir()
	callee := s.Party(t, callgen.PartyOptions{User: "desk2"})
	e := s.example(t, "recorder", "-number", "2002", "-to", callee.URI(), "-dir", dir)
	e.says(t, "calls of number 2002")

	caller := s.Party(t, callgen.PartyOptions{User: "15550003"})
	s.Dial(t, caller, "2002").Up(t)
	question, answer := said(400, 1400), said(1800, 3000)
	play(t, caller, callee, question)
	play(t, callee, caller, answer)
	if err := callee.Hangup(); err != nil {
		t.Fatal(err)
	}
	line := e.says(t, "15550003 called 2002", "complete, verified")
	e.says(t, "left 15550003", " 0 lost")
	e.says(t, "right "+callee.URI(), " 0 lost")
	file := strings.SplitAfter(line, "verified: ")[1]
	id := strings.TrimSuffix(filepath.Base(file), ".wav")
	a := s.Audio(t, id)
	found(t, a.Sides[0], question, "left")
	found(t, a.Sides[1], answer, "right")
	key, code := s.command(t, "receipt-key", "--data", s.Data, "--as", "base64")
	if code != 0 {
		t.Fatal(key)
	}
	s.expect(t, 0, "VERIFIED", "recording", "verify", "--key", strings.TrimSpace(key), file, filepath.Join(dir, id+".receipt.json"))
}
