package calltest

import (
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/callgen"
	"tapedeck/internal/tone"
)

// whisper: the caller hears the ring tone, unanswered, while the far party rings and
// while it hears what is for it alone; then they hear each other, and both are in the
// file.
func whisper(t *testing.T, s *studio) {
	near := s.Party(t, callgen.PartyOptions{User: "6041"})
	far := s.Party(t, callgen.PartyOptions{User: "6042", Ring: time.Minute})
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing").ID
	c := s.Give(t, call, "bridge", `{"to":"`+far.URI()+`","ringTone":"us","record":true,"recordStereo":true,
		"callFlow":`+steps(step("playback", s.media("", "mid")), step("pause", `{"length":3600}`))+`}`)
	hearing(t, near, 1500*time.Millisecond)
	if got := s.CallOf(t, call); got.AnsweredAt != "" {
		t.Error("the caller was answered for the ring tone")
	}
	far.PickUp()
	d.Up(t)
	own := s.CallOf(t, c.BridgedCallID).Commands
	s.because(t, c.BridgedCallID, own[0].ID, "completed", "")
	s.Became(t, c.BridgedCallID, own[1].ID, "ongoing")
	one, two := sounds()["low"], sounds()["high"]
	play(t, near, far, one)
	play(t, far, near, two)
	alone, joined := hearsWhole(t, far, sounds()["mid"], "what is for it alone"), hearsWhole(t, far, one, "the near party")
	if alone > joined {
		t.Error("it heard the other party before what was for it alone")
	}
	hearsNot(t, near, sounds()["mid"], "what is for the far party")
	ring, _ := tone.Ring("us")
	rang, answered := hearsWhole(t, near, ring.Samples[:8000], "the ring tone"), hearsWhole(t, near, two, "the far party")
	if rang > answered {
		t.Error("it heard the ring tone after the far party")
	}
	s.Give(t, call, "hangup", "")
	s.because(t, call, c.ID, "completed", "")
	recs := s.recordingsOf(t, call)
	if len(recs) != 1 || recs[0].Origin != "bridge-call" {
		t.Fatalf("the recordings of the bridge are %+v", recs)
	}
	s.AwaitRecording(t, recs[0].ID, "available")
	a := s.Audio(t, recs[0].ID)
	found(t, a.Sides[0], one, "near party, left")
	found(t, a.Sides[1], two, "far party, right")
	missing(t, a.Sides[0], two, "far party, left")
}

// bridgeInVain: nobody answers in time; the command says so, and the flow goes on.
func bridgeInVain(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6043"})
	far := s.Party(t, callgen.PartyOptions{User: "6044", Ring: time.Minute})
	flow := s.Reflow(t, call, steps(
		step("bridge", `{"to":"`+far.URI()+`","ringTimeout":3,"ringTone":"fr","hangupAfterBridge":false}`),
		step("playback", s.media("", "low")),
	)).Commands[1:]
	c := s.because(t, call, flow[0].ID, "failed", "the far party was not reached: nobody answered in time")
	if got := s.AwaitStatus(t, c.BridgedCallID, "no-answer"); got.HangupSource != "timeout" || got.ParentID != call {
		t.Errorf("the call of the far party is %+v", got)
	}
	s.because(t, call, flow[1].ID, "completed", "")
	ring, _ := tone.Ring("fr")
	rang, after := hearsWhole(t, p, ring.Samples[:8000], "the ring tone"), hearsWhole(t, p, sounds()["low"], "what came after")
	if rang > after {
		t.Error("the ring tone came after the bridge")
	}
	rest := listenedTo(t, p)[after:]
	missing(t, rest, ring.Samples[:8000], "the ring tone, after the bridge")
}

// bridgeForASecond: a bridge lasts as long as it may, and both calls end with it.
func bridgeForASecond(t *testing.T, s *studio) {
	p, call := s.Answered(t, callgen.PartyOptions{User: "6045"})
	far := s.Party(t, callgen.PartyOptions{User: "6046"})
	c := s.Give(t, call, "bridge", `{"to":"`+far.URI()+`","maxDuration":1}`)
	s.AwaitStatus(t, c.BridgedCallID, "ongoing")
	refused(t, s, call, "playback", s.media("", "low"), "call_not_in_state")
	refused(t, s, call, "bridge", `{"to":"`+far.URI()+`"}`, "call_not_in_state")
	b := p.Play(callgen.PCM(sounds()["long"]))
	await(t, far.Done())
	await(t, p.Done())
	if got := s.AwaitStatus(t, c.BridgedCallID, "completed"); got.HangupSource != "timeout" || got.Duration != 1 {
		t.Errorf("the bridged call ended by %s after %d s", got.HangupSource, got.Duration)
	}
	s.AwaitStatus(t, call, "completed")
	s.because(t, call, c.ID, "completed", "")
	await(t, b.Done())
	if m := compare.Align(sounds()["long"][:4000], listenedTo(t, far)); m.Correlation < 0.95 {
		t.Errorf("what the near party said was heard with correlation %.3f", m.Correlation)
	}
	refused(t, s, call, "playback", s.media("", "low"), "call_not_active")
}

// refused checks that the call does not take a command as it stands.
func refused(t *testing.T, s *studio, call, command, options, code string) {
	t.Helper()
	var answer struct{ Code, Message string }
	if status, _ := s.try(t, "POST", s.callsPath()+"/"+call+"/"+command, options, &answer); status != 400 || answer.Code != code {
		t.Errorf("%s was answered %d %s (%s), want 400 %s", command, status, answer.Code, answer.Message, code)
	}
}
