package calltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
	"tapedeck/internal/wav"
)

// flite speaks a text, at the rate of a telephone.
func flite(t *testing.T, voice, text string) []int16 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "said.wav")
	out, err := exec.CommandContext(t.Context(), "flite", "-voice", voice, "-t", text, "-o", file).CombinedOutput() //nolint:gosec // our own words
	if err != nil {
		t.Fatalf("flite: %v: %s; make deps installs the programs that the tests need", err, out)
	}
	data, err := os.ReadFile(file) //nolint:gosec // we named it
	if err != nil {
		t.Fatal(err)
	}
	r, err := wav.NewForeign(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := &audio.Clip{Rate: r.Format().SampleRate, Samples: make([]int16, len(data))}
	n := 0
	for err == nil {
		var more int
		more, err = r.Read(c.Samples[n:])
		n += more
	}
	c.Samples = c.Samples[:n]
	return c.At(callgen.Rate).Samples
}

// amdResult is who has answered a call.
type amdResult struct {
	AnsweredBy string
	Words      int
	Beep       bool
	AfterMs    int64
	DecidedAt  string
}

// notice is a webhook of a call.
type notice struct {
	Service, Event string
	Payload        struct {
		ID, Status string
		AmdResult  *amdResult
	}
}

// notices is a web server that keeps what it is told, by path.
type notices struct {
	url string

	mu   sync.Mutex
	came map[string][]notice // guarded by mu
}

func newNotices(t *testing.T) *notices {
	t.Helper()
	n := &notices{came: map[string][]notice{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var one notice
		if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.came[r.URL.Path] = append(n.came[r.URL.Path], one)
	}))
	t.Cleanup(server.Close)
	n.url = server.URL
	return n
}

// until waits for the end of a call, and returns all that was told of it.
func (n *notices) until(t *testing.T, path string) (all []notice) {
	t.Helper()
	testkit.Eventually(t, patience, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		all = slices.Clone(n.came[path])
		return len(all) > 0 && all[len(all)-1].Payload.Status == "completed"
	})
	return all
}

// A call that asks who answers it finds a person, a machine and a machine's tone, by
// what the party says; so does the far party of a bridge, which is connected meanwhile.
// The call shows it, and its webhooks tell it once, in their order.
func TestWhoAnswers(t *testing.T) {
	testkit.Timeout(t, 3*time.Minute)
	s := NewStage(t, "--allow-private-urls")
	told := newNotices(t)
	hello := flite(t, "slt", "Hello, this is Anna.")
	greeting := flite(t, "rms", "You have reached the mailbox of Robert Hill. Please leave a message after the tone.")
	toned := slices.Concat(greeting, make([]int16, 4000), tone.Beep().Samples)
	for i, c := range []struct {
		name     string
		settings string
		says     []int16
		bridge   bool
		want     amdResult
	}{
		{"a person", `{"enabled":true}`, hello, false, amdResult{AnsweredBy: "human"}},
		{"a machine", `{"enabled":true,"wordCount":4}`, greeting, false, amdResult{AnsweredBy: "machine"}},
		{"a machine's tone", `{"enabled":true,"ifMachineNotifyAfter":"beepTimeout"}`, toned, false, amdResult{AnsweredBy: "machine", Beep: true}},
		{"nobody", `{"enabled":true,"speechTimeout":1}`, nil, false, amdResult{AnsweredBy: "unknown"}},
		{"a machine on a bridge", `{"enabled":true}`, greeting, true, amdResult{AnsweredBy: "machine"}},
		{"a person on a bridge", `{"enabled":true}`, hello, true, amdResult{AnsweredBy: "human"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := fmt.Sprintf("/%d", i)
			more := fmt.Sprintf(`,"amdSettings":%s,"notification":{"url":%q}`, c.settings, told.url+path)
			far := s.Party(t, callgen.PartyOptions{User: fmt.Sprintf("61%02d", i)})
			var call string
			if c.bridge {
				near, id := s.Answered(t, callgen.PartyOptions{User: fmt.Sprintf("62%02d", i)})
				call = s.Give(t, id, "bridge", `{"to":"`+far.URI()+`"`+more+`}`).BridgedCallID
				defer hearsWhole(t, near, c.says[:8000], "the far party")
			} else {
				call = s.Place(t, far.URI(), more).ID
			}
			if err := far.Answered(t.Context()); err != nil {
				t.Fatal(err)
			}
			far.Play(callgen.PCM(c.says))
			found := s.whoAnswered(t, call)
			decided := instantOf(t, found.DecidedAt)
			if found.AnsweredBy != c.want.AnsweredBy || found.Beep != c.want.Beep || (found.Words > 0) != (c.says != nil) || found.AfterMs <= 0 || decided.IsZero() {
				t.Errorf("found %+v, want %+v", found, c.want)
			}
			if status := s.CallOf(t, call).Status; status != "ongoing" {
				t.Errorf("the call is %s", status)
			}
			if err := far.Hangup(); err != nil {
				t.Fatal(err)
			}
			var events []string
			for _, n := range told.until(t, path) {
				events = append(events, n.Event+" "+n.Payload.Status)
				known := n.Event == "voice.amd" || n.Payload.Status == "completed"
				if n.Service != "channels" || n.Payload.ID != call || (n.Payload.AmdResult != nil) != known || known && *n.Payload.AmdResult != found {
					t.Errorf("%s tells %+v of %+v, found %+v", n.Event, n.Payload, n.Payload.AmdResult, found)
				}
			}
			want := []string{
				"voice.outbound accepted", "voice.outbound starting", "voice.outbound ringing", "voice.outbound ongoing",
				"voice.amd ongoing", "voice.outbound completed",
			}
			if !slices.Equal(events, want) {
				t.Errorf("told %q, want %q", events, want)
			}
		})
	}
}

// whoAnswered waits until a call knows who has answered it.
func (s *Stage) whoAnswered(t *testing.T, call string) amdResult {
	t.Helper()
	var c struct{ AmdResult *amdResult }
	testkit.Eventually(t, patience, func() bool {
		s.Do(t, http.MethodGet, s.callsPath()+"/"+call, "", http.StatusOK, &c)
		return c.AmdResult != nil
	})
	return *c.AmdResult
}
