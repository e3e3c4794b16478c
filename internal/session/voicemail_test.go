package session

import (
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
	"tapedeck/internal/voice"
)

// message gives a record command.
func (r *rig) message(id voice.CallID, c *voice.Record) (voice.CommandResult, voice.RecordingID) {
	r.t.Helper()
	result, rec, err := r.Voicemail(r.t.Context(), id, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return result, rec
}

// begun waits until a recording of the call has begun.
func (r *rig) begun(id voice.CallID, rec voice.RecordingID) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		list, _ := r.Recordings(id)
		for _, got := range list {
			if got.ID == rec && got.Status == voice.RecordingOngoing {
				return true
			}
		}
		return false
	})
}

// A message is recorded after the tone, until the party is silent, presses the key,
// or has spoken for as long as it may.
func TestMessage(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	speech := (&audio.Clip{Rate: codectest.SpeechRate, Samples: codectest.Speech()[:2*codectest.SpeechRate]}).At(8000).Samples

	silent, rec := r.message(c.ID, &voice.Record{Timeout: 2, Beep: true, Transcribe: true, EndKey: "#"})
	r.begun(c.ID, rec)
	testkit.Eventually(t, patience, func() bool { _, whole := p.hears(tone.Beep()); return whole })
	p.talk(t, speech)
	if got := r.why(c.ID, silent.ID, voice.CommandCompleted, ""); got.Recording != rec {
		t.Errorf("the command names recording %s, it is %s", got.Recording, rec)
	}
	got := r.storedRecording(rec, voice.RecordingCompleted)
	if got.EndCause != voice.EndStopped || got.Origin != voice.OriginCommandRecord || got.Stereo || got.Transcribe != voice.DefaultLocale {
		t.Errorf("the recording is %+v", got)
	}
	if d := got.EndedAt.Sub(got.StartedAt); d < 2*time.Second {
		t.Errorf("it lasts %s: the silence ended it too early", d)
	}

	pressed, rec := r.message(c.ID, &voice.Record{Timeout: 3600, EndKey: "#"})
	r.begun(c.ID, rec)
	p.press(t, "12#")
	r.why(c.ID, pressed.ID, voice.CommandCompleted, "")
	if got := r.storedRecording(rec, voice.RecordingCompleted); got.EndCause != voice.EndStopped || got.Transcribe != "" {
		t.Errorf("the recording is %+v", got)
	}

	full, rec := r.message(c.ID, &voice.Record{Timeout: 3600, MaxLength: 1})
	r.why(c.ID, full.ID, voice.CommandCompleted, "")
	if got := r.storedRecording(rec, voice.RecordingCompleted); got.EndCause != voice.EndMaxLength {
		t.Errorf("the recording ended by %s", got.EndCause)
	}
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// A message ends with what ends its command: another flow, the API, the call. One
// that waits in line leaves nothing behind.
func TestMessageIsEnded(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	hour := &voice.Record{Timeout: 3600, MaxLength: 3600}

	first, rec := r.message(c.ID, hour)
	r.begun(c.ID, rec)
	second, waiting := r.message(c.ID, hour)
	if _, err := r.ReplaceFlow(t.Context(), c.ID, []voice.FlowCommand{{Command: hour}}); err != nil {
		t.Fatal(err)
	}
	r.why(c.ID, first.ID, voice.CommandFailed, replaced)
	r.why(c.ID, second.ID, voice.CommandSkipped, replaced)
	if got := r.storedRecording(rec, voice.RecordingCompleted); got.EndCause != voice.EndStopped {
		t.Errorf("the message that was given up ended by %s", got.EndCause)
	}
	r.storedRecording(waiting, voice.RecordingAbsent)

	var step voice.CommandResult
	testkit.Eventually(t, patience, func() bool {
		now, _ := r.Call(c.ID)
		step = now.Commands[len(now.Commands)-1]
		return step.Recording != ""
	})
	r.begun(c.ID, step.Recording)
	if _, err := r.UpdateRecording(t.Context(), c.ID, step.Recording, voice.RecordingCompleted, ""); err != nil {
		t.Fatal(err)
	}
	r.why(c.ID, step.ID, voice.CommandCompleted, "")

	last, rec := r.message(c.ID, hour)
	r.begun(c.ID, rec)
	_, waiting = r.message(c.ID, hour)
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
	r.why(c.ID, last.ID, voice.CommandFailed, ended)
	if got := r.storedRecording(rec, voice.RecordingCompleted); got.EndCause != voice.EndCallEnded {
		t.Errorf("the message ended by %s", got.EndCause)
	}
	if got := r.storedRecording(waiting, voice.RecordingAbsent); got.EndCause != voice.EndCallEnded {
		t.Errorf("the message in line ended by %s", got.EndCause)
	}
}

// A pause of the recording is no silence of the message.
func TestMessageIsPaused(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	command, rec := r.message(c.ID, &voice.Record{Timeout: 1})
	r.begun(c.ID, rec)
	if _, err := r.UpdateRecording(t.Context(), c.ID, rec, voice.RecordingPaused, voice.PauseSilence); err != nil {
		t.Fatal(err)
	}
	pause := r.do(c.ID, &voice.Pause{Length: 1}) // waits in line
	p.talk(t, make([]int16, 3*8000))
	if got := r.becomes(c.ID, pause.ID, voice.CommandAccepted); got.Status != voice.CommandAccepted {
		t.Errorf("what waits is %s", got.Status)
	}
	if _, err := r.UpdateRecording(t.Context(), c.ID, rec, voice.RecordingOngoing, ""); err != nil {
		t.Fatal(err)
	}
	r.why(c.ID, command.ID, voice.CommandCompleted, "")
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// What cannot be recorded is refused at once.
func TestMessageIsRefused(t *testing.T) {
	r := newRig(t, nil)
	near := r.call(nil)
	c := r.live(voice.Incoming, voice.CallRinging)
	refused := func(id voice.CallID, record *voice.Record, code voice.Code) {
		t.Helper()
		_, _, err := r.Voicemail(t.Context(), id, record)
		as(t, err, code)
	}
	refused(c.ID, &voice.Record{}, voice.CodeCallNotInState)
	r.o.Ears = nil
	if _, err := r.Do(t.Context(), c.ID, &voice.Answer{}); err != nil {
		t.Fatal(err)
	}
	refused(c.ID, &voice.Record{Transcribe: true}, voice.CodeSpeechUnavailable)
	_, _, err := r.Bridge(t.Context(), c.ID, r.far("far"))
	if err != nil {
		t.Fatal(err)
	}
	r.answerCall(r.called())
	testkit.Eventually(t, patience, func() bool { connected, _ := r.bridged(c.ID); return connected })
	refused(c.ID, &voice.Record{}, voice.CodeCallNotInState)
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
	refused(c.ID, &voice.Record{}, voice.CodeNotFound)
}

// A media worker calls it for every frame.
func TestHushAllocatesNothing(t *testing.T) {
	told := 0
	h := &hush{after: time.Second, tell: func() { told++ }}
	frame := make([]int16, 320)
	if n := testing.AllocsPerRun(100, func() { h.Hear(frame, 0) }); n != 0 || told != 1 {
		t.Errorf("%v allocations a frame, told %d times", n, told)
	}
}
