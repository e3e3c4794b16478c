package calltest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/audiotest"
	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// What the network does to one party's packets moves nothing in the file: both
// parties count aloud, and every number that could arrive is in its place. A
// slope of a few samples may be fitted to jitter of 60 ms in ten seconds of a busy
// machine; TestImpairments of render, in simulated time, has the narrow limits.
func TestImpairedNetwork(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	s := NewStage(t)
	const ms = time.Millisecond
	for i, c := range []struct {
		name   string
		impair func(r *rand.Rand, n uint64) []time.Duration
		drift  float64       // ppm
		missed int           // marks that may be missing or unreadable
		worst  time.Duration // of a mark from its place among the others
		// apart is that of the sides, beyond what the parties were. When those began
		// is known to a millisecond or two on a busy machine; the test with sipp, which
		// has a capture of the wire, is the exact one.
		apart time.Duration
	}{
		{"clean", nil, 0, 0, 200 * time.Microsecond, 3 * ms},
		{"jitter to 60 ms, out of order", func(r *rand.Rand, _ uint64) []time.Duration {
			return []time.Duration{time.Duration(r.Int64N(int64(60 * ms)))}
		}, 0, 2, 3 * ms, 5 * ms},
		{"duplicates", func(r *rand.Rand, _ uint64) []time.Duration {
			return []time.Duration{0, time.Duration(r.Int64N(int64(50 * ms)))}
		}, 0, 0, ms, 3 * ms},
		{"a tenth is lost", func(r *rand.Rand, _ uint64) []time.Duration {
			if r.IntN(10) == 0 {
				return nil
			}
			return []time.Duration{0}
		}, 0, 35, ms, 3 * ms},
		{"a burst of 300 ms is lost", func(_ *rand.Rand, n uint64) []time.Duration {
			if n >= 250 && n < 265 {
				return nil
			}
			return []time.Duration{0}
		}, 0, 3, ms, 3 * ms},
		// The correction makes some twenty packets in ten seconds a sample shorter. A
		// mark in such a packet cannot be read.
		{"a clock that is 200 ppm fast", nil, 200, 4, 3 * ms, 5 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := callgen.PartyOptions{User: fmt.Sprintf("6%d01", i), Drift: c.drift}
			if c.impair != nil {
				r := rand.New(rand.NewPCG(uint64(i), 7)) // the pacer's alone
				o.Impair = func(n uint64) []time.Duration { return c.impair(r, n) }
			}
			near, far := s.Party(t, o), s.Party(t, callgen.PartyOptions{User: fmt.Sprintf("6%d02", i)})
			call, _ := s.Bridged(t, near, far, "")
			rec := s.Record(t, call.ID, `{"stereo":true}`)
			const marks = 40 // ten seconds
			voices := [2]audiotest.Voice{{ID: 2, Rate: 8000}, {ID: 3, Rate: 8000}}
			at := s.Parties.Now() + 200*ms
			var said [2]*callgen.Playback
			for k, p := range []*callgen.Party{near, far} {
				said[k] = p.PlayAt(at, callgen.PCM(voices[k].Signal(marks)))
			}
			for k, p := range []*callgen.Party{near, far} {
				await(t, said[k].Done())
				hearing(t, p, 200*ms)
			}
			if err := near.Hangup(); err != nil {
				t.Fatal(err)
			}
			s.AwaitRecording(t, rec, "available")
			a := s.Audio(t, rec)
			var got [2]audiotest.Verdict
			for k, v := range voices {
				got[k] = v.Judge(v.Find(a.Sides[k]))
				missed := 0
				if k == 0 {
					missed = c.missed
				}
				if got[k].Marks < marks-missed || !got[k].Order || got[k].Worst > c.worst {
					t.Errorf("side %d: %s; at least %d marks within %v are right", k, got[k], marks-missed, c.worst)
				}
				if n := len(v.Find(a.Sides[1-k])); n > 0 {
					t.Errorf("%d marks of side %d are on the other", n, k)
				}
			}
			begun := [2]time.Duration{}
			for k := range said {
				begun[k], _ = said[k].Began()
			}
			off := (got[1].Begin - got[0].Begin) - (begun[1] - begun[0])
			if off.Abs() > c.apart {
				t.Errorf("the sides are %v apart, %v is right", off, c.apart)
			}
			receipt := s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec+"/receipt", "", http.StatusOK, nil)
			t.Logf("left %s; right %s; apart %v", got[0], got[1], off)
			if t.Failed() {
				t.Logf("%s", receipt)
			}
		})
	}
}
