package session

import (
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
	"tapedeck/internal/vad"
	"tapedeck/internal/voice"
)

// says is so much of what two people say, as a phone sends it.
func says(d time.Duration) []int16 {
	c := &audio.Clip{Rate: 16000, Samples: codectest.Speech()}
	return c.At(8000).Samples[:int(d.Seconds()*8000)]
}

// takes lets the phone answer the server's call, so that it can talk.
func (r *rig) takes(p *phone) {
	r.t.Helper()
	answer, n, err := p.desc.Answer(p.Request().SDP, sdp.SendRecv)
	if err != nil {
		r.t.Fatal(err)
	}
	p.stream = n
	if err := p.Answer(answer); err != nil {
		r.t.Fatal(err)
	}
	await[sip.Confirmed](r, p.party)
}

// who waits until it is known who has answered a live call.
func (r *rig) who(id voice.CallID) (found voice.AMDResult) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool {
		c, live := r.Call(id)
		if !live {
			r.t.Fatal("the call has ended")
		}
		if c.AMD != nil {
			found = *c.AMD
		}
		return c.AMD != nil
	})
	return found
}

// told are the events of a call, in their order, with its status.
func (r *rig) told(id voice.CallID) (out []string) {
	r.t.Helper()
	errorless(r.t, r.o.DB.View(r.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Events(voice.EventFilter{Workspace: r.channel.Workspace})
		for _, e := range all {
			if e.Call == id {
				out = append(out, string(e.Type)+" "+e.Status)
			}
		}
		return err
	}))
	return out
}

// A call that we place finds out who answers it, beside its flow, whose gather listens
// too; the event comes once, before that of the call's end.
func TestWhoAnswers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings voice.AMDSettings
		said     []int16
		want     voice.AMDResult
	}{
		{"a person", voice.AMDSettings{Enabled: true}, says(700 * time.Millisecond), voice.AMDResult{AnsweredBy: voice.AnsweredByHuman}},
		{"a machine", voice.AMDSettings{Enabled: true}, says(4 * time.Second), voice.AMDResult{AnsweredBy: voice.AnsweredByMachine}},
		{
			"a machine's tone", voice.AMDSettings{Enabled: true, IfMachineNotifyAfter: voice.NotifyAfterBeep},
			slices.Concat(says(3*time.Second), tone.Beep().Samples, make([]int16, 1600)), voice.AMDResult{AnsweredBy: voice.AnsweredByMachine, Beep: true},
		},
		{"nobody", voice.AMDSettings{Enabled: true, SpeechTimeout: 1}, nil, voice.AMDResult{AnsweredBy: voice.AnsweredByUnknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			c, err := r.Dial(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, Order: voice.CallOrder{
				AMD: &tt.settings, Flow: []voice.FlowCommand{{Command: &voice.Gather{Input: voice.GatherSpeech, Timeout: 60}}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			far := r.calledPhone()
			r.takes(far)
			far.talk(t, tt.said)
			found := r.who(c.ID)
			if found.AnsweredBy != tt.want.AnsweredBy || found.Beep != tt.want.Beep || (found.Words > 0) != (tt.said != nil) || found.After <= 0 || found.At.IsZero() {
				t.Errorf("found %+v, want %+v", found, tt.want)
			}
			if tt.said != nil {
				if clip := testkit.Receive(t, patience, r.ears.said); clip.Duration() < 500*time.Millisecond {
					t.Errorf("the gather heard %v", clip.Duration())
				}
			}
			r.within(c.ID, func(_ *session, l *leg) {
				if l.answerer != nil {
					t.Error("it is still listened for")
				}
			})
			errorless(t, far.Hangup(16))
			if got := r.stored(c.ID); got.AMD == nil || *got.AMD != found {
				t.Errorf("stored %+v, want %+v", got.AMD, found)
			}
			want := []string{"voice.outbound accepted", "voice.outbound starting", "voice.outbound ongoing", "voice.amd ongoing", "voice.outbound completed"}
			if got := r.told(c.ID); !slices.Equal(got, want) {
				t.Errorf("the events are %q, want %q", got, want)
			}
		})
	}
}

// The far party of a bridge is listened to while the parties talk; the near one's call
// has no such result.
func TestWhoAnswersABridge(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.upPhone()
	b := r.far("far")
	b.AMD = &voice.AMDSettings{Enabled: true}
	_, second, err := r.Bridge(t.Context(), c.ID, b)
	if err != nil {
		t.Fatal(err)
	}
	far := r.calledPhone()
	r.takes(far)
	testkit.Eventually(t, patience, func() bool { connected, _ := r.bridged(c.ID); return connected })
	said := says(4 * time.Second)
	far.talk(t, said)
	if found := r.who(second.ID); found.AnsweredBy != voice.AnsweredByMachine {
		t.Errorf("found %+v", found)
	}
	testkit.Eventually(t, patience, func() bool {
		_, whole := near.hears(&audio.Clip{Rate: 8000, Samples: said[8000:16000]})
		return whole
	})
	errorless(t, near.Hangup(16))
	if got := r.stored(c.ID); got.AMD != nil {
		t.Errorf("the near call was answered by %+v", got.AMD)
	}
	r.stored(second.ID)
}

// A call that ends before it is clear says so, before it says that it ended; one that
// nobody answers, or that does not ask, says nothing.
func TestWhoAnswersIsUnclear(t *testing.T) {
	r := newRig(t, nil)
	call := func(a *voice.AMDSettings) (voice.CallID, *phone) {
		c, err := r.Dial(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, Order: voice.CallOrder{AMD: a}})
		if err != nil {
			t.Fatal(err)
		}
		return c.ID, r.calledPhone()
	}
	id, far := call(&voice.AMDSettings{Enabled: true, SpeechTimeout: 60})
	r.takes(far)
	r.live(voice.Outgoing, voice.CallOngoing)
	errorless(t, far.Hangup(16))
	if got := r.stored(id); got.AMD == nil || got.AMD.AnsweredBy != voice.AnsweredByUnknown {
		t.Errorf("found %+v", got.AMD)
	}
	if got := r.told(id); !slices.Equal(got[len(got)-2:], []string{"voice.amd ongoing", "voice.outbound completed"}) {
		t.Errorf("the events are %q", got)
	}
	for _, a := range []*voice.AMDSettings{nil, {SpeechTimeout: 1}, {Enabled: true}} {
		id, far := call(a)
		if a != nil && a.Enabled {
			errorless(t, far.Reject(486, ""))
		} else {
			r.takes(far)
			r.live(voice.Outgoing, voice.CallOngoing)
			errorless(t, far.Hangup(16))
		}
		if got := r.stored(id); got.AMD != nil {
			t.Errorf("with %+v found %+v", a, got.AMD)
		}
		if got := r.told(id); slices.Contains(got, "voice.amd ongoing") || slices.Contains(got, "voice.amd completed") {
			t.Errorf("the events are %q", got)
		}
	}
}

// No country's ring tone, which some networks go on with after the answer, is a person
// or a machine, and the keys of a telephone are no machine's tone.
func TestRingingIsNobody(t *testing.T) {
	settings := machineSettings(&voice.AMDSettings{IfMachineNotifyAfter: voice.NotifyAfterBeep})
	for _, country := range voice.RingTones() {
		clip, known := tone.Ring(string(country))
		if !known {
			t.Fatalf("there is no ring tone of %s", country)
		}
		ring := clip.At(vad.Rate).Samples
		if found, all := vad.NewMachine(settings).Feed(slices.Concat(ring, ring, ring)); !all || found.Who != vad.ByNobody {
			t.Errorf("%s: %+v", country, found)
		}
	}
	pressed := tone.Keys("123A456B789C*0#D", 300*time.Millisecond, 100*time.Millisecond).At(vad.Rate).Samples
	if found, _ := vad.NewMachine(settings).Feed(pressed); found.Tone {
		t.Errorf("keys: %+v", found)
	}
}

// What the settings leave open is as the document says.
func TestWhoAnswersSettings(t *testing.T) {
	for _, tt := range []struct {
		set  voice.AMDSettings
		want vad.Settings
	}{
		{voice.AMDSettings{}, vad.Settings{Words: 5, Quiet: 3 * time.Second, Tone: 30 * time.Second}},
		{
			voice.AMDSettings{WordCount: 7, SpeechTimeout: 2, BeepTimeout: 9, IfMachineNotifyAfter: voice.NotifyAfterSpeech},
			vad.Settings{Words: 7, Quiet: 2 * time.Second, Tone: 9 * time.Second, Until: vad.UntilQuiet},
		},
		{voice.AMDSettings{IfMachineNotifyAfter: voice.NotifyAfterBeep}, vad.Settings{Words: 5, Quiet: 3 * time.Second, Tone: 30 * time.Second, Until: vad.UntilTone}},
		{voice.AMDSettings{IfMachineNotifyAfter: voice.NotifyAfterWords}, vad.Settings{Words: 5, Quiet: 3 * time.Second, Tone: 30 * time.Second}},
	} {
		if got := machineSettings(&tt.set); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.set, got, tt.want)
		}
	}
}
