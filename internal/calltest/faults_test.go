package calltest

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// account is what these tests read of a receipt.
type account struct {
	Complete     bool
	DigitsMasked bool
	EndCause     string
	DurationMs   int64
	Samples      int64
	Gaps         []struct {
		StartMs, EndMs int64
		Lost           int
		Tail           bool
	}
	Tracks []struct{ Received, Lost, Duplicate int }
	Pauses []struct {
		StartMs, EndMs, Sample, Length int64
		PauseBehavior                  string
		Open                           bool
	}
}

// Receipt reads a recording's account.
func (p *Program) receipt(t testing.TB, id string) (a account) {
	t.Helper()
	p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+id+"/receipt", "", http.StatusOK, &a)
	return a
}

// lost is what the gaps say: packets, and how long the lost tail is.
func (a *account) lost() (packets int, tail time.Duration) {
	for _, g := range a.Gaps {
		packets += g.Lost
		if g.Tail {
			tail = max(tail, time.Duration(g.EndMs-g.StartMs)*time.Millisecond)
		}
	}
	return packets, tail
}

const (
	faultCalls = 3
	faultTalk  = 6 * time.Second
	giveUp     = 2 * time.Second
)

// diskFault is one thing that a disk does while calls are recorded.
type diskFault struct {
	name string
	env  []string
	more int           // recordings of each call beside its own
	talk time.Duration // of the calls, where it is to be more than faultTalk
	// run has the fault while all talk; it is told when that ends.
	run func(t *testing.T, h *House, calls []Call, over <-chan struct{})
	// judge looks at one recording and its account.
	judge func(t *testing.T, r Recording, a account)
}

// TestDiskFaultsDoNotDisturbCalls: whatever the disk does, every frame of every
// call arrives once, in its time, and each recording ends and says what it lacks.
func TestDiskFaultsDoNotDisturbCalls(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	for _, f := range diskFaults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.try(t)
		})
	}
}

func (f *diskFault) try(t *testing.T) {
	h := NewHouse(t, giveUp, f.env...)
	talking, over := make(chan struct{}), make(chan struct{})
	load, err := callgen.NewLoad(callgen.LoadOptions{
		Calls: faultCalls, Talk: max(f.talk, faultTalk), Tail: time.Second,
		Dial: func(i int) string { return "sip:" + callgen.LoadNumber(i) + "@" + h.SIP },
		Talking: func(on bool) {
			if on {
				close(talking)
			} else {
				close(over)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.InlineRecorder(t, load.Callees().Port())
	type outcome struct {
		report *callgen.LoadReport
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		report, err := load.Run(t.Context())
		done <- outcome{report, err}
	}()
	await(t, talking)
	var list struct{ Results []Call }
	testkit.Eventually(t, patience, func() bool { // the list is the database's, which follows
		h.Do(t, http.MethodGet, h.workspacePath()+"/channels/calls?direction=incoming&status=ongoing", "", http.StatusOK, &list)
		return len(list.Results) == faultCalls
	})
	for _, c := range list.Results {
		for range f.more {
			h.recordOf(t, c, http.StatusAccepted)
		}
	}
	f.run(t, h, list.Results, over)
	got := testkit.Receive(t, 30*time.Second, done)
	if got.err != nil {
		t.Fatal(got.err)
	}
	r := got.report
	disturbed := r.Lost + r.Duplicate + r.CrossTalk
	for _, failure := range r.Failures {
		t.Error(failure)
	}
	// A call that waited for the disk would wait as long as the disk does.
	worst := r.Latency.Max()
	if r.Connected != faultCalls || disturbed > 0 || worst > time.Second {
		t.Errorf("%d of %d calls; of %d frames %d lost, %d twice, %d to the wrong party; the slowest took %v",
			r.Connected, faultCalls, r.Sent, r.Lost, r.Duplicate, r.CrossTalk, worst)
	}
	var recordings []Recording
	testkit.Eventually(t, patience, func() bool {
		recordings = h.Recordings(t)
		return len(recordings) == faultCalls*(1+f.more)
	})
	packets, tail := 0, time.Duration(0)
	for _, rec := range recordings {
		rec = h.AwaitRecording(t, rec.ID, "available")
		a := h.receipt(t, rec.ID)
		if length := int64(len(h.Audio(t, rec.ID).Sides[0])); length != a.Samples {
			t.Errorf("the file of %s has %d samples, its receipt says %d", rec.ID, length, a.Samples)
		}
		f.judge(t, rec, a)
		n, cut := a.lost()
		packets, tail = packets+n, max(tail, cut)
	}
	t.Logf("FAULTS|disk: %s|%d|%d|0|%d|%d packets, tail %v, all in receipts", f.name, h.Disk.Injected(), len(recordings), disturbed, packets, tail.Round(time.Millisecond))
}

// recordOf asks for another recording of a call, and returns its id.
func (p *Program) recordOf(t testing.TB, c Call, want int) string {
	t.Helper()
	var out struct{ RecordingID string }
	p.Do(t, http.MethodPost, p.callsPathOf(c)+"/"+c.ID+"/recordings", `{"stereo":true}`, want, &out)
	return out.RecordingID
}

// callsPathOf is where calls of the call's channel are.
func (p *Program) callsPathOf(c Call) string {
	return p.workspacePath() + "/channels/" + c.ChannelID + "/calls"
}

// during runs a part of a test for so long after now.
func during(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func whole(t *testing.T, r Recording, a account) {
	t.Helper()
	if n, tail := a.lost(); !a.Complete || r.EndCause != "call-ended" || n > 0 || tail > 0 || a.DurationMs < faultTalk.Milliseconds() {
		t.Errorf("recording %s ended by %s after %d ms, complete %v, %d packets and %v lost", r.ID, r.EndCause, a.DurationMs, a.Complete, n, tail)
	}
}

// broken checks that the receipt tells of a lost tail, and that no more is lost
// than what came after the fault.
func broken(cause string, after time.Duration) func(*testing.T, Recording, account) {
	return func(t *testing.T, r Recording, a account) {
		t.Helper()
		if _, tail := a.lost(); a.Complete || r.EndCause != cause || a.EndCause != cause || tail <= 0 || a.DurationMs < (after-time.Second).Milliseconds() {
			t.Errorf("recording %s ended by %s (receipt: %s) after %d ms, complete %v, tail of %v lost", r.ID, r.EndCause, a.EndCause, a.DurationMs, a.Complete, tail)
		}
	}
}

func diskFaults() []diskFault {
	return []diskFault{
		{name: "full for a while", judge: whole, run: func(t *testing.T, h *House, _ []Call, _ <-chan struct{}) {
			h.Disk.FailWrites(syscall.ENOSPC)
			testkit.Eventually(t, patience, func() bool { return h.Disk.Injected() > 2 })
			h.Disk.Mend()
		}},
		{name: "full for good", judge: broken("storage-failed", time.Second), run: func(t *testing.T, h *House, calls []Call, _ <-chan struct{}) {
			during(t, 1500*time.Millisecond)
			h.Disk.FailWrites(syscall.ENOSPC)
			testkit.Eventually(t, patience, func() bool { return h.Disk.Injected() > 0 })
			h.refuses(t, calls[0]) // new ones
		}},
		{name: "EIO for good", judge: broken("storage-failed", time.Second), run: func(t *testing.T, h *House, calls []Call, _ <-chan struct{}) {
			during(t, 1500*time.Millisecond)
			h.Disk.FailWrites(syscall.EIO)
			h.steerUntilBroken(t, calls)
		}},
		{name: "EIO at the very end", judge: broken("call-ended", faultTalk), run: func(t *testing.T, h *House, _ []Call, over <-chan struct{}) {
			await(t, over)
			h.Disk.FailWrites(syscall.EIO)
		}},
		{name: "fsync fails", judge: func(t *testing.T, r Recording, a account) {
			if a.Complete || r.EndCause != "storage-failed" || a.DurationMs < 1000 {
				t.Errorf("recording %s ended by %s after %d ms, complete %v", r.ID, r.EndCause, a.DurationMs, a.Complete)
			}
		}, run: func(t *testing.T, h *House, _ []Call, _ <-chan struct{}) {
			during(t, 1500*time.Millisecond)
			h.Disk.FailSyncs(syscall.EIO)
		}},
		{name: "stalled, memory runs out", env: []string{"TAPEDECK_RECORDING_BUFFER=1MiB"}, more: 7, talk: 2 * faultTalk, judge: func(t *testing.T, r Recording, a account) {
			// Those that were asked for one after the other, while all talked, are shorter.
			if n, tail := a.lost(); a.Complete || r.EndCause != "call-ended" || n == 0 || tail > 0 || a.DurationMs < (faultTalk/2).Milliseconds() {
				t.Errorf("recording %s ended by %s after %d ms, complete %v, %d packets and %v lost", r.ID, r.EndCause, a.DurationMs, a.Complete, n, tail)
			}
		}, run: func(t *testing.T, h *House, calls []Call, _ <-chan struct{}) {
			h.Disk.Hold()
			// More of each recording than a block has room for. The calls talk for longer.
			testkit.Eventually(t, patience, func() bool {
				return h.gauge(t, "tapedeck_recorder_lost_packets_total") >= faultCalls*8*60
			})
			h.refuses(t, calls[0])
			h.Disk.Mend()
		}},
		{name: "no room", judge: whole, run: func(t *testing.T, h *House, calls []Call, over <-chan struct{}) {
			h.Disk.HasFree(1 << 10)
			testkit.Eventually(t, patience, func() bool { return h.Disk.Injected() > 0 })
			h.refuses(t, calls[0])
			await(t, over)
		}},
		{name: "no file can be made", judge: whole, run: func(t *testing.T, h *House, calls []Call, _ <-chan struct{}) {
			h.Disk.FailCreates(syscall.EACCES)
			h.refuses(t, calls[0])
		}},
	}
}

// gauge reads a metric without labels.
func (p *Program) gauge(t testing.TB, name string) int {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(string(p.Do(t, http.MethodGet, "/metrics", "", http.StatusOK, nil))))
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// refuses checks that a new recording is answered with 503, soon after the disk
// is known to have no room.
func (h *House) refuses(t *testing.T, c Call) {
	t.Helper()
	var body struct{ Code string }
	testkit.Eventually(t, patience, func() bool {
		status, retry := h.try(t, http.MethodPost, h.callsPathOf(c)+"/"+c.ID+"/recordings", "{}", &body)
		return status == http.StatusServiceUnavailable && retry != ""
	})
	if body.Code != "unavailable" {
		t.Errorf("the code is %s", body.Code)
	}
}

// steerUntilBroken pauses and resumes while the disk fails for good: each answer
// is the new state, or that the recording is not active; never a fault of ours.
func (h *House) steerUntilBroken(t *testing.T, calls []Call) {
	t.Helper()
	call := calls[0]
	var recs struct{ Results []Recording }
	testkit.Eventually(t, patience, func() bool {
		h.Do(t, http.MethodGet, h.callsPathOf(call)+"/"+call.ID+"/recordings", "", http.StatusOK, &recs)
		return len(recs.Results) > 0
	})
	path := h.callsPathOf(call) + "/" + call.ID + "/recordings/" + recs.Results[0].ID
	next := map[string]string{"paused": "ongoing", "ongoing": "paused"}
	to := "paused"
	testkit.Eventually(t, patience, func() bool {
		var out struct{ Code string }
		status, _ := h.try(t, http.MethodPatch, path, fmt.Sprintf(`{"status":%q}`, to), &out)
		to = next[to]
		switch {
		case status == http.StatusAccepted:
			return false
		case out.Code == "recording_not_active", out.Code == "not_found": // the latter when the call is over
			return true
		}
		t.Errorf("PATCH answered %d %s", status, out.Code)
		return true
	})
}
