package calltest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/wav"
)

// Do sends a request to the API with the first key and reads the JSON answer
// into out, if out is not nil. It fails the test on any other status than want.
func (p *Program) Do(t testing.TB, method, path, body string, want int, out any) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AccessKey "+p.AccessKey)
	res, err := p.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	data, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err != nil || cerr != nil {
		t.Fatalf("%s %s: %v, %v", method, path, err, cerr)
	}
	if res.StatusCode != want {
		t.Fatalf("%s %s answered %d %s, want %d", method, path, res.StatusCode, data, want)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, data)
		}
	}
	return data
}

// Workspace is the path of the first workspace, Calls that of its channel's calls.
func (p *Program) workspacePath() string { return "/workspaces/" + string(p.Workspace) }

func (p *Program) callsPath() string {
	return p.workspacePath() + "/channels/" + string(p.Channel) + "/calls"
}

// Call is what the tests read of a call.
type Call struct {
	ID, ParentID, ChannelID, Status, Direction string
	From, To                                   string
	HangupSource, HangupSIPCode                string
	Duration                                   int
	CallFlow                                   struct {
		Commands []struct{ Command, Status string }
	}
	Commands     []Command
	Tags         []string
	Notification struct{ URL string }

	CreatedAt, RingingAt, AnsweredAt, EndedAt string
}

// Recording is what the tests read of a recording.
type Recording struct {
	ID, Status, Origin, EndCause string
	Stereo                       bool
	DurationMs                   int64
	SourceID                     string
	StartedAt, EndedAt           string
}

// AwaitCall waits for a call of the channel that is in the status, and returns
// the newest.
func (p *Program) AwaitCall(t testing.TB, status string) Call {
	t.Helper()
	var list struct{ Results []Call }
	testkit.Eventually(t, patience, func() bool {
		p.Do(t, http.MethodGet, p.callsPath()+"?direction=incoming&status="+status, "", http.StatusOK, &list)
		return len(list.Results) > 0
	})
	return list.Results[0]
}

// Recordings lists the workspace's recordings, newest first, 99 at the most.
func (p *Program) Recordings(t testing.TB) []Recording {
	t.Helper()
	var list struct{ Results []Recording }
	p.Do(t, http.MethodGet, p.workspacePath()+"/recordings?limit=99", "", http.StatusOK, &list)
	return list.Results
}

// AwaitRecording waits until the recording is in the status.
func (p *Program) AwaitRecording(t testing.TB, id, status string) Recording {
	t.Helper()
	var r Recording
	testkit.Eventually(t, patience, func() bool {
		p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+id, "", http.StatusOK, &r)
		return r.Status == status
	})
	return r
}

// Audio is a recording's file, by side.
type Audio struct {
	Rate  int
	Sides [][]int16
}

// Audio downloads the recording's WAV and takes its sides apart.
func (p *Program) Audio(t testing.TB, id string) Audio {
	t.Helper()
	data := p.Do(t, http.MethodGet, p.workspacePath()+"/recordings/"+id+".wav", "", http.StatusOK, nil)
	r, err := wav.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("recording %s: %v", id, err)
	}
	f := r.Format()
	pcm := make([]int16, r.Frames()*int64(f.Channels))
	for n := 0; n < len(pcm); {
		got, err := r.Read(pcm[n:])
		if err != nil {
			t.Fatalf("recording %s: %v after %d of %d samples", id, err, n, len(pcm))
		}
		n += got
	}
	a := Audio{Rate: f.SampleRate, Sides: make([][]int16, f.Channels)}
	for i, s := range pcm {
		a.Sides[i%f.Channels] = append(a.Sides[i%f.Channels], s)
	}
	return a
}

// Record starts a recording by the heart of the API and returns its id.
func (p *Program) Record(t testing.TB, call, body string) string {
	t.Helper()
	var out struct{ RecordingID string }
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call+"/recordings", body, http.StatusAccepted, &out)
	return out.RecordingID
}

// BridgeTo connects the call with a party and returns the new call's id.
func (p *Program) BridgeTo(t testing.TB, call, to string) string {
	t.Helper()
	var out struct{ BridgedCall Call }
	p.Do(t, http.MethodPost, p.callsPath()+"/"+call+"/bridge", `{"to":"`+to+`"}`, http.StatusAccepted, &out)
	return out.BridgedCall.ID
}

// AwaitDuration waits until the recording has gone on for so long.
func (p *Program) AwaitDuration(t testing.TB, rec string, d time.Duration) {
	t.Helper()
	started := p.AwaitRecording(t, rec, "ongoing").StartedAt
	timer := time.NewTimer(time.Until(instantOf(t, started).Add(d)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func instantOf(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// try sends a request whatever the answer is, and returns its status and its
// Retry-After.
func (p *Program) try(t testing.TB, method, path, body string, out any) (status int, retry string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AccessKey "+p.AccessKey)
	res, err := p.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	data, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err != nil || cerr != nil {
		t.Fatalf("%s %s: %v, %v", method, path, err, cerr)
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
	return res.StatusCode, res.Header.Get("Retry-After")
}
