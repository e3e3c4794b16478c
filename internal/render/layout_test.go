package render

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

func TestPauseIsSilence(t *testing.T) {
	s := conversation(10*time.Second).pause(4100*ms+7*ms, 6100*ms+3*ms, voice.PauseSilence)
	r := render(t, s.write(t), Layout{Stereo: true})
	from, to := int64(4007*8), int64(6003*8)
	if len(r.sides[0]) != 80000 || !silent(r.sides[0][from:to]) || !silent(r.sides[1][from:to]) {
		t.Fatal("the pause is not silent")
	}
	exact(t, "before", r.sides[0], 1, 0, from-160, 800)
	exact(t, "after", r.sides[0], 1, to+160, 80000, 800)
	if r.sides[0][to] == 0 && r.sides[0][to+1] == 0 && r.sides[0][to+2] == 0 {
		t.Error("what was said after the pause is missing")
	}
	for _, track := range r.receipt.Tracks {
		if track.Lost != 0 {
			t.Errorf("%d packets of the pause are called lost", track.Lost)
		}
	}
	p := r.receipt.Pauses
	if len(p) != 1 || p[0] != (PauseSpan{StartMs: 4007, EndMs: 6003, Sample: from, Length: to - from, Behavior: voice.PauseSilence}) {
		t.Errorf("%+v", p)
	}
	found := false
	for _, sp := range r.receipt.Tracks[0].Silence {
		found = found || sp == SilenceSpan{Start: from, Length: to - from, Reason: SilencePaused}
	}
	if !found {
		t.Errorf("silence %+v", r.receipt.Tracks[0].Silence)
	}
}

func TestPauseIsSkipped(t *testing.T) {
	s := conversation(10*time.Second).pause(4100*ms, 6100*ms, voice.PauseSkip).pause(8100*ms, 8600*ms, voice.PauseSilence)
	r := render(t, s.write(t), Layout{Stereo: true})
	if len(r.sides[0]) != 64000 {
		t.Fatalf("%d samples", len(r.sides[0]))
	}
	exact(t, "before", r.sides[0], 1, 0, 32000, 800)
	got := r.sides[0][32000:48000]
	if want := heard(1, 800+48000, 16000); !slices.Equal(got[160:], want[160:]) {
		t.Error("what follows the pause is not what was said after it")
	}
	if !silent(r.sides[0][48000:52000]) {
		t.Error("the second pause is not silent")
	}
	if p := r.receipt.Pauses; len(p) != 2 || p[0].Length != 0 || p[0].Sample != 32000 || p[1].Sample != 48000 || p[1].Length != 4000 {
		t.Errorf("%+v", p)
	}
	if r.receipt.DurationMs != 8000 || r.receipt.End.Sub(r.receipt.Start) != 10*time.Second {
		t.Errorf("%+v", r.receipt)
	}
}

func TestRecordingEndsPaused(t *testing.T) {
	for behavior, want := range map[voice.PauseBehavior]int{voice.PauseSilence: 80000, voice.PauseSkip: 48000} {
		s := conversation(10*time.Second).pause(6100*ms, 0, behavior)
		r := render(t, s.write(t), Layout{Stereo: true})
		if len(r.sides[0]) != want || !silent(r.sides[0][48000:]) || !r.receipt.Pauses[0].Open {
			t.Errorf("%s: %d samples, %+v", behavior, len(r.sides[0]), r.receipt.Pauses)
		}
	}
}

func TestMaxLengthIsExact(t *testing.T) {
	for name, c := range map[string]struct {
		length, limit time.Duration
		cause         voice.EndCause
		pause         voice.PauseBehavior
		want          int
	}{
		"cut":                 {10*time.Second + 33*ms, 10 * time.Second, voice.EndMaxLength, "", 80000},
		"cut hard":            {10 * time.Second, 3 * time.Second, voice.EndCallEnded, "", 24000},
		"a moment early":      {10*time.Second - 900*time.Microsecond, 10 * time.Second, voice.EndMaxLength, "", 80000},
		"shorter":             {4 * time.Second, 10 * time.Second, voice.EndCallEnded, "", 32000},
		"of file, not time":   {10 * time.Second, 9 * time.Second, voice.EndMaxLength, voice.PauseSkip, 72000},
		"paused counts":       {10 * time.Second, 9 * time.Second, voice.EndMaxLength, voice.PauseSilence, 72000},
		"ends in a skip":      {10 * time.Second, 2 * time.Second, voice.EndMaxLength, voice.PauseSkip, 16000},
		"no limit, all of it": {10 * time.Second, 0, voice.EndCallEnded, "", 80000},
	} {
		s := conversation(c.length)
		if c.pause != "" {
			s.pause(2100*ms, 3100*ms, c.pause)
		}
		for i := range s.events {
			if e := &s.events[i].entry; e.Kind == journal.KindStop {
				e.Detail.Cause = string(c.cause)
			}
		}
		for _, stereo := range []bool{true, false} {
			r := render(t, s.write(t), Layout{Stereo: stereo, MaxLength: c.limit})
			if len(r.sides[0]) != c.want || r.receipt.EndCause != c.cause {
				t.Errorf("%s: %d samples, %s", name, len(r.sides[0]), r.receipt.EndCause)
			}
		}
	}
}

func TestWhoIsHeardRight(t *testing.T) {
	// A is bridged to B, then to C; D talks to B only. We play music to A between.
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).
		track(0, 1, "B", "b", "callee").track(0, 2, "C", "c", "callee").track(0, 3, "D", "d", "callee").
		track(0, 4, "A", "", "system").track(0, 5, "B", "", "system").
		join(time.Second, "A", "B").join(time.Second, "D", "B").part(3*time.Second+ms, "B", "A").join(5*time.Second, "C", "A").
		speak(party{id: 1, track: 0, to: 8 * time.Second}).
		speak(party{id: 2, track: 1, to: 8 * time.Second}).
		speak(party{id: 3, track: 2, to: 8 * time.Second}).
		speak(party{id: 4, track: 3, to: 8 * time.Second}).
		speak(party{id: 5, track: 4, from: 3500 * ms, to: 4500 * ms}).
		speak(party{id: 6, track: 5, to: 8 * time.Second}).
		stop(8*time.Second, voice.EndCallEnded)
	r := render(t, s.write(t), Layout{Stereo: true})
	right := r.sides[1]
	exact(t, "left", r.sides[0], 1, 0, 64000, 0)
	exact(t, "B", right, 2, 8000, 24000, 0)
	exact(t, "music", right, 5, 28000, 36000, 0)
	exact(t, "C", right, 3, 40000, 64000, 0)
	if !silent(right[:7840]) || !silent(right[24000:28000]) || !silent(right[36000:39840]) {
		t.Error("somebody is heard who was not bridged")
	}
	for _, n := range []int{3, 5} {
		if sp := r.receipt.Tracks[n].Silence; len(sp) != 1 || sp[0].Reason != SilenceNotBridged || sp[0].Length != 64000 {
			t.Errorf("track %d: %+v", n, sp)
		}
	}
}

func TestNoPackets(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).stop(3*time.Second, voice.EndCallEnded)
	r := render(t, s.write(t), Layout{Stereo: true})
	if len(r.sides) != 2 || len(r.sides[0]) != 24000 || !silent(r.sides[0]) || !silent(r.sides[1]) {
		t.Fatal("no silent file")
	}
	if !r.receipt.Tracks[0].NoMedia || r.receipt.Tracks[0].SilenceMs != 3000 {
		t.Errorf("%+v", r.receipt.Tracks[0])
	}
}

func TestNotBegun(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").stop(3*time.Second, voice.EndNotAnswered)
	j, err := journal.Open(s.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := Make(j, Layout{}); !errors.Is(err, ErrNotBegun) {
		t.Fatal(err)
	}
}

// The journal of a recording that goes on, or whose node was lost, ends with
// its last packet.
func TestNoEndRecord(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).speak(party{id: 1, to: 3 * time.Second})
	r := render(t, s.write(t), Layout{EndCause: voice.EndNodeLost})
	exact(t, "all", r.sides[0], 1, 0, 24000, 0)
	if r.receipt.EndCause != voice.EndNodeLost || r.receipt.Complete {
		t.Errorf("%+v", r.receipt)
	}
}
