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
		"files: %d frames kept, %d lost, %d misplaced, %v moved, all there after %v",
		w.Connected, w.Calls, w.Sent, w.Lost, w.Duplicate, w.Reordered, w.CrossTalk, w.Unmarked,
		w.Latency.Quantile(0.5), w.Latency.Quantile(0.99), w.Latency.Quantile(0.999), w.Latency.Max(), w.Late,
		l.Kept, l.Lost, l.Misplaced, l.Moved, l.ReadyAfter.Round(time.Millisecond))
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
	if l.Lost != 0 || l.Misplaced != 0 || l.Moved != 0 || l.Kept != l.Wire.Sent {
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

// check reads the stamps of a file: which call's it is, what is missing, what is
// on the wrong side, and whether all frames are in line.
func (l *kept) check(t testing.TB, a Audio, id string) {
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
