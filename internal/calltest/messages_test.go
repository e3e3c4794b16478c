package calltest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
)

// message waits for the end of a record command and for its file, and checks what is
// said of it.
func (s *studio) message(t *testing.T, call, command, cause string) Audio {
	t.Helper()
	c := s.because(t, call, command, "completed", "")
	r := s.AwaitRecording(t, c.RecordingID, "available")
	if r.Origin != "call-command-record" || r.Stereo || r.EndCause != cause || r.SourceID != call {
		t.Errorf("the recording of the message is %+v, want one that ended by %s", r, cause)
	}
	a := s.Audio(t, r.ID)
	if len(a.Sides) != 1 {
		t.Fatalf("its file has %d sides", len(a.Sides))
	}
	return a
}

// messageByKey: the caller hears the tone, speaks, and presses the key; the file holds
// what it said, and nothing of what it heard. The flow goes on after it.
func messageByKey(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6031"})
	words := sounds()["down"]
	flow := s.Reflow(t, call, steps(
		step("playback", s.media("", "low")),
		step("record", `{"beep":true,"endKey":"#","timeout":3600}`),
		step("playback", s.media("", "high")),
	)).Commands[1:]
	rec := ""
	testkit.Eventually(t, patience, func() bool {
		rec = s.CallOf(t, call).Commands[2].RecordingID
		return rec != ""
	})
	s.AwaitRecording(t, rec, "ongoing")
	await(t, p.Play(callgen.PCM(words)).Done())
	if err := p.Digits("5#"); err != nil {
		t.Fatal(err)
	}
	a := s.message(t, call, flow[1].ID, "stopped")
	found(t, a.Sides[0], words, "what the caller said")
	missing(t, a.Sides[0], sounds()["low"], "the prompt before the message")
	missing(t, a.Sides[0], tone.Beep().Samples, "the tone")
	s.because(t, call, flow[2].ID, "completed", "")
	prompt, beep := hearsWhole(t, p, sounds()["low"], "the prompt before"), hearsWhole(t, p, tone.Beep().Samples, "the tone")
	if after := hearsWhole(t, p, sounds()["high"], "the prompt after"); prompt > beep || beep > after {
		t.Errorf("it was heard at %d, %d and %d", prompt, beep, after)
	}
}

// messageBySilence: who has said what there was to say need not press anything; the
// message is written down as it was asked for.
func messageBySilence(t *testing.T, s *studio) {
	const sentence = "please leave a message after the tone"
	p, call := s.Answered(t, callgen.PartyOptions{User: "6032", Codecs: []string{"G722"}})
	c := s.Give(t, call, "record", `{"timeout":2,"transcribe":true}`)
	s.AwaitRecording(t, c.RecordingID, "ongoing")
	words := s.spoken(t, sentence, "")
	p.Play(callgen.PCM(words))
	a := s.message(t, call, c.ID, "stopped")
	found(t, a.Sides[0], words, "what the caller said")
	after := len(a.Sides[0]) - len(words)
	if level := audio.Measure(a.Sides[0][len(a.Sides[0])-a.Rate:]).RMS; after < a.Rate || level > -60 {
		t.Errorf("%d samples are behind the words, the last of them with %.0f dB", after, level)
	}
	var list struct {
		Results []struct{ ID, RecordingID, Status string }
	}
	said := ""
	testkit.Eventually(t, patience, func() bool {
		s.Do(t, http.MethodGet, s.workspacePath()+"/transcriptions", "", http.StatusOK, &list)
		for _, text := range list.Results {
			if text.RecordingID == c.RecordingID && text.Status == "available" {
				said = string(s.Do(t, http.MethodGet, s.workspacePath()+"/transcriptions/"+text.ID+".txt", "", http.StatusOK, nil))
			}
		}
		return said != ""
	})
	if !strings.Contains(said, "leave a message") {
		t.Errorf("it was written down as %q", said)
	}
}

// messageFull: a message is as long as it may be, to the sample.
func messageFull(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6033"})
	c := s.Give(t, call, "record", `{"maxLength":1,"timeout":3600}`)
	s.AwaitRecording(t, c.RecordingID, "ongoing")
	p.Play(callgen.PCM(sounds()["long"]))
	a := s.message(t, call, c.ID, "max-length")
	if len(a.Sides[0]) != a.Rate {
		t.Errorf("the file has %d samples, a second has %d", len(a.Sides[0]), a.Rate)
	}
	last := s.Give(t, call, "record", `{"timeout":3600}`)
	s.AwaitRecording(t, last.RecordingID, "ongoing")
	hearing(t, p, 300*time.Millisecond)
	if err := p.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.because(t, call, last.ID, "failed", "the call ended")
	if r := s.AwaitRecording(t, last.RecordingID, "available"); r.EndCause != "call-ended" {
		t.Errorf("the message that the hangup ended, ended by %s", r.EndCause)
	}
}
