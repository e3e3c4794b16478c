package session

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// later schedules a call in an hour and returns it with the job that places it.
func (r *rig) later(order voice.CallOrder) (voice.Call, store.Job) {
	r.t.Helper()
	c, err := r.Schedule(r.t.Context(), NewCall{
		Channel: r.channel, To: r.far("far").To, Tags: []string{"t"}, Order: order,
		ScheduledFor: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if c.Status != voice.CallScheduled || c.ScheduledFor.IsZero() {
		r.t.Fatalf("the call is %s for %s", c.Status, c.ScheduledFor)
	}
	return c, store.Job{Kind: voice.JobDial, Ref: c.Ref()}
}

// row is a call as it is stored now.
func (r *rig) row(id voice.CallID) (c voice.Call) {
	r.t.Helper()
	err := r.o.DB.View(r.t.Context(), func(tx *store.Tx) (err error) {
		c, err = tx.Call(r.channel.Workspace, "", id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// A call that was scheduled is placed as it was asked for, under its id, once: also
// when the server was started anew meanwhile, and when its job comes twice.
func TestScheduledCall(t *testing.T) {
	r := newRig(t, nil)
	c, job := r.later(voice.CallOrder{Flow: []voice.FlowCommand{{Command: &voice.Hangup{}}}})
	if err := Recover(t.Context(), r.o.DB, time.Now(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if got := r.row(c.ID); got.Status != voice.CallScheduled || got.Order == nil || len(got.Order.Flow) != 1 {
		t.Fatalf("after a restart the call is %s and is to do %+v", got.Status, got.Order)
	}
	for range 2 {
		errorless(t, r.Place(t.Context(), job))
	}
	far := r.called()
	if live := r.live(voice.Outgoing, voice.CallStarting); live.ID != c.ID || !live.CreatedAt.Equal(r.row(c.ID).CreatedAt) {
		t.Errorf("call %s of %s was placed as %s of %s", c.ID, c.CreatedAt, live.ID, live.CreatedAt)
	}
	r.answerCall(far)
	await[sip.Ended](r, far)
	got := r.stored(c.ID)
	if got.Status != voice.CallCompleted || !slices.Equal(got.Tags, []string{"t"}) || got.Order != nil || got.Quality.PDD <= 0 {
		t.Errorf("the call is %s with tags %v, order %v and quality %+v", got.Status, got.Tags, got.Order, got.Quality)
	}
	if len(got.Commands) != 1 || got.Commands[0].Status != voice.CommandCompleted {
		t.Errorf("its commands are %+v", got.Commands)
	}
	errorless(t, r.Place(t.Context(), job))
	select {
	case <-r.invited:
		t.Error("it was placed again")
	default:
	}
}

// A call that was taken back is not placed, and one that is on its way is not taken
// back.
func TestUnschedule(t *testing.T) {
	r := newRig(t, nil)
	c, job := r.later(voice.CallOrder{})
	if _, err := r.Reflow(t.Context(), c.Workspace, c.ID, []voice.FlowCommand{{Command: &voice.Pause{Length: 1}}}); err != nil {
		t.Fatal(err)
	}
	if got := r.row(c.ID); got.Order == nil || len(got.Order.Flow) != 1 {
		t.Errorf("its new order is %+v", got.Order)
	}
	got, err := r.Unschedule(t.Context(), c.Workspace, c.ID)
	if err != nil || got.Status != voice.CallCancelled || got.HangupSource != voice.HangupByAPI || got.EndedAt.IsZero() {
		t.Errorf("taken back: %+v, %v", got, err)
	}
	errorless(t, r.Place(t.Context(), job))
	_, err = r.Unschedule(t.Context(), c.Workspace, c.ID)
	as(t, err, voice.CodeCallNotInState)
	_, err = r.Reflow(t.Context(), c.Workspace, c.ID, nil)
	as(t, err, voice.CodeCallNotInState)
	_, err = r.Unschedule(t.Context(), c.Workspace, "none")
	as(t, err, voice.CodeNotFound)

	c, job = r.later(voice.CallOrder{})
	errorless(t, r.Place(t.Context(), job))
	r.called()
	_, err = r.Unschedule(t.Context(), c.Workspace, c.ID)
	as(t, err, voice.CodeCallNotInState)
	if n := len(r.counted()); n != 1 {
		t.Errorf("%d calls live", n)
	}
}

// A scheduled call that cannot be placed any more fails and says why. One that has
// no room waits.
func TestScheduledCallThatCannotBePlaced(t *testing.T) {
	r := newRig(t, nil)
	late, lateJob := r.later(voice.CallOrder{})
	odd, oddJob := r.later(voice.CallOrder{})
	errorless(t, r.o.DB.Update(t.Context(), func(tx *store.Tx) error {
		late.ScheduledFor = time.Now().Add(-voice.MaxScheduleLate - time.Minute)
		late.Order = &voice.CallOrder{}
		return tx.PutCall(late)
	}))
	orphan, orphanJob := r.later(voice.CallOrder{})
	errorless(t, r.Place(t.Context(), lateJob))
	r.o.MaxSessions = 1
	if err := r.admit(); err != nil {
		t.Fatal(err)
	}
	as(t, r.Place(t.Context(), oddJob), voice.CodeUnavailable)
	if got := r.row(odd.ID); got.Status != voice.CallScheduled {
		t.Errorf("without room the call is %s", got.Status)
	}
	r.leave()
	errorless(t, r.o.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteChannel(r.channel.Workspace, r.channel.ID) }))
	errorless(t, r.Place(t.Context(), orphanJob))
	errorless(t, r.Place(t.Context(), oddJob))
	errorless(t, r.Place(t.Context(), store.Job{Kind: voice.JobDial, Ref: "odd"}))
	errorless(t, r.Place(t.Context(), store.Job{Kind: voice.JobDial, Ref: "w/none"}))
	for id, why := range map[voice.CallID]string{late.ID: "in time", orphan.ID: "channel", odd.ID: "channel"} {
		got := r.row(id)
		if got.Status != voice.CallFailed || !strings.Contains(got.Reason, why) || got.EndedAt.IsZero() {
			t.Errorf("the call is %s: %q, want a reason with %q", got.Status, got.Reason, why)
		}
	}
	if _, err := r.Schedule(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, ScheduledFor: time.Now().Add(time.Hour)}); voice.CodeOf(err) != voice.CodeNotFound {
		t.Errorf("a call of a channel that was deleted: %v", err)
	}
	if _, err := r.Schedule(t.Context(), NewCall{Channel: r.channel, To: "+35120000", ScheduledFor: time.Now().Add(time.Hour)}); voice.CodeOf(err) != voice.CodeValidationFailed {
		t.Errorf("a number without a trunk: %v", err)
	}
}

// A scheduled call whose time has come while it was asked for is placed at once.
func TestScheduledForNow(t *testing.T) {
	r := newRig(t, nil)
	c, err := r.Schedule(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, ScheduledFor: time.Now().Add(-time.Second)})
	if err != nil || c.Status != voice.CallAccepted {
		t.Fatalf("the call is %s, %v", c.Status, err)
	}
	r.called()
	errorless(t, errors.Join(r.Close()))
}

// A flow from the ringing runs while it rings: a pause and a hangup need no answer. A
// bridge waits for it.
func TestFlowFromRinging(t *testing.T) {
	r := newRig(t, nil)
	place := func(flow ...voice.FlowCommand) (*party, voice.CallID) {
		t.Helper()
		c, err := r.Dial(t.Context(), NewCall{
			Channel: r.channel, To: r.far("first").To, Order: voice.CallOrder{FlowStart: voice.FlowFromRinging, Flow: flow},
		})
		if err != nil {
			t.Fatal(err)
		}
		far := r.called()
		errorless(t, far.Progress(180, nil))
		return far, c.ID
	}
	far, id := place(voice.FlowCommand{Command: &voice.Pause{Length: 1}}, voice.FlowCommand{Command: &voice.Hangup{}})
	if e := await[sip.Ended](r, far); e.By != sip.Remote {
		t.Errorf("the ringing call ended by %v", e.By)
	}
	got := r.stored(id)
	if got.Status != voice.CallCancelled || !got.AnsweredAt.IsZero() {
		t.Errorf("the call is %s, answered %s", got.Status, got.AnsweredAt)
	}
	for _, c := range got.Commands {
		if c.Status != voice.CommandCompleted {
			t.Errorf("%s is %s: %s", c.Kind, c.Status, c.Reason)
		}
	}

	far, id = place(voice.FlowCommand{Command: r.far("second")})
	if c := r.live(voice.Outgoing, voice.CallRinging); c.Commands[0].Status != voice.CommandAccepted {
		t.Errorf("before the answer the bridge is %s: %s", c.Commands[0].Status, c.Commands[0].Reason)
	}
	r.answerCall(far)
	second := r.called()
	r.answerCall(second)
	testkit.Eventually(t, patience, func() bool {
		c, _ := r.Call(id)
		return c.Commands[0].Status == voice.CommandOngoing
	})
	errorless(t, second.Hangup(16))
	await[sip.Ended](r, far)
	r.stored(id)
}
