package session

import (
	"errors"
	"net"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// The recordings of one call are bounded, and a stopped one makes place.
func TestRecordingsAtOnceAreBounded(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	r.within(c.ID, func(s *session, l *leg) {
		for range maxTakes {
			if _, err := s.record(l, takeSpec{origin: voice.OriginCommandRecordCall, from: l}); err != nil {
				t.Error(err)
			}
		}
	})
	_, _, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	as(t, err, voice.CodeUnavailable)
	recs, _ := r.Recordings(c.ID)
	if _, err := r.UpdateRecording(t.Context(), c.ID, recs[0].ID, voice.RecordingCompleted, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := r.Record(t.Context(), c.ID, &voice.RecordCall{}); err != nil {
		t.Error(err)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// A recording whose journal cannot be made is answered with 503 and is not shown;
// one that came with the call is shown as failed.
func TestJournalCannotBeMade(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	disk := errors.New("the disk is broken")
	answers := make(chan error, 1)
	var shown, asked voice.RecordingID
	r.within(c.ID, func(s *session, l *leg) {
		for _, origin := range []voice.RecordingOrigin{voice.OriginCommandRecordCall, voice.OriginBridgeCall} {
			take, err := s.record(l, takeSpec{origin: origin, from: l})
			if err != nil {
				t.Error(err)
				return
			}
			if origin == voice.OriginCommandRecordCall {
				asked = take.rec.ID
				s.whenSafe(take, func(err error) { answers <- err })
			} else {
				shown = take.rec.ID
			}
			s.onCapture(take, recorder.Event{Kind: recorder.Failed, Err: disk})
		}
	})
	as(t, testkit.Receive(t, patience, answers), voice.CodeUnavailable)
	recs, _ := r.Recordings(c.ID)
	if len(recs) != 1 || recs[0].ID != shown || recs[0].Status != voice.RecordingFailed || recs[0].EndCause != voice.EndStorageFailed {
		t.Errorf("the call shows %+v, but not %s", recs, asked)
	}
	if rec := r.storedRecording(shown, voice.RecordingFailed); rec.Problem != disk.Error() {
		t.Errorf("the problem is %q", rec.Problem)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// A journal that breaks off when it was safe already becomes a file, as far as
// it goes.
func TestJournalBreaksOff(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	if err != nil {
		t.Fatal(err)
	}
	r.within(c.ID, func(s *session, l *leg) {
		s.onCapture(s.take(l, rec), recorder.Event{Kind: recorder.Failed, Err: errors.New("the disk is broken")})
	})
	if got := r.storedRecording(rec, voice.RecordingCompleted); got.EndCause != voice.EndStorageFailed {
		t.Errorf("ended by %s", got.EndCause)
	}
	if got, _ := r.Call(c.ID); got.Status != voice.CallOngoing {
		t.Errorf("the call is %s", got.Status)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// Pauses that are left out do not shorten what maxLength allows.
func TestMaxLengthWithSkippedPauses(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{MaxLength: 1})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	paused := time.Duration(0)
	for range 12 {
		at := time.Now()
		for _, to := range []voice.RecordingStatus{voice.RecordingPaused, voice.RecordingOngoing} {
			behavior := voice.PauseSkip
			if to == voice.RecordingOngoing {
				behavior = ""
			}
			if _, err := r.UpdateRecording(t.Context(), c.ID, rec, to, behavior); err != nil {
				t.Fatal(err)
			}
		}
		paused += time.Since(at)
	}
	r.within(c.ID, func(s *session, l *leg) {
		take := s.take(l, rec)
		if take.skipped <= 0 || take.skipped > paused {
			t.Errorf("%v were left out, of %v", take.skipped, paused)
		}
		// The stop may not come before the file is full.
		full := take.rec.StartedAt.Add(take.rec.MaxLength + take.skipped)
		if take.limit.at.Before(full.Add(-time.Millisecond)) || take.limit.at.After(full.Add(time.Second)) {
			t.Errorf("the recording is stopped %v after it is full", take.limit.at.Sub(full))
		}
	})
	got := r.storedRecording(rec, voice.RecordingCompleted)
	if got.EndCause != voice.EndMaxLength {
		t.Errorf("ended by %s after %v", got.EndCause, time.Since(began))
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// What comes to the ports of a party and is no packet of it is counted in the
// journal at the end of its track.
func TestWhatIsNoPacketOfThePartyIsCounted(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.up()
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	if err != nil {
		t.Fatal(err)
	}
	var party *media.Leg
	r.within(c.ID, func(_ *session, l *leg) { party = l.media })
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(party.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for range 3 {
		if _, err := socket.Write([]byte("this is no RTP")); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, patience, func() bool { return party.Stats().Malformed == 3 })
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
	r.storedRecording(rec, voice.RecordingCompleted)
	j := r.journal(rec)
	defer j.Close()
	var e journal.Entry
	for j.Next(&e) == nil {
		if e.Kind == journal.KindTrackClosed {
			if u := e.Detail.Unheard; u == nil || u.Malformed != 3 {
				t.Errorf("the end of the track says %+v", u)
			}
			return
		}
	}
	t.Error("the track has no end")
}
