package calltest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
)

// studio is a stage on which calls are made to hear something: its web has files.
type studio struct {
	*Stage
	web   string            // its address
	files map[string][]byte // by path
}

// Sounds of a second at 8 kHz that are like nothing else, by the names of their files.
func sounds() map[string][]int16 {
	return map[string][]int16{
		"low": sweep(1, 300, 900), "mid": sweep(1, 1000, 1700), "high": sweep(1, 1900, 3300),
		"down": sweep(1, 3000, 400), "long": sweep(20, 350, 3200),
	}
}

// Each is a call of its own, or some; they share the server and nothing else.
func TestCommands(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	s := newStudio(t)
	for name, scenario := range map[string]func(*testing.T, *studio){
		"a playback is heard whole":                      playback,
		"a playback is cut off in time":                  playbackTimeout,
		"files of every format are heard":                everyFormat,
		"a text is spoken":                               say,
		"media that is no good fails, and says why":      badMedia,
		"keys are gathered however they come":            gatherKeys,
		"who presses nothing is asked again":             gatherNothing,
		"speech is gathered and understood":              gatherSpeech,
		"a message ends by its key":                      messageByKey,
		"a message ends by silence, and is written down": messageBySilence,
		"a message is as long as it may be":              messageFull,
		"the far party hears its flow alone":             whisper,
		"nobody answers a bridge in time":                bridgeInVain,
		"a bridge lasts as long as it may":               bridgeForASecond,
		"keys are sent before the flow":                  sendKeys,
		"a flow and a recording while it rings":          whileItRings,
		"a call tells what it does":                      notified,
		"a new flow takes the place of the prompt":       reflow,
		"a flow goes where its conditions say":           conditions,
		"bad flows are refused with all their faults":    badFlows,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t, s)
		})
	}
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	files := soundFiles(t)
	return &studio{Stage: NewStage(t, "--allow-private-urls"), files: files, web: webOf(t, files)}
}

// soundFiles are the sounds as files, by their path on a web server.
func soundFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, pcm := range sounds() {
		path := filepath.Join(t.TempDir(), name+".wav")
		writeWAV(t, path, pcm)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files["/"+name+".wav"] = file
	}
	return files
}

// webOf serves files, and what is no file that can be played. It returns its address.
func webOf(t *testing.T, files map[string][]byte) string {
	t.Helper()
	over := make(chan struct{}) // closed when the test ends
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch file, found := files[r.URL.Path]; {
		case found:
			_, _ = w.Write(file) // who asks may go away
		case r.URL.Path == "/huge.wav":
			w.Header().Set("Content-Length", fmt.Sprint(64<<20+1))
		case r.URL.Path == "/page.wav":
			_, _ = w.Write([]byte("<html><body>Not here</body></html>"))
		case r.URL.Path == "/slow.wav":
			select {
			case <-over:
			case <-r.Context().Done():
			}
		case r.URL.Path == "/round.wav":
			http.Redirect(w, r, "/round.wav", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/to/"):
			http.Redirect(w, r, strings.TrimPrefix(r.URL.Path, "/to/"), http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { close(over); web.Close() })
	return web.URL
}

// media are the options of a playback of these files of the web.
func (s *studio) media(more string, names ...string) string {
	var urls []string
	for _, name := range names {
		urls = append(urls, fmt.Sprintf("%q", s.web+"/"+name+".wav"))
	}
	return `{"media":[` + strings.Join(urls, ",") + `]` + more + `}`
}

// done checks that a command failed, was cut off or was skipped for a reason.
func (s *studio) because(t *testing.T, call, command, status, reason string) Command {
	t.Helper()
	c := s.Became(t, call, command, status)
	if !strings.Contains(c.Reason, reason) || (reason == "") != (c.Reason == "") {
		t.Errorf("%s is %s because %q, want %q", c.Command, c.Status, c.Reason, reason)
	}
	return c
}

// A running prompt fails when another flow takes its place, what came after it is
// skipped, and the party hears the new one.
func reflow(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6001"})
	before := s.Reflow(t, call, steps(step("playback", s.media("", "long")), step("pause", `{"length":9}`))).Commands
	running, next := before[len(before)-2], before[len(before)-1]
	s.Became(t, call, running.ID, "ongoing")
	hearing(t, p, 500*time.Millisecond)
	line := s.Give(t, call, "playback", s.media("", "low"))
	after := s.Reflow(t, call, steps(step("playback", s.media("", "high")))).Commands
	s.because(t, call, running.ID, "failed", "another call flow took its place")
	s.because(t, call, next.ID, "skipped", "another call flow took its place")
	s.because(t, call, line.ID, "skipped", "another call flow took its place")
	s.because(t, call, after[len(after)-1].ID, "completed", "")
	hearsWhole(t, p, sounds()["high"], "the new prompt")
	hearsNot(t, p, sounds()["low"], "what waited in line")
	last := s.Give(t, call, "playback", s.media("", "long"))
	s.Became(t, call, last.ID, "ongoing")
	if err := p.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitStatus(t, call, "completed")
	s.because(t, call, last.ID, "failed", "the call ended")
}

// Every operator in a flow: who pressed 2 hears what is for 2, and nothing else.
func conditions(t *testing.T, s *studio) {
	when := func(sound, conditions string) string {
		return `{"command":"playback","options":` + s.media("", sound) + `,"conditions":[` + conditions + `]}`
	}
	is := func(variable, operator, value string) string {
		return fmt.Sprintf(`{"variable":%q,"operator":%q,"value":%q}`, variable, operator, value)
	}
	p, call := s.Answered(t, callgen.PartyOptions{User: "6002"})
	s.Reflow(t, call, steps(
		when("down", is("keys", "eq", "2")), // nothing was gathered yet
		step("gather", `{"maxNumKeys":2,"playback":`+s.media("", "long")+`}`),
		when("low", is("keys", "eq", "25")),
		when("down", is("keys", "ne", "25")),
		when("down", is("keys", "==", "2")),
		when("mid", is("keys", "!=", "2")+","+is("keys", "contains", "5")),
		when("down", is("keys", "contains", "2")+","+is("keys", "contains", "3")),
		when("down", is("speech", "contains", "")),
		when("high", is("speech", "ne", "yes")),
		step("hangup", ""),
	))
	s.Became(t, call, s.CallOf(t, call).Commands[2].ID, "ongoing")
	if err := p.Digits("25"); err != nil {
		t.Fatal(err)
	}
	got := s.AwaitStatus(t, call, "completed").Commands[1:] // the first one is the answer
	for i, want := range []string{
		`the condition keys eq "2" does not hold`, "", "", `the condition keys ne "25" does not hold`, `the condition keys == "2" does not hold`, "",
		`the condition keys contains "3" does not hold`, `the condition speech contains "" does not hold`, "", "",
	} {
		if status := map[bool]string{true: "completed", false: "skipped"}[want == ""]; got[i].Status != status || got[i].Reason != want {
			t.Errorf("command %d is %s, because %q, want %s, because %q", i, got[i].Status, got[i].Reason, status, want)
		}
	}
	last := 0
	for _, name := range []string{"low", "mid", "high"} {
		at := hearsWhole(t, p, sounds()[name], "what the conditions let in")
		if at < last {
			t.Errorf("%s is heard before the one before it", name)
		}
		last = at + 8000
	}
	hearsNot(t, p, sounds()["down"], "what they keep out")
}

// What cannot be is refused at once, with every fault by its place.
func badFlows(t *testing.T, s *studio) {
	_, call := s.Answered(t, callgen.PartyOptions{User: "6003"})
	for _, tt := range []struct {
		method, path, body string
		member, says       string
	}{
		{"PATCH", "", `{"callFlow":[{"command":"dance"}]}`, "callFlow.0.command", "answer, bridge, gather, hangup, pause, playback, record, ringing, say"},
		{"PATCH", "", `{"callFlow":[` + strings.Repeat(`{"command":"hangup"},`, 20) + `{"command":"hangup"}]}`, "callFlow", "20"},
		{"PATCH", "", `{"callFlow":[{"command":"hangup","conditions":[{"variable":"keys","operator":"like","value":"1"}]}]}`, "callFlow.0.conditions.0.operator", "eq, ne, ==, !=, contains"},
		{"PATCH", "", `{"callFlow":[{"command":"hangup","conditions":[{"variable":"keys","value":"1"}]}]}`, "callFlow.0.conditions.0.operator", "eq, ne, ==, !=, contains"},
		{"POST", "/playback", `{"media":["ftp://example.com/a.wav"]}`, "media.0", "http"},
		{"POST", "/playback", `{"media":[]}`, "media", "1"},
		{"POST", "/playback", `{"media":["media:1"],"pauseMilliseconds":30001}`, "pauseMilliseconds", "30000"},
		{"POST", "/say", `{"text":"Hello.","locale":"tlh"}`, "locale", "en-US"},
		{"POST", "/say", `{"text":"Hello.","voice":"nobody"}`, "voice", "is not served"},
		{"POST", "/gather", `{"maxNumKeys":101,"endKey":"A","retries":11}`, "endKey", "0, 1, 2"},
		{"POST", "/gather", `{"say":{"text":"a"},"playback":{"media":["http://example.com/a.wav"]}}`, "say", "playback"},
		{"POST", "/record", `{"endKey":"##"}`, "endKey", "0, 1, 2"},
		{"POST", "/bridge", `{"to":"1","ringTone":"xx","ringTimeout":2}`, "ringTone", "be, ca, cn"},
		{"POST", "/hangup", `{"cause":"tired"}`, "cause", "rejected, busy"},
	} {
		var answer struct {
			Code    string
			Details map[string][]string
		}
		status, _ := s.try(t, tt.method, s.callsPath()+"/"+call+tt.path, tt.body, &answer)
		if said := strings.Join(answer.Details[tt.member], "; "); status != http.StatusUnprocessableEntity || answer.Code != "validation_failed" || !strings.Contains(said, tt.says) {
			t.Errorf("%s %s %.80s: %d %s, %v, want %q of %s", tt.method, tt.path, tt.body, status, answer.Code, answer.Details, tt.says, tt.member)
		}
	}
	if c := s.CallOf(t, call); c.Status != "ongoing" || len(c.Commands) != 1 {
		t.Errorf("after all this the call is %s with %d commands", c.Status, len(c.Commands))
	}
}
