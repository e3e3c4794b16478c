package calltest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// kept is a load of bridged and recorded calls, and what became of it.
type kept struct {
	Wire       *callgen.LoadReport
	Kept       uint64        // counted frames that are in the files, each once
	Blurred    uint64        // counted frames that are there, stretched by a sample
	Lost       uint64        // counted frames that are not
	Misplaced  uint64        // frames on the wrong side or in another call's file
	Moved      time.Duration // by how much a frame was off its place among the others, at worst
	ReadyAfter time.Duration // from the last hangup to the last file
}

// String is the result for a log.
func (l *kept) String() string {
	w := l.Wire
	return fmt.Sprintf("%d of %d calls; %d frames sent, %d lost, %d twice, %d out of order, %d of others, %d unmarked; "+
		"one way p50 %v, p99 %v, p99.9 %v, worst %v (generator late by %v at worst); "+
		"files: %d frames kept, %d blurred, %d lost, %d misplaced, %v moved, all there after %v",
		w.Connected, w.Calls, w.Sent, w.Lost, w.Duplicate, w.Reordered, w.CrossTalk, w.Unmarked,
		w.Latency.Quantile(0.5), w.Latency.Quantile(0.99), w.Latency.Quantile(0.999), w.Latency.Max(), w.Late,
		l.Kept, l.Blurred, l.Lost, l.Misplaced, l.Moved, l.ReadyAfter.Round(time.Millisecond))
}

// Every frame of a dozen calls comes out at the other end and is in the file of
// its call, on its side, in its place.
func TestEveryFrameIsKept(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	l := runLoad(t, Serve(t, Build(t)), 12, 3*time.Second)
	t.Log(l)
	if w := l.Wire; w.Connected != w.Calls || w.Lost != 0 || w.Duplicate != 0 || w.CrossTalk != 0 || w.Unmarked != 0 {
		t.Error("the relay did not bring every frame, once, to its party")
	}
	// A generator that stumbles on a busy machine moves its own stream by a little;
	// it is brought back by a sample a frame, and such a frame's mark is unreadable.
	if l.Lost != 0 || l.Misplaced != 0 || l.Moved > 2*time.Millisecond || l.Kept+l.Blurred != l.Wire.Sent {
		t.Error("the files do not hold every frame in its place")
	}
}

// runLoad makes calls through the server's inline recorder, and reads every
// frame again in the files.
func runLoad(t testing.TB, p *Program, calls int, talk time.Duration) *kept {
	t.Helper()
	out := &kept{}
	l, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: calls, Talk: talk,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + p.SIP },
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

// check reads the marks of a file.
func (l *kept) check(t testing.TB, a Audio, id string) {
	t.Helper()
	found, err := l.Wire.Audit(a.Sides)
	if err != nil {
		t.Errorf("recording %s: %v", id, err)
	}
	l.Kept += found.Kept
	l.Blurred += found.Blurred
	l.Lost += found.Lost
	l.Misplaced += found.Misplaced
	l.Moved = max(l.Moved, found.Moved)
}
