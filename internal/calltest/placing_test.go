package calltest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/callgen"
	"tapedeck/internal/dtmf"
	"tapedeck/internal/testkit"
)

// sendKeys: the called party gets the keys before anything else, as events or as
// tones; then the flow runs, with its pause, and hangs up.
func sendKeys(t *testing.T, s *studio) {
	const keys = "1*90#"
	for name, o := range map[string]callgen.PartyOptions{"RFC 4733": {User: "6051"}, "tones": {User: "6052", NoEvents: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.Party(t, o)
			c := s.Place(t, p.URI(), `,"sendKeys":"`+keys+`","callFlow":`+steps(
				step("playback", s.media("", "low")), step("pause", `{"length":1}`), step("playback", s.media("", "mid")), step("hangup", "")))
			await(t, p.Done())
			if got := pressed(t, p); got != keys {
				t.Errorf("the keys %q came, want %q", got, keys)
			}
			got := s.AwaitStatus(t, c.ID, "completed")
			for _, c := range got.Commands {
				s.because(t, got.ID, c.ID, "completed", "")
			}
			pause := got.Commands[1]
			if d := instantOf(t, pause.EndedAt).Sub(instantOf(t, pause.StartedAt)); d < time.Second {
				t.Errorf("the pause of a second took %v", d)
			}
			first, second := hearsWhole(t, p, sounds()["low"], "before the pause"), hearsWhole(t, p, sounds()["mid"], "after the pause")
			if second-first < 8000+4000 {
				t.Errorf("the pause was heard for %d samples", second-first-8000)
			}
			if !o.NoEvents {
				return
			}
			if at := lastTone(t, p); at > first {
				t.Errorf("the last key is heard at %d, the flow at %d", at, first)
			}
		})
	}
}

// pressed are the keys that came to a party, however they came.
func pressed(t *testing.T, p *callgen.Party) (keys string) {
	t.Helper()
	agreed, _ := p.Agreed()
	if agreed.Event == nil {
		detector := dtmf.New(8000)
		for pcm := listenedTo(t, p); len(pcm) >= 160; pcm = pcm[160:] {
			if key, ok := detector.Feed(pcm[:160]); ok {
				keys += string(key)
			}
		}
		return keys
	}
	var seen []uint32 // each key has a timestamp of its own (RFC 4733 §2.5.1.2)
	for _, f := range inOrder(p.Heard()) {
		if f.PT == agreed.Event.PT && !slices.Contains(seen, f.Time) {
			seen = append(seen, f.Time)
			keys += string("0123456789*#"[f.Payload[0]])
		}
	}
	return keys
}

// lastTone is where the last key is heard, in samples.
func lastTone(t *testing.T, p *callgen.Party) (last int) {
	t.Helper()
	detector := dtmf.New(8000)
	pcm := listenedTo(t, p)
	for at := 0; at+160 <= len(pcm); at += 160 {
		if _, ok := detector.Feed(pcm[at : at+160]); ok {
			last = at
		}
	}
	return last
}

// whileItRings: with the flow and the recording from the ringing on, what is said before
// the answer is in the file, and the flow may give the call up.
func whileItRings(t *testing.T, s *studio) {
	p := s.Party(t, callgen.PartyOptions{User: "6053", Early: true, Ring: time.Minute})
	words := sounds()["down"]
	// It says them when the server has heard that it rings, and the recording runs.
	p.Play(callgen.PCM(slices.Concat(make([]int16, 4000), words)))
	c := s.Place(t, p.URI(), `,"record":true,"recordStart":"record-from-ringing","stereo":true,
		"flowStart":"from-ringing","callFlow":`+steps(step("pause", `{"length":2}`), step("hangup", "")))
	await(t, p.Done())
	got := s.AwaitStatus(t, c.ID, "cancelled")
	if got.HangupSource != "api" || got.AnsweredAt != "" || got.RingingAt == "" {
		t.Errorf("the call is %+v", got)
	}
	for _, c := range got.Commands {
		s.because(t, got.ID, c.ID, "completed", "")
	}
	recs := s.recordingsOf(t, c.ID)
	if len(recs) != 1 || recs[0].Origin != "create-call" || !recs[0].Stereo {
		t.Fatalf("its recordings are %+v", recs)
	}
	s.AwaitRecording(t, recs[0].ID, "available")
	a := s.Audio(t, recs[0].ID)
	if len(a.Sides) != 2 {
		t.Fatalf("the file has %d sides", len(a.Sides))
	}
	found(t, a.Sides[0], words, "what was said before the answer")
	missing(t, a.Sides[1], words, "the same, on the other side")
}

// notified: a call that is placed for a second carries its tags, and tells its address
// of all that it does, in order.
func notified(t *testing.T, s *studio) {
	events := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Service, Event string
			Payload        Call
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil || r.Header.Get("messagebird-signature") != "" {
			t.Errorf("a notification is %s: %v", body, err)
		}
		events <- e.Service + " " + e.Event + " " + e.Payload.Status
	}))
	t.Cleanup(receiver.Close)
	p := s.Party(t, callgen.PartyOptions{User: "6054", Ring: 100 * time.Millisecond})
	c := s.Place(t, p.URI(), `,"maxDuration":1,"tags":["first","second one"],"notification":{"url":"`+receiver.URL+`"}`)
	for _, status := range []string{"accepted", "starting", "ringing", "ongoing", "completed"} {
		if got := testkit.Receive(t, patience, events); got != "channels voice.outbound "+status {
			t.Errorf("the notification is of %q, want %s", got, status)
		}
	}
	await(t, p.Done())
	if got := s.AwaitStatus(t, c.ID, "completed"); got.HangupSource != "timeout" || got.Duration != 1 || !slices.Equal(got.Tags, []string{"first", "second one"}) || got.Notification.URL != receiver.URL {
		t.Errorf("the call is %+v", got)
	}
	var list struct{ Results []Call }
	s.Do(t, http.MethodGet, s.callsPath()+"?tag=first&tag=second%20one", "", http.StatusOK, &list)
	if len(list.Results) != 1 || list.Results[0].ID != c.ID {
		t.Errorf("with its tags are listed %+v", list.Results)
	}
}
