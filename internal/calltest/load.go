package calltest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// Load is a load of bridged and recorded calls, and what became of it.
type Load struct {
	Wire       *callgen.LoadReport
	Kept       uint64        // counted frames that are in the files, each once
	Lost       uint64        // counted frames that are not
	Misplaced  uint64        // frames on the wrong side or in another call's file
	Moved      time.Duration // by how much a frame was off its place among the others, at worst
	CPU        time.Duration // of the server, while all talked
	Talk       time.Duration
	ReadyAfter time.Duration // from the last hangup to the last file
}

// CPUPerMinute is the server's time on the processor for a minute of one call.
func (l *Load) CPUPerMinute() time.Duration {
	return time.Duration(float64(l.CPU) / float64(l.Wire.Connected) / l.Talk.Minutes())
}

// String is the result for a log.
func (l *Load) String() string {
	w := l.Wire
	return fmt.Sprintf("%d of %d calls; %d frames sent, %d lost, %d twice, %d out of order, %d of others, %d unmarked; "+
		"one way p50 %v, p99 %v, p99.9 %v, worst %v (generator late by %v at worst); "+
		"files: %d frames kept, %d lost, %d misplaced, %v moved, all there after %v; processor %v per call-minute",
		w.Connected, w.Calls, w.Sent, w.Lost, w.Duplicate, w.Reordered, w.CrossTalk, w.Unmarked,
		w.Latency.Quantile(0.5), w.Latency.Quantile(0.99), w.Latency.Quantile(0.999), w.Latency.Max(), w.Late,
		l.Kept, l.Lost, l.Misplaced, l.Moved, l.ReadyAfter.Round(time.Millisecond), l.CPUPerMinute().Round(10*time.Microsecond))
}

// RunLoad makes calls through the server's inline recorder, and reads every
// frame again in the files.
func RunLoad(t testing.TB, p *Program, calls int, talk time.Duration) *Load {
	t.Helper()
	out := &Load{Talk: talk}
	l, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: calls, Talk: talk,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
		Talking: func(on bool) {
			if used := CPUTime(t, p.PID()); on {
				out.CPU = used
			} else {
				out.CPU = used - out.CPU
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.InlineRecorder(t, l.Callees().Port())
	if out.Wire, err = l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, err := range out.Wire.Failures {
		t.Error(err)
	}
	ended := time.Now()
	var list []Recording
	testkit.Eventually(t, patience+talk, func() bool {
		list = p.allRecordings(t)
		return len(list) == out.Wire.Connected && !slices.ContainsFunc(list, func(r Recording) bool { return r.Status != "available" })
	})
	out.ReadyAfter = time.Since(ended)
	for _, r := range list {
		out.check(t, p.Audio(t, r.ID), r.ID)
	}
	return out
}

// allRecordings lists the workspace's recordings, however many.
func (p *Program) allRecordings(t testing.TB) []Recording {
	t.Helper()
	var all []Recording
	for token := ""; ; {
		var page struct {
			Results       []Recording
			NextPageToken string
		}
		p.Do(t, http.MethodGet, p.workspacePath()+"/recordings?limit=99&pageToken="+token, "", http.StatusOK, &page)
		all = append(all, page.Results...)
		if token = page.NextPageToken; token == "" {
			return all
		}
	}
}

// check reads the stamps of a file: which call's it is, what is missing, what is
// on the wrong side, and whether all frames are in line.
func (l *Load) check(t testing.TB, a Audio, id string) {
	t.Helper()
	if len(a.Sides) != 2 {
		t.Fatalf("recording %s has %d sides", id, len(a.Sides))
	}
	call := -1
	for side, pcm := range a.Sides {
		seen := map[uint32]int{} // counter → where the stream would begin
		for i := 0; i+callgen.StampSamples <= len(pcm); {
			s, ok := callgen.ReadStamp(pcm[i:])
			if !ok {
				i++
				continue
			}
			if call < 0 {
				call = int(s.Call)
			}
			switch {
			case int(s.Call) != call || int(s.Leg) != side:
				l.Misplaced++
			case s.Counter > 0:
				seen[s.Counter] = i - 160*int(s.Counter)
			}
			i += callgen.StampSamples
		}
		if call < 0 {
			t.Errorf("side %d of recording %s has no stamp", side, id)
			continue
		}
		sent := l.Wire.Legs[2*call+side].Sent
		l.Kept += uint64(len(seen))
		l.Lost += sent - uint64(len(seen))
		origin := seen[1]
		for _, o := range seen {
			off := time.Duration(o-origin) * time.Second / callgen.Rate
			l.Moved = max(l.Moved, off.Abs())
		}
	}
}

// CPUTime is how much time a process has spent on processors so far.
func CPUTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may hold anything; fields 14 and 15 are user and
	// system time in hundredths of a second (proc(5)).
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// OnOneCore is the program, to be run on the machine's first core alone; the
// caller leaves that core to it.
func OnOneCore(t testing.TB, binary string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "tapedeck-on-one-core")
	text := "#!/bin/sh\nexec taskset -c 0 " + binary + " \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	others := "1-" + strconv.Itoa(cores(t)-1)
	cmd := exec.CommandContext(t.Context(), "taskset", "-a", "-c", "-p", others, strconv.Itoa(os.Getpid()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("taskset: %v\n%s", err, out)
	}
	return script
}

// cores is how many there are, whatever this process is pinned to.
func cores(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	n := strings.Count("\n"+string(text), "\nprocessor")
	if n < 2 {
		t.Fatal("the server gets one core, and the parties need another: this machine has one")
	}
	return n
}
