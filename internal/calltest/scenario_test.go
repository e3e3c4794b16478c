package calltest

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/callgen"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/testkit"
)

// Each scenario is a call of its own on one server; they share nothing else.
func TestScenarios(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	s := NewStage(t)
	for name, scenario := range map[string]func(*testing.T, *Stage){
		"a hold is silence, and nothing after it moves":           holdAndResume,
		"PCMU and PCMA are joined and both recorded":              transcoding,
		"two recordings of one call are independent":              twoRecordings,
		"a pause is silence, or left out":                         pauses,
		"a call that is given up leaves an absent recording":      neverAnswered,
		"a busy far party is a busy call":                         busyFarParty,
		"the near call lives on and is bridged again":             bridgedAgain,
		"the callee hangs up":                                     calleeHangsUp,
		"a placed call is recorded, and its flow ends it":         placedCall,
		"a stopped recording is there while the call goes on":     stopped,
		"a call without media is a silent file":                   noMedia,
		"nobody decides on a call":                                nobodyDecides,
		"the API turns a call away":                               turnedAway,
		"a flow answers, waits and hangs up":                      inboundFlow,
		"a downloaded recording is proved offline":                proof,
		"left is the call's own party, whoever is heard first":    farFirst,
		"left is the call's own party, whoever called":            placedAndBridged,
		"a party that is called but does not answer is cancelled": ringTimeout,
		"early media is heard and not in the file":                earlyMedia,
		"early media is in a file from the ringing on":            earlyMediaKept,
		"a recording goes on while a bridge fails":                bridgeFails,
		"what is heard live is in the file":                       heardIsKept,
		"the last word before the hangup is in the file":          lastWord,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t, s)
		})
	}
}

// await waits until the channel is closed.
func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("what was waited for did not happen")
	}
}

// decode is the audio of a G.711 payload.
func decode(pt uint8, payload []byte) []int16 {
	out := make([]int16, len(payload))
	if pt == 8 {
		g711.DecodeA(out, payload)
	} else {
		g711.DecodeMu(out, payload)
	}
	return out
}

// said is two seconds that are like nothing else of the same scenario.
func said(from, to float64) []int16 { return sweep(2, from, to) }

// play says it and waits until it has been heard by the other side for a while.
func play(t *testing.T, p, other *callgen.Party, what []int16) {
	t.Helper()
	b := p.Play(callgen.PCM(what))
	await(t, b.Done())
	hearing(t, other, 100*time.Millisecond)
}

// found checks that a signal is whole on a side, and returns its place.
func found(t *testing.T, side, what []int16, name string) time.Duration {
	t.Helper()
	m := compare.Align(what, side)
	if m.Correlation < 0.99 {
		t.Errorf("%s: correlation %.3f, want 0.99", name, m.Correlation)
	}
	return time.Duration(m.Lag / 8000 * float64(time.Second))
}

// missing checks that a signal is not on a side.
func missing(t *testing.T, side, what []int16, name string) {
	t.Helper()
	if m := compare.Align(what, side); m.Correlation > 0.1 {
		t.Errorf("%s is there with correlation %.3f", name, m.Correlation)
	}
}

func holdAndResume(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "3101"}), s.Party(t, callgen.PartyOptions{User: "3102"})
	before, after := said(300, 1500), said(1700, 3300)
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	b := near.Play(callgen.PCM(before))
	await(t, b.Done())
	hearing(t, far, 100*time.Millisecond)
	first, _ := b.Began()
	if err := near.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := near.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = near.Play(callgen.PCM(after))
	await(t, b.Done())
	hearing(t, far, 100*time.Millisecond)
	second, _ := b.Began()
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	a := s.Audio(t, rec)
	apart := found(t, a.Sides[0], after, "after the hold") - found(t, a.Sides[0], before, "before the hold")
	if d := (apart - (second - first)).Abs(); d > 20*time.Millisecond {
		t.Errorf("what came after the hold is off by %v", d)
	}
}

func transcoding(t *testing.T, s *Stage) {
	near := s.Party(t, callgen.PartyOptions{User: "3201", Codecs: []string{"PCMU"}})
	far := s.Party(t, callgen.PartyOptions{User: "3202", Codecs: []string{"PCMA"}})
	one, two := said(300, 1500), said(1700, 3300)
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	play(t, near, far, one)
	play(t, far, near, two)
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	a := s.Audio(t, rec)
	found(t, a.Sides[0], one, "near party")
	found(t, a.Sides[1], two, "far party")
	found(t, heard(t, far, 8), one, "near party, as the far one heard it")
	found(t, heard(t, near, 0), two, "far party, as the near one heard it")
}

// heard is all that a party heard of a payload type, one frame after the other.
func heard(t *testing.T, p *callgen.Party, pt uint8) []int16 {
	t.Helper()
	var out []int16
	for _, f := range p.Heard() {
		if f.PT != pt {
			t.Fatalf("party heard payload type %d, want %d only", f.PT, pt)
		}
		out = append(out, decode(f.PT, f.Payload)...)
	}
	return out
}

func twoRecordings(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "3301"}), s.Party(t, callgen.PartyOptions{User: "3302"})
	one, two := said(300, 1500), said(1700, 3300)
	call, _ := s.Bridged(t, near, far, "")
	short := s.Record(t, call.ID, `{"maxLength":1,"stereo":true}`)
	long := s.Record(t, call.ID, `{"stereo":false}`)
	a, b := near.Play(callgen.PCM(one)), far.Play(callgen.PCM(two))
	await(t, a.Done())
	await(t, b.Done())
	hearing(t, near, 100*time.Millisecond)
	if r := s.AwaitRecording(t, short, "available"); r.EndCause != "max-length" || r.DurationMs != 1000 {
		t.Errorf("the short one ended with %s after %d ms", r.EndCause, r.DurationMs)
	}
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	if r := s.AwaitRecording(t, long, "available"); r.EndCause != "call-ended" {
		t.Errorf("the long one ended with %s", r.EndCause)
	}
	cut, whole := s.Audio(t, short), s.Audio(t, long)
	if len(cut.Sides) != 2 || len(cut.Sides[0]) != 8000 || len(cut.Sides[1]) != 8000 {
		t.Errorf("the short one has %d sides of %d samples, want 2 of 8000", len(cut.Sides), len(cut.Sides[0]))
	}
	if len(whole.Sides) != 1 {
		t.Fatalf("the long one has %d sides, want 1", len(whole.Sides))
	}
	// Both parties spoke at once, so each is half of what is there.
	for name, what := range map[string][]int16{"near": one, "far": two} {
		if m := compare.Align(what, whole.Sides[0]); m.Correlation < 0.65 {
			t.Errorf("%s party in the mix: correlation %.3f", name, m.Correlation)
		}
	}
}

func pauses(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "3401"}), s.Party(t, callgen.PartyOptions{User: "3402"})
	one, secret, three := said(300, 1200), said(1300, 2200), said(2300, 3300)
	call, _ := s.Bridged(t, near, far, "")
	silent, skipped := s.Record(t, call.ID, `{}`), s.Record(t, call.ID, `{}`)
	play(t, near, far, one)
	s.Steer(t, call.ID, silent, `{"status":"paused"}`)
	s.Steer(t, call.ID, skipped, `{"status":"paused","pauseBehavior":"skip"}`)
	play(t, near, far, secret)
	s.Steer(t, call.ID, silent, `{"status":"ongoing"}`)
	s.Steer(t, call.ID, skipped, `{"status":"ongoing"}`)
	hearing(t, far, 100*time.Millisecond) // the gate stays shut for the longest packet time, 60 ms
	play(t, near, far, three)
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	whole, cut := s.AwaitRecording(t, silent, "available"), s.AwaitRecording(t, skipped, "available")
	if shorter := whole.DurationMs - cut.DurationMs; shorter < 1900 {
		t.Errorf("leaving the pause out makes the file only %d ms shorter", shorter)
	}
	for name, id := range map[string]string{"silence": silent, "skip": skipped} {
		side := s.Audio(t, id).Sides[0]
		apart := found(t, side, three, name+": after") - found(t, side, one, name+": before")
		missing(t, side, secret, name+": the secret")
		if spoken := 2 * time.Second; (name == "skip") != (apart < spoken+spoken) {
			t.Errorf("%s: the words are %v apart", name, apart)
		}
	}
}

func neverAnswered(t *testing.T, s *Stage) {
	near := s.Party(t, callgen.PartyOptions{User: "3501"})
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing")
	rec := s.Record(t, call.ID, "")
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	if code := d.Refused(t); code != 487 {
		t.Errorf("the caller got %d, want 487", code)
	}
	if c := s.AwaitStatus(t, call.ID, "no-answer"); c.HangupSource != "caller" {
		t.Errorf("hangup source %s, want caller", c.HangupSource)
	}
	if r := s.AwaitRecording(t, rec, "absent"); r.EndCause != "not-answered" {
		t.Errorf("end cause %s, want not-answered", r.EndCause)
	}
}

func busyFarParty(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "3601"}), s.Party(t, callgen.PartyOptions{User: "3602", Refuse: 486})
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing")
	farCall := s.BridgeTo(t, call.ID, far.URI())
	if code := d.Refused(t); code != 486 {
		t.Errorf("the caller got %d, want the far party's 486", code)
	}
	s.AwaitStatus(t, farCall, "busy")
	s.AwaitStatus(t, call.ID, "busy")
}

func bridgedAgain(t *testing.T, s *Stage) {
	near := s.Party(t, callgen.PartyOptions{User: "3701"})
	first, second := s.Party(t, callgen.PartyOptions{User: "3702"}), s.Party(t, callgen.PartyOptions{User: "3703"})
	one, two, own := said(300, 1200), said(1300, 2200), said(2300, 3300)
	call, farCall := s.Bridged(t, near, first, `,"hangupAfterBridge":false`)
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	play(t, first, near, one)
	if err := first.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitStatus(t, farCall, "completed")
	hearing(t, near, 300*time.Millisecond) // comfort silence: the near call lives on
	other := s.BridgeTo(t, call.ID, second.URI())
	s.AwaitStatus(t, other, "ongoing")
	play(t, second, near, two)
	play(t, near, second, own)
	s.Command(t, call.ID, "hangup", "")
	if r := s.AwaitRecording(t, rec, "available"); r.EndCause != "call-ended" {
		t.Errorf("end cause %s", r.EndCause)
	}
	a := s.Audio(t, rec)
	if found(t, a.Sides[1], two, "second far party") < found(t, a.Sides[1], one, "first far party")+2*time.Second {
		t.Error("the far parties are not in their order")
	}
	found(t, a.Sides[0], own, "near party")
	missing(t, a.Sides[0], one, "a far party on the near side")
	if c := s.AwaitStatus(t, call.ID, "completed"); c.HangupSource != "api" {
		t.Errorf("hangup source %s, want api", c.HangupSource)
	}
}

func calleeHangsUp(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "3801"}), s.Party(t, callgen.PartyOptions{User: "3802"})
	call, farCall := s.Bridged(t, near, far, `,"record":true`)
	hearing(t, near, 200*time.Millisecond)
	if err := far.Hangup(); err != nil {
		t.Fatal(err)
	}
	await(t, near.Done())
	for _, id := range []string{call.ID, farCall} {
		if c := s.AwaitStatus(t, id, "completed"); c.HangupSource != "callee" || c.HangupSIPCode != "200" {
			t.Errorf("call %s: hangup source %s, SIP code %s", id, c.HangupSource, c.HangupSIPCode)
		}
	}
}

func placedCall(t *testing.T, s *Stage) {
	party := s.Party(t, callgen.PartyOptions{User: "3901"})
	words := said(300, 1500)
	party.Play(callgen.PCM(words))
	var call Call
	s.Do(t, http.MethodPost, s.callsPath(), `{"to":"`+party.URI()+`","record":true,"stereo":true,"tags":["x"],
		"callFlow":[{"command":"pause","options":{"length":3}},{"command":"hangup"}]}`, http.StatusAccepted, &call)
	if call.Direction != "outgoing" || call.From != s.Number {
		t.Errorf("call is %s from %s", call.Direction, call.From)
	}
	if c := s.AwaitStatus(t, call.ID, "completed"); c.HangupSource != "api" || c.Duration < 2 || c.Duration > 4 {
		t.Errorf("hung up by %s after %d s", c.HangupSource, c.Duration)
	}
	var list struct{ Results []Recording }
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings?sourceId="+call.ID, "", http.StatusOK, &list)
	if len(list.Results) != 1 || list.Results[0].Origin != "create-call" {
		t.Fatalf("recordings of the call: %+v", list.Results)
	}
	s.AwaitRecording(t, list.Results[0].ID, "available")
	a := s.Audio(t, list.Results[0].ID)
	found(t, a.Sides[0], words, "the called party")
	if d := time.Duration(len(a.Sides[0])) * time.Second / 8000; d < 2900*time.Millisecond || d > 3300*time.Millisecond {
		t.Errorf("file is %v long, the call was 3 s", d)
	}
}

func stopped(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "4001"}), s.Party(t, callgen.PartyOptions{User: "4002"})
	words := said(300, 1500)
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	play(t, near, far, words)
	var soFar Audio
	testkit.Eventually(t, patience, func() bool { // what is on the disk grows four times a second
		soFar = s.Audio(t, rec)
		return len(soFar.Sides[0]) > len(words)
	})
	found(t, soFar.Sides[0], words, "the file so far")
	s.Steer(t, call.ID, rec, `{"status":"completed"}`)
	if r := s.AwaitRecording(t, rec, "available"); r.EndCause != "stopped" {
		t.Errorf("end cause %s, want stopped", r.EndCause)
	}
	found(t, s.Audio(t, rec).Sides[0], words, "the file")
	s.AwaitStatus(t, call.ID, "ongoing")
	s.Do(t, http.MethodDelete, s.workspacePath()+"/recordings/"+rec, "", http.StatusNoContent, nil)
	if r := s.AwaitRecording(t, rec, "absent"); r.EndCause != "deleted" {
		t.Errorf("end cause %s, want deleted", r.EndCause)
	}
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec+".wav", "", http.StatusNotFound, nil)
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
}

func noMedia(t *testing.T, s *Stage) {
	near := s.Party(t, callgen.PartyOptions{User: "4101", Quiet: true})
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing")
	s.Command(t, call.ID, "answer", "")
	d.Up(t)
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	hearing(t, near, 500*time.Millisecond)
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	if r := s.AwaitRecording(t, rec, "available"); r.EndCause != "call-ended" || r.DurationMs < 450 {
		t.Errorf("recording ended with %s after %d ms", r.EndCause, r.DurationMs)
	}
	for _, side := range s.Audio(t, rec).Sides {
		for _, sample := range side {
			if sample != 0 {
				t.Fatal("a file without media is not silent")
			}
		}
	}
	receipt := s.Do(t, http.MethodGet, s.workspacePath()+"/recordings/"+rec+"/receipt", "", http.StatusOK, nil)
	if !bytes.Contains(receipt, []byte(`"no_media": true`)) {
		t.Errorf("the receipt does not tell of it: %s", receipt)
	}
}

func nobodyDecides(t *testing.T, s *Stage) {
	s.channel(t, "5001", `"inbound":{"ringTimeout":3}`)
	near := s.Party(t, callgen.PartyOptions{User: "4201"})
	d := s.Dial(t, near, "5001")
	if code := d.Refused(t); code != 480 {
		t.Errorf("the caller got %d, want 480", code)
	}
	if c := s.CallFrom(t, near, "no-answer"); c.HangupSource != "timeout" {
		t.Errorf("hangup source %s, want timeout", c.HangupSource)
	}
}

func turnedAway(t *testing.T, s *Stage) {
	for cause, want := range map[string]int{"busy": 486, "rejected": 603} {
		near := s.Party(t, callgen.PartyOptions{User: "43" + strconv.Itoa(want)})
		d := s.Dial(t, near, s.Number)
		call := s.CallFrom(t, near, "ringing")
		s.Command(t, call.ID, "hangup", `{"cause":"`+cause+`"}`)
		if code := d.Refused(t); code != want {
			t.Errorf("%s: the caller got %d, want %d", cause, code, want)
		}
		if c := s.AwaitStatus(t, call.ID, "busy"); c.HangupSource != "api" || c.HangupSIPCode != strconv.Itoa(want) {
			t.Errorf("%s: hangup source %s, SIP code %s", cause, c.HangupSource, c.HangupSIPCode)
		}
	}
}

func inboundFlow(t *testing.T, s *Stage) {
	s.channel(t, "5002", `"inbound":{"callFlow":[{"command":"ringing"},{"command":"answer"},{"command":"pause","options":{"length":1}},{"command":"hangup"}]}`)
	near := s.Party(t, callgen.PartyOptions{User: "4401"})
	s.Dial(t, near, "5002").Up(t)
	await(t, near.Done())
	c := s.CallFrom(t, near, "completed")
	if c.HangupSource != "api" {
		t.Errorf("hangup source %s, want api", c.HangupSource)
	}
	for _, command := range c.CallFlow.Commands {
		if command.Status != "completed" {
			t.Errorf("command %s is %s", command.Command, command.Status)
		}
	}
	if len(c.CallFlow.Commands) != 4 {
		t.Errorf("the call shows %d commands, want 4", len(c.CallFlow.Commands))
	}
}

func ringTimeout(t *testing.T, s *Stage) {
	far := s.Party(t, callgen.PartyOptions{User: "4501", Ring: time.Minute})
	var call Call
	s.Do(t, http.MethodPost, s.callsPath(), `{"to":"`+far.URI()+`","ringTimeout":3,"record":true}`, http.StatusAccepted, &call)
	if c := s.AwaitStatus(t, call.ID, "no-answer"); c.HangupSource != "timeout" {
		t.Errorf("hangup source %s, want timeout", c.HangupSource)
	}
	await(t, far.Done())
	var list struct{ Results []Recording }
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings?sourceId="+call.ID, "", http.StatusOK, &list)
	if len(list.Results) != 1 {
		t.Fatalf("%d recordings of the call", len(list.Results))
	}
	if r := s.AwaitRecording(t, list.Results[0].ID, "absent"); r.EndCause != "not-answered" {
		t.Errorf("end cause %s", r.EndCause)
	}
}

// channel makes another channel of the workspace.
func (s *Stage) channel(t *testing.T, number, more string) {
	t.Helper()
	s.Do(t, http.MethodPost, s.workspacePath()+"/channels", `{"name":"`+number+`","number":"`+number+`",`+more+`}`, http.StatusCreated, nil)
}
