package calltest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/callgen"
)

// heardIn is all that a party heard, one frame after the other, whatever G.711 it was.
func heardIn(p *callgen.Party) []int16 {
	var out []int16
	for _, f := range p.Heard() {
		out = append(out, decode(f.PT, f.Payload)...)
	}
	return out
}

// bridgeWith bridges the call with these members of the request, and returns the far
// call.
func (s *Stage) bridgeWith(t *testing.T, call, to, members string) string {
	t.Helper()
	var out struct{ BridgedCall Call }
	s.Do(t, http.MethodPost, s.callsPath()+"/"+call+"/bridge", fmt.Sprintf(`{"to":%q%s}`, to, members), http.StatusAccepted, &out)
	return out.BridgedCall.ID
}

// recordingsOf lists the recordings of a call.
func (s *Stage) recordingsOf(t *testing.T, call string) []Recording {
	t.Helper()
	var list struct{ Results []Recording }
	s.Do(t, http.MethodGet, s.workspacePath()+"/recordings?sourceId="+call, "", http.StatusOK, &list)
	return list.Results
}

// ring is a far party that is heard while it rings, and the call with it.
type ring struct {
	near, far    *callgen.Party
	call, bridge string
	dial         *Dialling
	asked        string // the recording that was asked for before the answer
	early, after []int16
	spoke        time.Duration // when it began to speak after the answer
	before, up   time.Duration // the answer, and what begins with it, was between these
}

// rings lets a far party speak while it rings, then answers and lets both speak.
func rings(t *testing.T, s *Stage, number int, start string) *ring {
	t.Helper()
	r := &ring{
		near:  s.Party(t, callgen.PartyOptions{User: fmt.Sprint(number)}),
		far:   s.Party(t, callgen.PartyOptions{User: fmt.Sprint(number + 1), Early: true, Ring: time.Minute}),
		early: said(300, 1200), after: said(1300, 2200),
	}
	r.dial = s.Dial(t, r.near, s.Number)
	r.call = s.CallFrom(t, r.near, "ringing").ID
	r.asked = s.Record(t, r.call, `{"stereo":true}`)
	r.bridge = s.bridgeWith(t, r.call, r.far.URI(), `,"record":true,"recordStereo":true,"recordStart":"`+start+`"`)
	hearing(t, r.near, 200*time.Millisecond) // the far party's silence, before any answer
	play(t, r.far, r.near, r.early)
	found(t, heardIn(r.near), r.early, "early media, as the near party hears it")
	s.AwaitStatus(t, r.bridge, "ringing")

	r.before = s.Parties.Now()
	r.far.PickUp()
	r.dial.Up(t)
	for _, rec := range s.recordingsOf(t, r.call) {
		s.AwaitRecording(t, rec.ID, "ongoing")
	}
	r.up = s.Parties.Now()
	b := r.far.Play(callgen.PCM(r.after))
	await(t, b.Done())
	hearing(t, r.near, 100*time.Millisecond)
	r.spoke, _ = b.Began()
	play(t, r.near, r.far, said(2300, 3300))
	if err := r.near.Hangup(); err != nil {
		t.Fatal(err)
	}
	return r
}

// fromTheAnswer checks a file that begins with the answer.
func (r *ring) fromTheAnswer(t *testing.T, s *Stage, rec, name string) {
	t.Helper()
	s.AwaitRecording(t, rec, "available")
	a := s.Audio(t, rec)
	missing(t, a.Sides[0], r.early, name+": early media, left")
	missing(t, a.Sides[1], r.early, name+": early media, right")
	found(t, a.Sides[0], said(2300, 3300), name+": near party")
	at := found(t, a.Sides[1], r.after, name+": far party")
	// A packet is sent when its last sample was spoken: 20 ms after its first.
	if least, most := r.spoke-r.up, r.spoke-r.before; at < least-40*time.Millisecond || at > most+20*time.Millisecond {
		t.Errorf("%s: the far party speaks %v after the beginning, and spoke %v to %v after the answer", name, at, least, most)
	}
}

// earlyMedia: what the far party says before it answers is heard and not kept, whether
// the recording was asked for before the answer or comes with the bridge.
func earlyMedia(t *testing.T, s *Stage) {
	r := rings(t, s, 5501, "record-from-answer")
	all := s.recordingsOf(t, r.call)
	if len(all) != 2 {
		t.Fatalf("%d recordings of the call, want 2", len(all))
	}
	for _, rec := range all {
		r.fromTheAnswer(t, s, rec.ID, rec.Origin)
	}
}

// earlyMediaKept: from the ringing on, early media is in the file, and in its place.
func earlyMediaKept(t *testing.T, s *Stage) {
	r := rings(t, s, 5511, "record-from-ringing")
	r.fromTheAnswer(t, s, r.asked, "asked for before the answer")
	for _, rec := range s.recordingsOf(t, r.call) {
		if rec.ID == r.asked {
			continue
		}
		s.AwaitRecording(t, rec.ID, "available")
		a := s.Audio(t, rec.ID)
		apart := found(t, a.Sides[1], r.after, "far party") - found(t, a.Sides[1], r.early, "early media")
		if least := r.spoke - r.before + 2*time.Second; apart < least-20*time.Millisecond {
			t.Errorf("what was said after the answer is %v after what was said before it, want %v at least", apart, least)
		}
		missing(t, a.Sides[0], r.early, "early media, left")
		found(t, a.Sides[0], said(2300, 3300), "near party")
		return
	}
	t.Error("the bridge made no recording")
}

// bridgeFails: a recording goes on while another party is called in vain.
func bridgeFails(t *testing.T, s *Stage) {
	near := s.Party(t, callgen.PartyOptions{User: "5601"})
	busy := s.Party(t, callgen.PartyOptions{User: "5602", Refuse: 486})
	d := s.Dial(t, near, s.Number)
	call := s.CallFrom(t, near, "ringing").ID
	s.Command(t, call, "answer", "")
	d.Up(t)
	rec := s.Record(t, call, `{"stereo":true}`)
	during, after := sweep(4, 300, 1700), said(1900, 3300)
	b := near.Play(callgen.PCM(during))
	await(t, b.Started())
	s.AwaitStatus(t, s.bridgeWith(t, call, busy.URI(), `,"hangupAfterBridge":false`), "busy")
	await(t, b.Done())
	first, _ := b.Began()
	s.AwaitStatus(t, call, "ongoing")
	if r := s.AwaitRecording(t, rec, "ongoing"); r.EndCause != "" {
		t.Errorf("the recording ended with %s", r.EndCause)
	}
	b = near.Play(callgen.PCM(after))
	await(t, b.Done())
	hearing(t, near, 100*time.Millisecond) // comfort silence: the near call lives on
	second, _ := b.Began()
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	side := s.Audio(t, rec).Sides[0]
	apart := found(t, side, after, "after the bridge failed") - found(t, side, during, "while the bridge failed")
	if off := (apart - (second - first)).Abs(); off > 20*time.Millisecond {
		t.Errorf("what came after it is off by %v", off)
	}
}

// heardIsKept: whatever happens to a stream in a call, what the other party hears live is
// in the file: a recording that begins in the middle of the bridge, a hold, another codec,
// and a stream made anew again and again at a re-INVITE.
func heardIsKept(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "5701"}), s.Party(t, callgen.PartyOptions{User: "5702"})
	call, _ := s.Bridged(t, near, far, "")
	hearing(t, far, 200*time.Millisecond)
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	hearing(t, near, 100*time.Millisecond)
	words := [][]int16{}
	speak := func(what []int16) {
		t.Helper()
		play(t, far, near, what)
		words = append(words, what)
	}
	speak(sweep(1, 300, 800))
	for _, change := range []func() error{
		func() error { return far.Hold(t.Context()) },
		func() error { return far.Resume(t.Context()) },
		func() error { return near.Change(t.Context(), "PCMA") },
		func() error { return far.Change(t.Context(), "PCMA") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	speak(sweep(1, 900, 1300))
	for i := range 6 { // more than a receiver remembers
		far.Renew()
		if err := far.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		hearing(t, near, 200*time.Millisecond)
		speak(sweep(1, 1400+300*float64(i), 1650+300*float64(i)))
	}
	if err := near.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	side, live := s.Audio(t, rec).Sides[1], heardIn(near)
	last := time.Duration(0)
	for i, what := range words {
		found(t, live, what, fmt.Sprintf("part %d, live", i))
		at := found(t, side, what, fmt.Sprintf("part %d, in the file", i))
		if at < last {
			t.Errorf("part %d is at %v, before the one that ended at %v", i, at, last)
		}
		last = at + time.Duration(len(what))*time.Second/8000 - 20*time.Millisecond
	}
}

// lastWord: a party that speaks until it hangs up is in the file to its last word.
func lastWord(t *testing.T, s *Stage) {
	near, far := s.Party(t, callgen.PartyOptions{User: "5801"}), s.Party(t, callgen.PartyOptions{User: "5802"})
	words := said(300, 3300)
	call, _ := s.Bridged(t, near, far, "")
	rec := s.Record(t, call.ID, `{"stereo":true}`)
	b := near.Play(callgen.PCM(words))
	await(t, b.Done())
	if err := near.Hangup(); err != nil { // one frame after the last one
		t.Fatal(err)
	}
	s.AwaitRecording(t, rec, "available")
	side := s.Audio(t, rec).Sides[0]
	at := int(found(t, side, words, "all of it").Seconds() * 8000)
	const tail = 800 // 100 ms
	found(t, side[at+len(words)-2*tail:], words[len(words)-tail:], "the last 100 ms")
}
