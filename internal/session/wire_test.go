package session

import (
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// offerless calls without an offer, has the call answered, and returns the 200.
func (r *rig) offerless() (*siptest.Caller, voice.Call, siptest.Message) {
	r.t.Helper()
	w := siptest.NewCaller(siptest.New(r.t, r.agent.Addr()), r.agent.Addr(), "offerless")
	w.Send(w.Request("INVITE", ""))
	c := r.live(voice.Incoming, voice.CallRinging)
	if _, err := r.Do(r.t.Context(), c.ID, &voice.Answer{}); err != nil {
		r.t.Fatal(err)
	}
	ok := w.Expect("200 INVITE")
	w.Learn(ok)
	return w, c, ok
}

// An INVITE without an offer whose ACK brings no answer makes a call that nobody
// could ever hear: it is ended (RFC 3261 §13.2.1).
func TestAckWithoutAnswer(t *testing.T) {
	r := newRig(t, nil)
	w, c, _ := r.offerless()
	w.Send(w.Request("ACK", ""))
	bye := w.Expect("BYE")
	w.Send(bye.Reply("200 OK", "", ""))
	if got := r.stored(c.ID); got.Status != voice.CallCompleted || got.HangupSource != voice.HangupByNone {
		t.Errorf("the call is %s by %s", got.Status, got.HangupSource)
	}
}

// A re-INVITE without an offer whose ACK brings no answer changes nothing.
func TestReinviteWithoutAnswer(t *testing.T) {
	r := newRig(t, nil)
	w, c, _ := r.offerless()
	w.Send(w.Request("ACK", siptest.SDP, "Content-Type: application/sdp"))
	for range 3 {
		w.Send(w.Request("INVITE", ""))
		w.Learn(w.Expect("200 INVITE"))
		w.Send(w.Request("ACK", ""))
	}
	w.Send(w.Request("INVITE", siptest.SDP, "Content-Type: application/sdp"))
	w.Expect("200 INVITE")
	w.Send(w.Request("ACK", ""))
	w.Send(w.Request("BYE", ""))
	w.Expect("200 BYE")
	r.stored(c.ID)
}

// A peer may switch its stream off by port 0, and on again (RFC 3264 §8.2).
// What cannot be met is refused and leaves the call as it is.
func TestStreamOffAndOn(t *testing.T) {
	r := newRig(t, nil)
	w, c, _ := r.offerless()
	w.Send(w.Request("ACK", siptest.SDP, "Content-Type: application/sdp"))
	_, b, err := r.Bridge(t.Context(), c.ID, r.far("far"))
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	r.answerCall(far)
	testkit.Eventually(t, patience, func() bool { got, _ := r.Call(b.ID); return got.Status == voice.CallOngoing })
	stream := func() (name string, held bool, codecs int) {
		r.within(c.ID, func(_ *session, l *leg) { name, held, codecs = l.stream.Send.Name, l.stream.Held, len(l.codecs()) })
		return name, held, codecs
	}
	before, _, codecs := stream()
	for i, tt := range []struct {
		sdp, answer string
		held        bool
	}{
		{strings.Replace(siptest.SDP, "m=audio 4000", "m=audio 0", 1), "200 INVITE", true},
		{siptest.SDP, "200 INVITE", false},
		{strings.Replace(siptest.SDP, "IN IP4 127.0.0.1\r\nt=", "IN IP6 ::1\r\nt=", 1), "488 INVITE", false},
		{siptest.SDP, "200 INVITE", false},
	} {
		body := strings.Replace(tt.sdp, "o=- 1 1", fmt.Sprintf("o=- 1 %d", i+2), 1)
		w.Send(w.Request("INVITE", body, "Content-Type: application/sdp"))
		w.Expect(tt.answer)
		w.Send(w.Again("ACK", ""))
		if name, held, n := stream(); name != before || held != tt.held || n != codecs {
			t.Errorf("offer %d: the stream is %s, held %v, %d codecs", i, name, held, n)
		}
	}
	w.Send(w.Request("BYE", ""))
	w.Expect("200 BYE")
	r.stored(c.ID)
	r.stored(b.ID)
}
