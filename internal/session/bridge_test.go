package session

import (
	"testing"

	"tapedeck/internal/sip"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// A call may be bridged thousands of times: nothing of a bridge that is over
// may stay, and the call-scoped list of its recordings is bounded by them alone.
func TestOverAndOver(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	lives := false
	for range 5 {
		b := r.far("far")
		b.HangupAfterBridge, b.Record = &lives, true
		if _, _, err := r.Bridge(t.Context(), c.ID, b); err != nil {
			t.Fatal(err)
		}
		far := r.called()
		r.answerCall(far)
		r.live(voice.Outgoing, voice.CallOngoing)
		errorless(t, far.Hangup(16))
		testkit.Eventually(t, patience, func() bool { return r.Counts()[voice.CallOngoing] == 1 && len(r.counted()) == 1 })
		recs, _ := r.Recordings(c.ID)
		last := recs[len(recs)-1]
		if _, err := r.UpdateRecording(t.Context(), c.ID, last.ID, voice.RecordingCompleted, ""); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, patience, func() bool {
		legs, takes, alarms := 0, 0, 0
		r.within(c.ID, func(s *session, _ *leg) { legs, takes, alarms = len(s.legs), len(s.takes), len(s.clock.list) })
		return legs == 1 && takes == 0 && alarms == 1 // the longest duration of the near call
	})
	recs, live := r.Recordings(c.ID)
	if !live || len(recs) != 5 {
		t.Fatalf("the call shows %d recordings (live %v), want 5", len(recs), live)
	}
	for i, rec := range recs {
		if rec.Status != voice.RecordingCompleted || i > 0 && rec.CreatedAt.Before(recs[i-1].CreatedAt) {
			t.Errorf("recording %d is %s, made at %v", i, rec.Status, rec.CreatedAt)
		}
	}
	// One that is over is still known: to stop it again is no fault, to resume it is.
	if _, err := r.UpdateRecording(t.Context(), c.ID, recs[0].ID, voice.RecordingCompleted, ""); err != nil {
		t.Error(err)
	}
	_, err := r.UpdateRecording(t.Context(), c.ID, recs[0].ID, voice.RecordingOngoing, "")
	as(t, err, voice.CodeRecordingNotActive)
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// counted are the calls that the manager knows.
func (r *rig) counted() []voice.CallID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var ids []voice.CallID
	for id := range r.calls {
		ids = append(ids, id)
	}
	return ids
}

// The normal end of a bridge is a normal end for both (Q.850 cause 16).
func TestCauseOfABridgesEnd(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	_, b, err := r.Bridge(t.Context(), c.ID, r.far("far"))
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	r.answerCall(far)
	r.live(voice.Outgoing, voice.CallOngoing)
	errorless(t, far.Hangup(16))
	if e := await[sip.Ended](r, near); e.Q850 != 16 {
		t.Errorf("the near party was told cause %d, want 16", e.Q850)
	}
	for _, id := range []voice.CallID{c.ID, b.ID} {
		if got := r.stored(id); got.Status != voice.CallCompleted || got.HangupCause != 16 || got.HangupSource != voice.HangupByCallee {
			t.Errorf("call is %s, cause %d, by %s", got.Status, got.HangupCause, got.HangupSource)
		}
	}
}

// A loop of bridges ends by Max-Forwards (RFC 3261 §16.3).
func TestHopsAreSpent(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct{ hops, next int }{{3, 2}, {2, 1}, {1, 0}} {
		p := r.call(func(o *sip.InviteOptions) { o.MaxForwards = tt.hops })
		c := r.live(voice.Incoming, voice.CallRinging)
		if _, err := r.ReplaceFlow(t.Context(), c.ID, []voice.FlowCommand{{Command: r.far("far")}}); err != nil {
			t.Fatal(err)
		}
		if tt.next == 0 {
			if e := await[sip.Ended](r, p); e.Code != 483 {
				t.Errorf("the loop ended with %d, want 483", e.Code)
			}
		} else {
			far := r.called()
			if got := far.Request().MaxForwards; got != tt.next {
				t.Errorf("after %d hops left, the far party is called with %d", tt.hops, got)
			}
			errorless(t, p.Hangup(16))
			await[sip.Ended](r, far)
		}
		r.stored(c.ID)
	}
}

// The far party answers at the moment at which the near one gives up: nobody is
// to blame but the near one.
func TestFarAnswersWhileNearGivesUp(t *testing.T) {
	r := newRig(t, nil)
	near := r.call(nil)
	c := r.live(voice.Incoming, voice.CallRinging)
	bridge := r.far("far")
	bridge.Record = true
	_, b, err := r.Bridge(t.Context(), c.ID, bridge)
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	testkit.Eventually(t, patience, func() (stored bool) { // what becomes of writes is no event of the parties
		r.within(c.ID, func(s *session, _ *leg) { stored = s.writing == 0 })
		return stored
	})
	hold, held := make(chan struct{}), make(chan struct{}) // closed, both
	box := r.find(c.ID).session.inbox
	box.put(func() { close(held); <-hold })
	<-held // the session is busy: both events wait for it
	r.answerCall(far)
	errorless(t, near.Hangup(16))
	testkit.Eventually(t, patience, func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.items) >= 2
	})
	close(hold)
	await[sip.Ended](r, far)
	if got := r.stored(b.ID); got.HangupSource != voice.HangupByCaller {
		t.Errorf("the far call was ended by %s, want caller", got.HangupSource)
	}
	if got := r.stored(c.ID); got.Status != voice.CallNoAnswer || got.HangupSource != voice.HangupByCaller {
		t.Errorf("the near call is %s by %s", got.Status, got.HangupSource)
	}
}

// An answer that crossed our hangup connects nobody.
func TestAnswerAfterRingTimeout(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	lives := false
	bridge := r.far("far")
	bridge.HangupAfterBridge = &lives
	_, b, err := r.Bridge(t.Context(), c.ID, bridge)
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	r.live(voice.Outgoing, voice.CallStarting)
	hold, held := make(chan struct{}), make(chan struct{}) // closed, both
	box := r.find(c.ID).session.inbox
	box.put(func() {
		close(held)
		<-hold
		s := r.find(c.ID).session
		s.hangup(s.leg(b.ID), ending{source: voice.HangupByTimeout, code: 408, reason: "nobody answered in time"})
	})
	<-held
	r.answerCall(far)
	testkit.Eventually(t, patience, func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.items) >= 1
	})
	close(hold)
	await[sip.Ended](r, far)
	if got := r.stored(b.ID); got.Status != voice.CallNoAnswer || got.HangupSource != voice.HangupByTimeout {
		t.Errorf("the far call is %s by %s", got.Status, got.HangupSource)
	}
	if got, _ := r.Call(c.ID); got.Status != voice.CallOngoing {
		t.Errorf("the near call is %s", got.Status)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// What follows a hangup in a flow is not run: nobody is called for a call that
// is being ended.
func TestNothingAfterHangup(t *testing.T) {
	r := newRig(t, nil)
	_, c := r.up()
	ended := make(chan struct{})
	flow := []voice.FlowCommand{{Command: &voice.Hangup{}}, {Command: r.far("far")}}
	r.within(c.ID, func(s *session, l *leg) {
		s.startFlow(l, flow)
		s.next(l)
		if l.bridge != nil {
			t.Error("a call that was hung up is bridged")
		}
		as(t, s.fits(l, r.far("far")), voice.CodeCallNotActive)
		close(ended)
	})
	<-ended
	got := r.stored(c.ID)
	if n := len(got.Commands); n < 2 || got.Commands[n-1].Status != voice.CommandSkipped || got.Commands[n-2].Status != voice.CommandCompleted {
		t.Errorf("the commands are %+v", got.Commands)
	}
	if len(r.invited) != 0 {
		t.Error("the far party was called")
	}
}
