package voice_test

import (
	"slices"
	"testing"

	"tapedeck/internal/voice"
)

// TestRecordingNext goes over every pair of status and event. What does not
// stand in the table is an error and leaves the status as it is.
func TestRecordingNext(t *testing.T) {
	allowed := map[voice.RecordingStatus]map[voice.RecordingEvent]voice.RecordingStatus{
		voice.RecordingAccepted: {
			voice.RecordingStart: voice.RecordingOngoing,
			voice.RecordingLose:  voice.RecordingAbsent,
			voice.RecordingFail:  voice.RecordingFailed,
		},
		voice.RecordingOngoing: {
			voice.RecordingPause: voice.RecordingPaused,
			voice.RecordingEnd:   voice.RecordingCompleted,
			voice.RecordingFail:  voice.RecordingFailed,
		},
		voice.RecordingPaused: {
			voice.RecordingResume: voice.RecordingOngoing,
			voice.RecordingEnd:    voice.RecordingCompleted,
			voice.RecordingFail:   voice.RecordingFailed,
		},
		voice.RecordingCompleted: {
			voice.RecordingPublish: voice.RecordingAvailable,
			voice.RecordingLose:    voice.RecordingAbsent,
			voice.RecordingFail:    voice.RecordingFailed,
		},
		voice.RecordingAvailable: {voice.RecordingDelete: voice.RecordingAbsent},
		voice.RecordingAbsent:    {voice.RecordingDelete: voice.RecordingAbsent},
		voice.RecordingFailed:    {voice.RecordingDelete: voice.RecordingAbsent},
	}
	statuses := append(voice.RecordingStatuses(), "unheard-of")
	events := append(voice.RecordingEvents(), "unheard-of")
	for _, s := range statuses {
		for _, e := range events {
			want, ok := allowed[s][e]
			if !ok {
				want = s
			}
			if s == "unheard-of" && e == voice.RecordingFail {
				want, ok = voice.RecordingFailed, true // whatever it was, it can fail
			}
			got, err := s.Next(e)
			if got != want || (err == nil) != ok {
				t.Errorf("%s, %s: got %s, %v, want %s, legal %v", s, e, got, err, want, ok)
			}
		}
	}
	if len(allowed) != len(voice.RecordingStatuses()) {
		t.Error("a status is missing from the table")
	}
}

// TestRecordingReachesAnEnd: from every status there is a way to a final one,
// and only deletion leads out of these.
func TestRecordingReachesAnEnd(t *testing.T) {
	for _, s := range voice.RecordingStatuses() {
		ends := s.Terminal()
		for _, e := range voice.RecordingEvents() {
			next, err := s.Next(e)
			if err != nil {
				continue
			}
			ends = ends || next.Terminal()
			if s.Terminal() && e != voice.RecordingDelete {
				t.Errorf("%s leads out of %s", e, s)
			}
			if next.Capturing() && !s.Capturing() {
				t.Errorf("%s makes a %s recording take audio again", e, s)
			}
		}
		if !ends {
			t.Errorf("%s has no end", s)
		}
		if s.Terminal() && s.Capturing() {
			t.Errorf("%s is over, yet takes audio", s)
		}
	}
	capturing := []voice.RecordingStatus{voice.RecordingAccepted, voice.RecordingOngoing, voice.RecordingPaused}
	terminal := []voice.RecordingStatus{voice.RecordingAvailable, voice.RecordingAbsent, voice.RecordingFailed}
	for _, s := range voice.RecordingStatuses() {
		if s.Capturing() != slices.Contains(capturing, s) || s.Terminal() != slices.Contains(terminal, s) {
			t.Errorf("%s: capturing %v, terminal %v", s, s.Capturing(), s.Terminal())
		}
	}
}

// TestCallMayFollow goes over every pair of call statuses: the row may move to
// the columns named.
func TestCallMayFollow(t *testing.T) {
	const (
		sch, acc, sta, rin, ong = voice.CallScheduled, voice.CallAccepted, voice.CallStarting, voice.CallRinging, voice.CallOngoing
		com, noa, bus, fai, can = voice.CallCompleted, voice.CallNoAnswer, voice.CallBusy, voice.CallFailed, voice.CallCancelled
	)
	allowed := map[voice.CallStatus][]voice.CallStatus{
		sch: {acc, sta, rin, ong, noa, bus, fai, can},
		acc: {sta, rin, ong, noa, bus, fai, can},
		sta: {rin, ong, noa, bus, fai, can},
		rin: {ong, noa, bus, fai, can},
		ong: {com, fai}, // an answered call ends, or breaks
		com: nil, noa: nil, bus: nil, fai: nil, can: nil,
	}
	for _, from := range voice.CallStatuses() {
		for _, to := range voice.CallStatuses() {
			if got, want := to.MayFollow(from), slices.Contains(allowed[from], to); got != want {
				t.Errorf("%s to %s: %v, want %v", from, to, got, want)
			}
		}
		if from.Terminal() != (len(allowed[from]) == 0) {
			t.Errorf("%s: terminal %v", from, from.Terminal())
		}
	}
	if len(allowed) != len(voice.CallStatuses()) {
		t.Error("a status is missing from the table")
	}
}
