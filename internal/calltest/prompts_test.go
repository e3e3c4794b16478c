package calltest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/server"
	"tapedeck/internal/testkit"
)

// The caller hears every file, one after the other, as often as it is asked for and
// with the gap between any two: addresses of the web and uploaded files.
func playback(t *testing.T, s *studio) {
	low, high := sounds()["low"], sounds()["high"]
	for codec, party := range map[string]callgen.PartyOptions{
		"PCMU": {User: "6011"}, "G722": {User: "6012", Codecs: []string{"G722"}},
	} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			p, call := s.Answered(t, party)
			first := s.Give(t, call, "playback", `{"media":["`+s.web+`/low.wav","`+s.Upload(t, s.files["/high.wav"])+`"],"loop":2,"pauseMilliseconds":250}`)
			second := s.Give(t, call, "playback", s.media("", "mid")) // waits in line
			done := s.because(t, call, first.ID, "completed", "")
			hearsWhole(t, p, one(2000, low, high, low, high), "the files with their gaps")
			s.because(t, call, second.ID, "completed", "")
			hearsWhole(t, p, sounds()["mid"], "what waited in line")
			if d := instantOf(t, done.EndedAt).Sub(instantOf(t, done.StartedAt)); d < 4700*time.Millisecond {
				t.Errorf("the command took %v for 4.75 s of sound", d)
			}
		})
	}
}

func playbackTimeout(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6013"})
	c := s.Give(t, call, "playback", s.media(`,"timeout":1`, "long"))
	s.because(t, call, c.ID, "completed", "cut off after 1 s")
	hearing(t, p, 300*time.Millisecond)
	heard := listenedTo(t, p)
	if level := audio.Measure(heard[len(heard)-800:]).RMS; level > -60 {
		t.Errorf("it is still heard, with %.0f dB", level)
	}
	hearsWhole(t, p, sounds()["long"][:4000], "the beginning")
}

// everyFormat: what is played comes in any of the formats that recordings are given
// out in; the server makes the files itself.
func everyFormat(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6014"})
	message := s.Give(t, call, "record", `{"endKey":"#"}`)
	s.AwaitRecording(t, message.RecordingID, "ongoing")
	words := sounds()["down"]
	await(t, p.Play(callgen.PCM(words)).Done())
	if err := p.Digits("#"); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, message.RecordingID, "available")
	for _, format := range []string{"wav", "flac", "ogg", "mp3"} {
		file := s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+message.RecordingID+"."+format, "", http.StatusOK, nil)
		before := occurrences(words, listenedTo(t, p))
		c := s.Give(t, call, "playback", `{"media":["`+s.Upload(t, file)+`"]}`)
		s.because(t, call, c.ID, "completed", "")
		hearing(t, p, 200*time.Millisecond)
		if n := occurrences(words, listenedTo(t, p)); n != before+1 {
			t.Errorf("%s: it was heard %d times, want %d", format, n, before+1)
		}
	}
}

// say: what the engine gives is what the party hears, twice if it is asked for.
func say(t *testing.T, s *studio) {
	const greeting = "Good morning."
	p, call := s.Answered(t, callgen.PartyOptions{User: "6015"})
	for _, gender := range []string{"", "male"} {
		spoken := (&audio.Clip{Rate: 16000, Samples: s.spoken(t, greeting, gender)}).At(8000).Samples
		c := s.Give(t, call, "say", `{"text":"`+greeting+`","loop":2,"voice":"`+gender+`"}`)
		s.because(t, call, c.ID, "completed", "")
		hearsWhole(t, p, one(0, spoken, spoken), "the text, twice")
	}
	long := s.Give(t, call, "say", `{"text":"`+strings.Repeat("And so on. ", 30)+`","timeout":1}`)
	s.because(t, call, long.ID, "completed", "cut off after 1 s")
}

// badMedia: each command fails and says why; the flow goes on.
func badMedia(t *testing.T, s *studio) {
	bad := []struct{ url, says string }{
		{s.web + "/huge.wav", "too large"}, {s.web + "/page.wav", "web page"}, {s.web + "/gone.wav?key=secret", "404"},
		{s.web + "/round.wav", "too many redirects"}, {s.web + "/to/file:///etc/passwd", "cannot be played"},
		{"media:01234567-89ab-7def-8123-456789abcdef", "no uploaded file"}, {"http://127.0.0.1:1/a.wav", "cannot be played"},
		{s.web + "/slow.wav", "timeout"},
	}
	p, call := s.Answered(t, callgen.PartyOptions{User: "6016"})
	var flow []string
	for _, b := range bad {
		flow = append(flow, step("playback", `{"media":["`+s.web+`/mid.wav","`+b.url+`"]}`))
	}
	got := s.Reflow(t, call, steps(append(flow, step("playback", s.media("", "low")))...)).Commands
	got = got[len(got)-len(flow)-1:]
	for i, b := range bad {
		if c := s.because(t, call, got[i].ID, "failed", b.says); strings.Contains(c.Reason, "secret") || strings.Count(c.Reason, "cannot be played") != 1 {
			t.Errorf("its reason is %q", c.Reason)
		}
	}
	s.because(t, call, got[len(bad)].ID, "completed", "")
	hearsWhole(t, p, sounds()["low"], "what came after the bad ones")
	hearsNot(t, p, sounds()["mid"], "a part of what failed")
}

// Unless the operator allows it, nothing of the machine or its network is played,
// whether it is named or a server of the web leads there.
func TestPrivateMedia(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	files := soundFiles(t)
	inside := webOf(t, map[string][]byte{"/high.wav": files["/high.wav"]})
	_, port, _ := strings.Cut(strings.TrimPrefix(inside, "http://"), ":")
	outside := strings.TrimPrefix(webOf(t, files), "http://")
	s := &studio{Stage: stageOf(t, newHouse(t, server.Options{Hosts: map[string]string{"sounds.example:80": outside}}).Program)}
	p, call := s.Answered(t, callgen.PartyOptions{User: "6101"})
	private := []string{
		inside + "/high.wav", "http://localhost:" + port + "/high.wav", "http://[::ffff:127.0.0.1]:" + port + "/high.wav",
		"http://169.254.169.254/latest", "http://sounds.example/to/" + inside + "/high.wav",
		"http://sounds.example/to/http://localhost:" + port + "/high.wav",
	}
	var flow []string
	for _, url := range append(private, "http://sounds.example/low.wav") {
		flow = append(flow, step("playback", `{"media":["`+url+`"]}`))
	}
	got := s.Reflow(t, call, steps(flow...)).Commands[1:]
	for i := range private {
		s.because(t, call, got[i].ID, "failed", "the address is not public")
	}
	s.because(t, call, got[len(private)].ID, "completed", "")
	hearsWhole(t, p, sounds()["low"], "what is on the web")
	hearsNot(t, p, sounds()["high"], "what is not")
}
