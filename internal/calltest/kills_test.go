package calltest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// TestKillsOfTheServer kills the server at random moments, in all the states of
// recordings: asked for, running, paused, just stopped, being made into a file.
// After each start every recording that was answered for reaches its end, and
// running ones lack their last second at most. KILLS_SERVER says how often,
// KILLS_SEED makes the moments of a run again.
func TestKillsOfTheServer(t *testing.T) {
	n := variable(t, "KILLS_SERVER", 4)
	seed := variable(t, "KILLS_SEED", rand.IntN(1<<30))
	testkit.Timeout(t, time.Minute+time.Duration(n)*40*time.Second)
	s := NewStage(t)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	k := serverKills{Stage: s, random: random, seen: map[string]bool{}}
	for i := range n {
		k.round(t, i)
		if t.Failed() {
			t.Fatalf("kill %d of seed %d", i, seed)
		}
	}
	t.Logf("FAULTS|kill -9 of the server at a random moment|%d|%d|%d|–|worst tail %v", n, len(k.seen), k.lost, k.worst.Round(time.Millisecond))
}

func variable(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type serverKills struct {
	*Stage
	random *rand.Rand
	seen   map[string]bool // recordings so far
	lost   int
	worst  time.Duration
}

func (k *serverKills) round(t *testing.T, i int) {
	name := func(n int) string { return fmt.Sprintf("7%03d%d", i, n) }
	asked := map[string]bool{}
	var calls []Call
	for n := range 2 {
		near, far := k.Party(t, callgen.PartyOptions{User: name(2 * n)}), k.Party(t, callgen.PartyOptions{User: name(2*n + 1)})
		call, _ := k.Bridged(t, near, far, `,"record":true`)
		asked[k.Record(t, call.ID, `{"stereo":true}`)] = true
		calls = append(calls, call)
	}
	waits := k.Party(t, callgen.PartyOptions{User: name(4)})
	k.Dial(t, waits, k.Number)
	waiting := k.Record(t, k.CallFrom(t, waits, "ringing").ID, "") // never answered
	paused, stopped := k.Record(t, calls[0].ID, "{}"), k.Record(t, calls[1].ID, "{}")
	asked[waiting], asked[paused], asked[stopped] = true, true, true
	k.Steer(t, calls[0].ID, paused, `{"status":"paused"}`)
	moment := time.NewTimer(time.Duration(k.random.Int64N(int64(1500 * time.Millisecond))))
	<-moment.C
	if k.random.IntN(2) == 0 { // its file is being made
		k.Steer(t, calls[1].ID, stopped, `{"status":"completed"}`)
		moment.Reset(time.Duration(k.random.Int64N(int64(30 * time.Millisecond))))
		<-moment.C
	}
	before := map[string]Recording{}
	for _, r := range k.Recordings(t) {
		before[r.ID] = r
	}
	killed := k.Kill(t)
	k.Restart(t)
	after := map[string]Recording{}
	for _, r := range k.Recordings(t) {
		after[r.ID] = r
		asked[r.ID] = asked[r.ID] || !k.seen[r.ID]
	}
	for id, mine := range asked {
		if _, there := after[id]; mine && !there && len(after) < 99 {
			k.lost++
			t.Errorf("recording %s is not known any more", id)
		}
	}
	for id := range after {
		if !k.seen[id] {
			k.judge(t, id, id == waiting, before[id], killed)
		}
		k.seen[id] = true
	}
}

// judge waits for the end of a recording, and measures what is missing.
func (k *serverKills) judge(t *testing.T, id string, waiting bool, before Recording, killed time.Time) {
	t.Helper()
	r := before
	testkit.Eventually(t, patience, func() bool {
		k.Do(t, http.MethodGet, k.workspacePath()+"/recordings/"+id, "", http.StatusOK, &r)
		return r.Status == "available" || r.Status == "absent" || r.Status == "failed"
	})
	ran := before.Status == "ongoing" || before.Status == "paused"
	if r.Status == "failed" || waiting && r.Status != "absent" || ran && r.EndCause != "node-lost" {
		t.Errorf("recording %s was %s, is %s and ended by %s", id, before.Status, r.Status, r.EndCause)
	}
	if !ran {
		return
	}
	length := time.Duration(0) // of one that was killed before anything of it was on the disk
	if r.Status == "available" {
		length = time.Duration(len(k.Audio(t, id).Sides[0])) * time.Second / 8000
	}
	tail := killed.Sub(instantOf(t, before.StartedAt)) - length
	if before.Status == "paused" {
		return // nothing is taken in a pause, so nothing tells how long it was
	}
	if k.worst = max(k.worst, tail); tail > time.Second {
		t.Errorf("recording %s lost its last %v", id, tail)
	}
}
