package storetest

import (
	"errors"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

func events(t testing.TB, db *store.DB, f voice.EventFilter) (out []voice.Event) {
	t.Helper()
	view(t, db, func(tx *store.Tx) (err error) { out, err = tx.Events(f); return err })
	return out
}

func typesOf(list []voice.Event) (out []string) {
	for _, e := range list {
		out = append(out, string(e.Type)+" "+e.Status)
	}
	return out
}

// testEvents: each change of a status is told once, in order, with what the
// noun was like then; what did not change is not told.
func testEvents(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	c := call(1)
	c.NotificationURL = "https://example.com/call"
	putCalls(t, db, c, c)
	c.Status = voice.CallRinging
	putCalls(t, db, c, c)
	c.Status, c.AMD = voice.CallOngoing, &voice.AMDResult{AnsweredBy: voice.AnsweredByHuman}
	putCalls(t, db, c, c)
	r := recording(1)
	putRecordings(t, db, r)
	for _, s := range []voice.RecordingStatus{voice.RecordingOngoing, voice.RecordingPaused, voice.RecordingOngoing, voice.RecordingCompleted, voice.RecordingAvailable} {
		r.Status = s
		putRecordings(t, db, r, r)
	}
	r.Status, r.EndCause = voice.RecordingAbsent, voice.EndDeleted
	putRecordings(t, db, r)
	all := events(t, db, voice.EventFilter{Workspace: wsA})
	wantEqual(t, typesOf(all), []string{
		"voice.inbound accepted", "voice.inbound ringing", "voice.inbound ongoing", "voice.amd ongoing",
		"recording.started ongoing", "recording.paused paused", "recording.resumed ongoing",
		"recording.completed completed", "recording.available available", "recording.deleted absent",
	})
	for i, e := range all {
		if e.NotifyURL != c.NotificationURL || e.Call != c.ID || e.Channel != chA || i > 0 && e.Seq <= all[i-1].Seq {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	for i, e := range events(t, db, voice.EventFilter{Workspace: wsA, Heads: true}) {
		want := all[i]
		want.Subject = voice.Subject{}
		wantEqual(t, e, want)
	}
	if s := all[1].Subject.Call; s == nil || s.Status != voice.CallRinging || s.AMD != nil {
		t.Errorf("the second event is about %+v", s)
	}
	wantEqual(t, typesOf(events(t, db, voice.EventFilter{Workspace: wsA, After: all[7].Seq, Limit: 1})), []string{"recording.available available"})
	wantEqual(t, typesOf(events(t, db, voice.EventFilter{Types: []voice.EventType{voice.EventAMD}})), []string{"voice.amd ongoing"})
	wantEqual(t, len(events(t, db, voice.EventFilter{Workspace: wsB})), 0)
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Event(wsA, all[3].ID)
		wantEqual(t, got, all[3])
		_, missing := tx.Event(wsB, all[3].ID)
		wantCode(t, missing, voice.CodeNotFound)
		return err
	})

	// What a reader has not read is not forgotten.
	late := epoch().Add(time.Hour)
	for _, step := range []struct {
		read       int64
		limit, out int
	}{{all[1].Seq, 100, 2}, {all[9].Seq, 3, 3}, {all[9].Seq, 100, 5}, {all[9].Seq, 100, 0}} {
		update(t, db, func(tx *store.Tx) error {
			if err := tx.MarkEventsRead("webhook", step.read); err != nil {
				return err
			}
			n, err := tx.DeleteEvents(late, step.limit)
			if at, _ := tx.EventsRead("webhook"); n != step.out || at != step.read {
				t.Errorf("%+v: %d forgotten, read to %d", step, n, at)
			}
			return err
		})
	}
	putCalls(t, db, call(2))
	if again := events(t, db, voice.EventFilter{}); len(again) != 1 || again[0].Seq <= all[9].Seq {
		t.Errorf("a place among the events was used again: %+v", again)
	}
}

// testRolledBackEvent: an event is there if and only if its fact is.
func testRolledBackEvent(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutCall(call(1)); err != nil {
			return err
		}
		return &voice.Error{Code: voice.CodeConflict}
	})
	wantCode(t, err, voice.CodeConflict)
	wantEqual(t, len(events(t, db, voice.EventFilter{})), 0)
}

func testScheduledCalls(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	c := call(1)
	c.Direction, c.Status, c.ScheduledFor = voice.Outgoing, voice.CallScheduled, epoch().Add(time.Hour)
	c.Order = &voice.CallOrder{SendKeys: "12#", Record: true, Flow: []voice.FlowCommand{{Command: &voice.Say{Text: "Hello"}}}}
	putCalls(t, db, c, call(2))
	view(t, db, func(tx *store.Tx) error {
		waiting, err := tx.ScheduledCalls()
		wantEqual(t, waiting, []voice.Call{c})
		return err
	})
	c.Status, c.Order = voice.CallStarting, nil
	c.Quality = voice.Quality{PDD: 1230 * time.Millisecond, MOS: 4.41}
	putCalls(t, db, c)
	view(t, db, func(tx *store.Tx) error {
		waiting, err := tx.ScheduledCalls()
		wantEqual(t, len(waiting), 0)
		got, err2 := tx.Call(wsA, chA, c.ID)
		wantEqual(t, got, c)
		return errors.Join(err, err2)
	})
}

// testChannelWithScheduledCalls: a channel that is deleted takes the calls with it
// that wait for their time, however many they are, and no others.
func testChannelWithScheduledCalls(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	c := call(0)
	c.Status = voice.CallCompleted
	other := call(1)
	other.Channel, other.Status = chB, voice.CallScheduled
	putCalls(t, db, c, other)
	const waiting = 1200
	update(t, db, func(tx *store.Tx) error {
		if err := tx.InsertChannel(voice.Channel{ID: chA, Workspace: wsA, Number: "1", CreatedAt: epoch(), UpdatedAt: epoch()}); err != nil {
			return err
		}
		for n := range waiting {
			c := call(2 + n)
			c.Status, c.ScheduledFor = voice.CallScheduled, epoch().Add(time.Hour)
			if err := tx.PutCall(c); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, db, func(tx *store.Tx) error { return tx.DeleteChannel(wsA, chA) })
	failed := callIDs(t, db, voice.CallFilter{Workspace: wsA, Channels: []voice.ChannelID{chA}, Statuses: []voice.CallStatus{voice.CallFailed}, Page: voice.Page{Limit: 1000}})
	wantEqual(t, len(failed), waiting)
	view(t, db, func(tx *store.Tx) error {
		left, err := tx.ScheduledCalls()
		wantEqual(t, len(left), 1)
		got, err2 := tx.Call(wsA, chA, voice.CallID(id(1, 2)))
		if got.Reason == "" || got.EndedAt.IsZero() || got.HangupSource != voice.HangupByNone {
			t.Errorf("a call of the channel is %+v", got)
		}
		return errors.Join(err, err2)
	})
}

func testMedia(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	m := voice.Media{
		ID: voice.MediaID(id(8, 1)), Workspace: wsA, Name: "hello", ContentType: "audio/wav", Size: 5, SHA256: "ff",
		Duration: time.Second, File: "media/x", CreatedAt: epoch(),
	}
	update(t, db, func(tx *store.Tx) error { return tx.InsertMedia(m) })
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Media(wsA, m.ID)
		wantEqual(t, got, m)
		list, _, err2 := tx.MediaList(wsA, voice.Page{})
		wantEqual(t, list, []voice.Media{m})
		_, missing := tx.Media(wsB, m.ID)
		wantCode(t, missing, voice.CodeNotFound)
		if err == nil {
			err = err2
		}
		return err
	})
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteMedia(wsB, m.ID) }), voice.CodeNotFound)
	update(t, db, func(tx *store.Tx) error { return tx.DeleteMedia(wsA, m.ID) })
}

func testTranscriptions(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	r := recording(1)
	r.Status, r.Transcribe = voice.RecordingAvailable, "en-US"
	putRecordings(t, db, r)
	in := voice.Transcription{
		ID: voice.TranscriptionID(id(9, 1)), Workspace: wsA, Recording: r.ID, Call: r.Call, Channel: chA,
		Status: voice.TranscriptionAccepted, Stereo: true, Locale: "en-US", CreatedAt: epoch(), UpdatedAt: epoch(),
	}
	put := func() {
		t.Helper()
		update(t, db, func(tx *store.Tx) error { return tx.PutTranscription(in) })
	}
	put()
	view(t, db, func(tx *store.Tx) error {
		waiting, err := tx.WaitingTranscriptions()
		wantEqual(t, waiting, []voice.Transcription{in})
		return err
	})
	in.Status, in.Summary = voice.TranscriptionAvailable, "hello"
	in.Segments = []voice.Segment{{Channel: 1, StartMs: 20, EndMs: 900, Text: "hello"}}
	put()
	put()
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Transcription(wsA, in.ID)
		wantEqual(t, got, in)
		list, _, err2 := tx.Transcriptions(voice.TranscriptionFilter{Workspace: wsA, Recording: r.ID, Status: voice.TranscriptionAvailable})
		wantEqual(t, list, []voice.Transcription{in})
		kept, err3 := tx.Recording(wsA, r.ID)
		if !kept.Transcribed || kept.Transcribe != "en-US" {
			t.Errorf("the recording is %+v", kept)
		}
		waiting, err4 := tx.WaitingTranscriptions()
		wantEqual(t, len(waiting), 0)
		for _, e := range []error{err2, err3, err4} {
			if err == nil {
				err = e
			}
		}
		return err
	})
	putRecordings(t, db, r) // knows nothing of the transcription, and does not undo it
	view(t, db, func(tx *store.Tx) error {
		kept, err := tx.Recording(wsA, r.ID)
		wantEqual(t, kept.Transcribed, true)
		return err
	})
	told := events(t, db, voice.EventFilter{Types: []voice.EventType{voice.EventTranscriptionAvailable, voice.EventTranscriptionFailed}})
	if len(told) != 1 || told[0].Subject.Transcription == nil || told[0].Subject.Transcription.ID != in.ID {
		t.Errorf("told: %+v", told)
	}
}
