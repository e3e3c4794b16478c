package calltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// InlineRecorder makes the channel of the contract's inline recorder: it takes
// every number, calls the same number over the trunk, and records both parties.
func (p *Program) InlineRecorder(t testing.TB, trunk uint16) {
	t.Helper()
	p.Do(t, http.MethodPost, p.workspacePath()+"/channels", fmt.Sprintf(`{"name":"inline","number":"*","trunk":{"uri":"sip:127.0.0.1:%d"},
		"inbound":{"callFlow":[{"command":"bridge","options":{"to":"{to}","record":true,"recordStereo":true}}]}}`, trunk), http.StatusCreated, nil)
}

// The server is killed in the middle of twenty recorded calls. After the
// restart every recording has its file, says why it ended, and lacks at most
// the last second.
func TestKillInTheMiddleOfCalls(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	const calls = 20
	p := Serve(t, Build(t))
	said := ulaw(sweep(10, 300, 3300))
	far := Sipp(t, "callee.xml", said, "-m", fmt.Sprint(calls))
	p.InlineRecorder(t, far.Port)
	Sipp(t, "caller.xml", said, "-m", fmt.Sprint(calls), "-r", "40", "-s", "351999", "-d", "60000", p.SIP)

	ongoing := func() int {
		n := 0
		for _, r := range p.Recordings(t) {
			if r.Status == "ongoing" {
				n++
			}
		}
		return n
	}
	testkit.Eventually(t, patience, func() bool { return ongoing() == calls })
	for _, r := range p.Recordings(t) {
		p.AwaitDuration(t, r.ID, 3*time.Second)
	}
	killed := p.Kill(t)
	p.Restart(t)

	worst := time.Duration(0)
	list := p.Recordings(t)
	if len(list) != calls {
		t.Fatalf("%d recordings after the restart, want %d", len(list), calls)
	}
	for _, r := range list {
		r = p.AwaitRecording(t, r.ID, "available")
		if r.EndCause != "node-lost" || r.Origin != "bridge-call" {
			t.Errorf("recording %s: end cause %s, origin %s", r.ID, r.EndCause, r.Origin)
		}
		file := p.Audio(t, r.ID)
		length := time.Duration(len(file.Sides[0])) * time.Second / 8000
		if ms := time.Duration(r.DurationMs) * time.Millisecond; (ms - length).Abs() > time.Millisecond {
			t.Errorf("recording %s says %v and has %v", r.ID, ms, length)
		}
		worst = max(worst, killed.Sub(instantOf(t, r.StartedAt))-length)
		var receipt struct {
			Complete bool
			EndCause string
		}
		text := p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+r.ID+"/receipt", "", http.StatusOK, nil)
		if err := json.Unmarshal(text, &receipt); err != nil || receipt.Complete || receipt.EndCause != "node-lost" {
			t.Errorf("receipt of %s: %v, %+v", r.ID, err, receipt)
		}
	}
	t.Logf("%d calls cut off, worst tail lost %v", calls, worst)
	if worst > time.Second {
		t.Errorf("worst tail lost is %v, want a second at the most", worst)
	}

	var log struct{ Results []Call }
	p.Do(t, http.MethodGet, p.workspacePath()+"/channels/calls?limit=100", "", http.StatusOK, &log)
	if len(log.Results) != 2*calls {
		t.Errorf("%d calls in the log, want %d", len(log.Results), 2*calls)
	}
	for _, c := range log.Results {
		ended := instantOf(t, c.EndedAt)
		if c.Status != "completed" || ended.After(killed.Add(time.Second)) || ended.Before(killed.Add(-2*time.Second)) {
			t.Errorf("call %s is %s and ended %v after the crash", c.ID, c.Status, ended.Sub(killed))
		}
	}
}

// A recording that waits for an answer when the server is killed never began:
// it ends absent.
func TestKillBeforeTheAnswer(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	p := Serve(t, Build(t))
	Sipp(t, "caller.xml", ulaw(sweep(1, 300, 3300)), "-m", "1", "-s", p.Number, "-d", "60000", p.SIP)
	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, "")
	p.Kill(t)
	p.Restart(t)
	if r := p.AwaitRecording(t, rec, "absent"); r.EndCause != "node-lost" {
		t.Errorf("end cause %s, want node-lost", r.EndCause)
	}
}

// SIGTERM with a call up: the call is hung up, its recording is whole, and the
// process ends with status 0 within the drain timeout.
func TestDrainFinishesRecordings(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	p := Serve(t, Build(t), "--drain-timeout", "4s")
	near := Sipp(t, "answered.xml", ulaw(sweep(30, 300, 3300)), "-m", "1", "-s", p.Number, p.SIP)
	call := p.AwaitCall(t, "ringing")
	rec := p.Record(t, call.ID, `{"stereo":false}`)
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call.ID+"/answer", "", http.StatusAccepted, nil)
	p.AwaitDuration(t, rec, time.Second)
	from := time.Now()
	p.Stop(t)
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("the shutdown took %v, the drain timeout is 4 s", took)
	}
	near.Wait(t, patience) // sipp got its BYE

	p.Restart(t)
	r := p.AwaitRecording(t, rec, "available")
	if r.EndCause != "call-ended" || r.DurationMs < 1000 {
		t.Errorf("recording ended with %s after %d ms", r.EndCause, r.DurationMs)
	}
}

// A second server on the same directory, a taken port and a directory that
// cannot be written each say what is wrong, and what to do.
func TestStartFaults(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	binary := Build(t)
	p := Serve(t, binary)
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"directory in use", []string{"--data", p.Data}, []string{"is used by another server", "--data"}},
		{"http port taken", []string{"--http", p.HTTP}, []string{"http cannot listen on " + p.HTTP, "--http"}},
		{"sip port taken", []string{"--sip", p.SIP}, []string{p.SIP}},
		{"no directory", []string{"--data", "/proc/nowhere"}, []string{"/proc/nowhere cannot be made", "--data"}},
		{"unknown flag", []string{"--colour", "red"}, []string{"--colour"}},
		{"ports the wrong way round", []string{"--rtp-ports", "30000-20000"}, []string{"rtp"}},
		{"no address for SDP", []string{"--sip", "0.0.0.0:0"}, []string{"media_ip", "is needed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := FailToServe(t, binary, c.args...)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("the server said %q, want %q in it", said, want)
				}
			}
		})
	}
}
