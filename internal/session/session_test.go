package session

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// An older state that the database did not take must not come after a newer one
// that it took, and who waits for the older one hears that the row is safe.
func TestWritesOfARowKeepTheirOrder(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	var wrote []string // by the store's writer; read after both were told
	told := make(chan string, 3)
	line := &row{}
	tried := make(chan struct{}, 2) // the first try of the old state, and another one beside other rows
	r.within(c.ID, func(s *session, _ *leg) {
		s.write(line, "old", "", func(*store.Tx) error {
			if len(wrote) == 0 {
				tried <- struct{}{}
				return errors.New("the disk is full")
			}
			wrote = append(wrote, "old")
			return nil
		}, func() { told <- "old" })
	})
	testkit.Receive(t, patience, tried) // the new state comes into another transaction
	r.within(c.ID, func(s *session, _ *leg) {
		s.write(line, "new", "", func(*store.Tx) error { wrote = append(wrote, "new"); return nil }, func() { told <- "new" })
	})
	if got := []string{testkit.Receive(t, patience, told), testkit.Receive(t, patience, told)}; !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("told of %v", got)
	}
	if !slices.Equal(wrote, []string{"new"}) {
		t.Errorf("wrote %v, want the new state alone", wrote)
	}
	// A failure with nothing newer is tried again; and one that is overtaken
	// while it waits leaves the writing to the newer one.
	r.within(c.ID, func(s *session, _ *leg) {
		failures := 2
		line := &row{}
		s.write(line, "only", "", func(*store.Tx) error {
			if failures--; failures >= 0 {
				return errors.New("the disk is full")
			}
			return nil
		}, func() { told <- "only" })
	})
	if got := testkit.Receive(t, patience, told); got != "only" {
		t.Errorf("told of %s", got)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// A database that takes nothing any more does not hold up the end of the server.
func TestCloseWithABrokenDatabase(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	if _, _, err := r.Record(t.Context(), c.ID, &voice.RecordCall{}); err != nil {
		t.Fatal(err)
	}
	errorless(t, r.o.DB.Close())
	closed := make(chan error, 1) // sent to once
	go func() { closed <- r.Close() }()
	errorless(t, testkit.Receive(t, patience, closed))
	await[sip.Ended](r, near)
}

// A fault takes down its own session, with everything that it holds, and no
// other one.
func TestAFaultEndsOneSession(t *testing.T) {
	r := newRig(t, nil)
	other, otherCall := r.up()
	near, c := r.up()
	_, b, err := r.Bridge(t.Context(), c.ID, r.far("far"))
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	r.answerCall(far)
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{Stereo: true})
	if err != nil {
		t.Fatal(err)
	}
	r.find(c.ID).session.inbox.put(func() { panic("a fault of ours") })
	await[sip.Ended](r, near)
	await[sip.Ended](r, far)
	for _, id := range []voice.CallID{c.ID, b.ID} {
		if got := r.stored(id); got.Status != voice.CallCompleted || got.Reason != "internal error" {
			t.Errorf("a call of the session is %s, %q", got.Status, got.Reason)
		}
	}
	r.storedRecording(rec, voice.RecordingCompleted)
	if got, live := r.Call(otherCall.ID); !live || got.Status != voice.CallOngoing {
		t.Errorf("the other call is %s", got.Status)
	}
	errorless(t, other.Hangup(16))
	r.stored(otherCall.ID)
}

// Even a fault in the end of a leg leaves nothing behind.
func TestAFaultInTheEnd(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	if err != nil {
		t.Fatal(err)
	}
	r.within(c.ID, func(_ *session, l *leg) { l.flow = &flowRun{ids: nil, next: 1} }) // dropFlow cannot bear it
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
	r.storedRecording(rec, voice.RecordingCompleted)
	testkit.Eventually(t, patience, func() bool { return len(r.counted()) == 0 })
}

// Close may come at the very moment at which a session starts.
func TestCloseMeetsNewCalls(t *testing.T) {
	for range 3 {
		r := newRig(t, nil)
		if err := r.admit(); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1) // sent to once
		go func() { closed <- r.Close() }()
		<-r.closing
		to, err := target(&r.channel, r.far("far").To)
		if err != nil {
			t.Fatal(err)
		}
		r.start(r.channel, func(s *session) {
			s.dial(s.join(voice.Call{
				ID: voice.CallID(s.newID()), Direction: voice.Outgoing, Status: voice.CallAccepted, RingTimeout: time.Hour,
			}), to, nil)
		})
		errorless(t, testkit.Receive(t, patience, closed))
	}
}

// A call that a new flow leaves without anything to decide on it is turned away
// in time.
func TestEmptyFlowLeavesADeadline(t *testing.T) {
	r := newRig(t, func(c *voice.Channel) {
		c.Inbound.RingTimeout = 1
		c.Inbound.Flow = []voice.FlowCommand{{Command: &voice.Ringing{}}, {Command: &voice.Pause{Length: 3600}}}
	})
	p := r.call(nil)
	c := r.live(voice.Incoming, voice.CallRinging)
	if _, err := r.ReplaceFlow(t.Context(), c.ID, nil); err != nil {
		t.Fatal(err)
	}
	if e := await[sip.Ended](r, p); e.Code != 480 {
		t.Errorf("the call ended with %d, want 480", e.Code)
	}
	if got := r.stored(c.ID); got.HangupSource != voice.HangupByTimeout {
		t.Errorf("ended by %s", got.HangupSource)
	}
}
