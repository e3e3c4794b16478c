package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
	"tapedeck/internal/voice"
)

// ears understand what they are told to understand.
type ears struct {
	said  chan *audio.Clip // sent to for each utterance
	words chan string      // what it is; "?" = it cannot be understood
}

func newEars() *ears {
	return &ears{said: make(chan *audio.Clip, 16), words: make(chan string, 16)}
}

func (e *ears) Understand(ctx context.Context, clip *audio.Clip, _ string, done func(string, error)) {
	e.said <- clip
	go func() {
		select {
		case words := <-e.words:
			if words == "?" {
				done("", errors.New("the engine is out of order"))
				return
			}
			done(words, nil)
		case <-ctx.Done():
			done("", ctx.Err())
		}
	}()
}

func (e *ears) CanUnderstand(locale string) error {
	if locale == "ja-JP" {
		return voice.Invalid(map[string][]string{"locale": {"is not served: there are en-US"}})
	}
	return nil
}

// gathered waits for the end of a gather and checks what it heard; "-" = it did
// not listen for it.
func (r *rig) gathered(call voice.CallID, id voice.CommandID, keys, speech string) {
	r.t.Helper()
	c := r.why(call, id, voice.CommandCompleted, "")
	show := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	if show(c.Keys) != keys || show(c.Speech) != speech {
		r.t.Errorf("gathered %q and %q, want %q and %q", show(c.Keys), show(c.Speech), keys, speech)
	}
}

// Keys end a gather by their number, by the end key, or by their absence; the first
// one ends the prompt, and a prompt to which nobody presses a key comes again.
func TestGatherKeys(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	long := &voice.Playback{Media: []string{"long"}}
	for _, tt := range []struct {
		gather voice.Gather
		press  string
		keys   string
	}{
		{voice.Gather{MaxNumKeys: 2, Playback: long}, "12", "12"},
		{voice.Gather{EndKey: "#", MaxNumKeys: 9, Playback: long}, "5*0#", "5*0"},
		{voice.Gather{EndKey: "#", Retries: 3, Timeout: 3600}, "#", ""},
		{voice.Gather{Timeout: 1, Playback: long}, "44", "44"},
		{voice.Gather{Timeout: 1}, "", ""},
	} {
		got := r.do(c.ID, &tt.gather)
		r.becomes(c.ID, got.ID, voice.CommandOngoing)
		p.press(t, tt.press)
		r.gathered(c.ID, got.ID, tt.keys, "-")
	}
	var before, after uint64
	r.within(c.ID, func(_ *session, l *leg) { before = l.plays })
	got := r.do(c.ID, &voice.Gather{Timeout: 1, Retries: 2, Say: &voice.Say{Text: "7"}})
	r.gathered(c.ID, got.ID, "", "-")
	r.within(c.ID, func(_ *session, l *leg) { after = l.plays })
	if after-before != 3 {
		t.Errorf("the prompt was played %d times", after-before)
	}
	testkit.Eventually(t, patience, func() bool { _, whole := p.hears(r.sounds.clips["7"]); return whole })
	bad := r.do(c.ID, &voice.Gather{Playback: &voice.Playback{Media: []string{"bad"}}})
	r.why(c.ID, bad.ID, voice.CommandFailed, "bad is no audio")
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// Keys of a party that agreed on no telephone-event are heard by their sound: by the
// gather, and also by what listens for keys after it.
func TestGatherTones(t *testing.T) {
	r := newRig(t, func(c *voice.Channel) {
		c.Inbound.Flow = []voice.FlowCommand{
			{Command: &voice.Gather{MaxNumKeys: 3}},
			{Command: &voice.Record{EndKey: "#", Timeout: 3600}},
			{Command: &voice.Pause{Length: 3600}},
		}
	})
	p := r.phone()
	c := r.live(voice.Incoming, voice.CallOngoing)
	r.answered(p)
	gather, record := c.Commands[0].ID, c.Commands[1].ID
	press := func(keys string) {
		t.Helper()
		tones := tone.Keys(keys, 100*time.Millisecond, 100*time.Millisecond).At(8000)
		p.talk(t, append(append([]int16(nil), tones.Samples...), make([]int16, 4000)...))
	}
	r.becomes(c.ID, gather, voice.CommandOngoing)
	press("159")
	r.gathered(c.ID, gather, "159", "-")
	var message voice.RecordingID
	testkit.Eventually(t, patience, func() bool {
		message = r.becomes(c.ID, record, voice.CommandOngoing).Recording
		return message != ""
	})
	r.begun(c.ID, message)
	press("#")
	r.why(c.ID, record, voice.CommandCompleted, "")
	if got := r.storedRecording(message, voice.RecordingCompleted); got.EndCause != voice.EndStopped {
		t.Errorf("the message ended by %s", got.EndCause)
	}
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// A menu goes where the key says.
func TestMenu(t *testing.T) {
	if2 := func(key string, c voice.Command) voice.FlowCommand {
		return voice.FlowCommand{Command: c, Conditions: []voice.Condition{{Variable: voice.VariableKeys, Operator: voice.OperatorEq, Value: key}}}
	}
	r := newRig(t, func(c *voice.Channel) {
		c.Inbound.Flow = []voice.FlowCommand{
			if2("2", &voice.Say{Text: "9"}), // nothing was gathered yet
			{Command: &voice.Gather{MaxNumKeys: 1, Say: &voice.Say{Text: "long"}}},
			if2("1", &voice.Say{Text: "1"}),
			if2("2", &voice.Say{Text: "2"}),
			{Command: &voice.Hangup{}},
		}
	})
	p := r.phone(codec.Event)
	c := r.live(voice.Incoming, voice.CallOngoing)
	r.answered(p)
	r.becomes(c.ID, c.Commands[1].ID, voice.CommandOngoing)
	p.press(t, "2")
	got := r.stored(c.ID)
	r.why(c.ID, got.Commands[0].ID, voice.CommandSkipped, `the condition keys eq "2" does not hold`)
	r.gathered(c.ID, got.Commands[1].ID, "2", "-")
	r.why(c.ID, got.Commands[2].ID, voice.CommandSkipped, `the condition keys eq "1" does not hold`)
	r.why(c.ID, got.Commands[3].ID, voice.CommandCompleted, "")
	r.why(c.ID, got.Commands[4].ID, voice.CommandCompleted, "")
	if _, whole := p.hears(r.sounds.clips["2"]); !whole {
		t.Error("what the key asked for was not heard")
	}
	if got.HangupSource != voice.HangupByAPI || got.Duration(time.Now()) > 10*time.Second {
		t.Errorf("ended by %s after %v", got.HangupSource, got.Duration(time.Now()))
	}
}

// What a party says is understood: the first word ends the prompt, the silence
// after it the gather. A key counts more than words, and what cannot be understood
// says so.
func TestGatherSpeech(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	speech := (&audio.Clip{Rate: codectest.SpeechRate, Samples: codectest.Speech()[:2*codectest.SpeechRate]}).At(8000).Samples
	utterance := append(append(make([]int16, 1600), speech...), make([]int16, 10400)...)
	both := &voice.Gather{Input: voice.GatherBoth, MaxNumKeys: 1, Playback: &voice.Playback{Media: []string{"long"}}}

	got := r.do(c.ID, both)
	r.becomes(c.ID, got.ID, voice.CommandOngoing)
	r.ears.words <- "Yes, please."
	p.talk(t, utterance)
	clip := testkit.Receive(t, patience, r.ears.said)
	if d := clip.Duration(); d < 1500*time.Millisecond || d > 4*time.Second || clip.Rate != 16000 {
		t.Errorf("the utterance lasts %v", d)
	}
	r.gathered(c.ID, got.ID, "", "Yes, please.")
	flow, err := r.ReplaceFlow(t.Context(), c.ID, []voice.FlowCommand{{
		Command: &voice.Say{Text: "1"}, Conditions: []voice.Condition{{Variable: voice.VariableSpeech, Operator: voice.OperatorContains, Value: "yes"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.why(c.ID, flow.Commands[len(flow.Commands)-1].ID, voice.CommandCompleted, "")

	key := r.do(c.ID, both)
	r.becomes(c.ID, key.ID, voice.CommandOngoing)
	p.talk(t, utterance)
	testkit.Receive(t, patience, r.ears.said) // it is being understood
	p.press(t, "3")
	r.gathered(c.ID, key.ID, "3", "")

	only := &voice.Gather{Input: voice.GatherSpeech, Timeout: 1, Retries: 1}
	silent := r.do(c.ID, only)
	r.gathered(c.ID, silent.ID, "-", "")

	broken := r.do(c.ID, only)
	r.becomes(c.ID, broken.ID, voice.CommandOngoing)
	r.ears.words <- "?"
	p.talk(t, utterance)
	r.why(c.ID, broken.ID, voice.CommandFailed, "the engine is out of order")

	_, err = r.Do(t.Context(), c.ID, &voice.Gather{Input: voice.GatherSpeech, SpeechLocale: "ja-JP"})
	as(t, err, voice.CodeValidationFailed)
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
}

// TestEarAllocatesNothing: a media worker calls it for every frame.
func TestEarAllocatesNothing(t *testing.T) {
	e := newEar(func(*audio.Clip) {})
	frame := make([]int16, 320)
	for i := range frame {
		frame[i] = int16(i%40) * 400
	}
	if n := testing.AllocsPerRun(1000, func() { e.Hear(frame, 0) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
