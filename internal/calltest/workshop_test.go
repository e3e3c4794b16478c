package calltest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// children are the processes that a process has started.
func children(t testing.TB, pid int) (out []int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		// The state and the parent follow the name, which is in parentheses.
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && f[0] != "Z" && f[1] == strconv.Itoa(pid) {
			out = append(out, id)
		}
	}
	return out
}

// Files are made by a process of their own. It is killed while a call is recorded:
// the call goes on, and its file is made by the next one, which ends with the
// server.
func TestFilesAreMadeAside(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	p := Serve(t, Build(t))
	near := Sipp(t, "answered.xml", ulaw(sweep(30, 300, 3300)), "-m", "1", "-s", p.Number, p.SIP)
	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, "")
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/answer", "", http.StatusAccepted, nil)
	p.AwaitDuration(t, rec, time.Second)
	if made := children(t, p.PID()); len(made) != 0 {
		t.Errorf("processes %v before anything is to be made", made)
	}
	// What there is so far, by the first process.
	p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+rec+".flac", "", http.StatusOK, nil)
	first := children(t, p.PID())
	if len(first) != 1 {
		t.Fatalf("processes %v, want one", first)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", first[0])); err != nil || string(name) != "tapedeck-files\n" {
		t.Errorf("its name is %q, %v", name, err)
	}
	if err := syscall.Kill(first[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() bool { return len(children(t, p.PID())) == 0 })
	p.AwaitDuration(t, rec, 2*time.Second)
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/hangup", "", http.StatusAccepted, nil)
	near.Wait(t, patience)
	if r := p.AwaitRecording(t, rec, "available"); r.EndCause != "call-ended" || r.DurationMs < 2000 {
		t.Errorf("the recording ended with %s after %d ms", r.EndCause, r.DurationMs)
	}
	second := children(t, p.PID())
	if len(second) != 1 || second[0] == first[0] {
		t.Fatalf("processes %v, want another one than %v", second, first)
	}
	p.Kill(t)
	testkit.Eventually(t, patience, func() bool { return syscall.Kill(second[0], 0) == syscall.ESRCH })
	p.Restart(t)
}

// With recording.render_process off there is no other process.
func TestFilesAreMadeInTheServer(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	t.Setenv("TAPEDECK_RECORDING_RENDER_PROCESS", "false")
	p := Serve(t, Build(t))
	Sipp(t, "answered.xml", ulaw(sweep(30, 300, 3300)), "-m", "1", "-s", p.Number, p.SIP)
	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, "")
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/answer", "", http.StatusAccepted, nil)
	p.AwaitDuration(t, rec, time.Second)
	p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+rec+".flac", "", http.StatusOK, nil)
	if made := children(t, p.PID()); len(made) != 0 {
		t.Errorf("processes %v", made)
	}
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/hangup", "", http.StatusAccepted, nil)
	p.AwaitRecording(t, rec, "available")
}
