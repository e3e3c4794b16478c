package session

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/sip"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
	"tapedeck/internal/voice"
)

// keys are those that were pressed in the phone's ear, by RFC 4733: an event each
// with a timestamp of its own.
func (p *phone) keys() (pressed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seen []uint32
	for _, packet := range p.other {
		at := binary.BigEndian.Uint32(packet[4:])
		if len(packet) == 16 && packet[12] < 12 && !slices.Contains(seen, at) {
			seen = append(seen, at)
			pressed += "0123456789*#"[packet[12] : packet[12]+1]
		}
	}
	return pressed
}

// A call sends its keys when it is answered, each once, and its flow comes after.
func TestSendKeys(t *testing.T) {
	r := newRig(t, nil)
	c, err := r.Dial(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, Order: voice.CallOrder{
		SendKeys: "1*90#11", Flow: []voice.FlowCommand{{Command: &voice.Playback{Media: []string{"1"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	far := r.calledPhone()
	r.answerCall(far.party)
	testkit.Receive(t, patience, r.sounds.asked) // the flow has come to its prompt
	if got := far.keys(); got != "1*90#11" {
		t.Errorf("before the flow the keys %q were pressed", got)
	}
	testkit.Eventually(t, patience, func() bool { _, whole := far.hears(r.sounds.clips["1"]); return whole })
	if got := far.keys(); got != "1*90#11" {
		t.Errorf("the keys %q were pressed", got)
	}
	errorless(t, far.Hangup(16))
	if got := r.stored(c.ID); len(got.Commands) != 1 {
		t.Errorf("the commands of the call are %+v", got.Commands)
	}
}

// burst is the first sound of a country's ring tone.
func burst(t *testing.T, country string) *audio.Clip {
	t.Helper()
	clip, known := tone.Ring(country)
	if !known {
		t.Fatalf("there is no ring tone of %s", country)
	}
	return &audio.Clip{Rate: clip.Rate, Samples: clip.Samples[:clip.Rate]}
}

// bridged reports whether the call is connected with another one, and whether a ring
// tone plays.
func (r *rig) bridged(id voice.CallID) (connected, tone bool) {
	r.within(id, func(_ *session, l *leg) {
		if l.bridge != nil {
			connected, tone = l.bridge.audio != nil, l.bridge.tone != 0
		}
	})
	return connected, tone
}

// A caller who waits for the far party hears the ring tone, before anybody answers,
// until the parties hear each other.
func TestRingTone(t *testing.T) {
	r := newRig(t, nil)
	near := r.phone("telephone-event")
	c := r.live(voice.Incoming, voice.CallRinging)
	b := r.far("far")
	b.RingTone = "us"
	_, far, err := r.Bridge(t.Context(), c.ID, b)
	if err != nil {
		t.Fatal(err)
	}
	for e := await[sip.Ringing](r, near.party); len(e.SDP) == 0; {
		e = await[sip.Ringing](r, near.party) // the 180 came before the bridge
	}
	testkit.Eventually(t, patience, func() bool { _, whole := near.hears(burst(t, "us")); return whole })
	if got, _ := r.Call(c.ID); !got.AnsweredAt.IsZero() {
		t.Error("the caller was answered for a ring tone")
	}
	p := r.called()
	r.answerCall(p)
	await[sip.Answered](r, near.party)
	testkit.Eventually(t, patience, func() bool {
		connected, tone := r.bridged(c.ID)
		return connected && !tone
	})
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
	r.stored(far.ID)
}

// A prompt comes before the ring tone, which goes on after it, and ends with a far
// party that cannot be reached.
func TestRingToneGivesWay(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.upPhone()
	b, lives := r.far("far"), false
	b.RingTone, b.HangupAfterBridge = "de", &lives
	if _, _, err := r.Bridge(t.Context(), c.ID, b); err != nil {
		t.Fatal(err)
	}
	far := r.called()
	testkit.Eventually(t, patience, func() bool { _, plays := r.bridged(c.ID); return plays })
	r.becomes(c.ID, r.do(c.ID, &voice.Playback{Media: []string{"1"}}).ID, voice.CommandCompleted)
	testkit.Eventually(t, patience, func() bool { _, plays := r.bridged(c.ID); return plays })
	if _, whole := near.hears(r.sounds.clips["1"]); !whole {
		t.Error("the prompt was not heard")
	}
	errorless(t, far.Reject(486, ""))
	testkit.Eventually(t, patience, func() bool {
		got, _ := r.Call(c.ID)
		return got.Commands[len(got.Commands)-1].Status.Terminal() && got.Commands[1].Status == voice.CommandFailed
	})
	r.becomes(c.ID, r.do(c.ID, &voice.Playback{Media: []string{"2"}}).ID, voice.CommandCompleted)
	testkit.Eventually(t, patience, func() bool { _, whole := near.hears(r.sounds.clips["2"]); return whole })
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
}

// The far party hears its own flow alone, before the parties are connected; the near
// party hears its ring tone meanwhile.
func TestWhisper(t *testing.T) {
	r := newRig(t, nil)
	near, c := r.upPhone()
	b := r.far("far")
	b.RingTone = "us"
	b.Flow = []voice.FlowCommand{
		{Command: &voice.Playback{Media: []string{"slow"}}},
		{Command: &voice.Pause{Length: 3600}},
	}
	_, farCall, err := r.Bridge(t.Context(), c.ID, b)
	if err != nil {
		t.Fatal(err)
	}
	far := r.calledPhone()
	r.answerCall(far.party)
	testkit.Receive(t, patience, r.sounds.asked)
	if connected, tone := r.bridged(c.ID); connected || !tone {
		t.Errorf("while the far party listens: connected %v, ring tone %v", connected, tone)
	}
	close(r.sounds.slow)
	testkit.Eventually(t, patience, func() bool {
		connected, tone := r.bridged(c.ID)
		return connected && !tone
	})
	if _, whole := far.hears(r.sounds.clips["slow"]); !whole {
		t.Error("the far party did not hear its prompt")
	}
	if _, whole := near.hears(r.sounds.clips["slow"]); whole {
		t.Error("the near party heard it, too")
	}
	if got, _ := r.Call(farCall.ID); got.Commands[1].Status != voice.CommandOngoing {
		t.Errorf("the pause after it is %s", got.Commands[1].Status)
	}
	errorless(t, near.Hangup(16))
	r.stored(c.ID)
	r.stored(farCall.ID)
}

// A far party that is hung up by its flow was never connected; one whose flow is
// replaced is connected at once.
func TestWhisperRefused(t *testing.T) {
	r := newRig(t, nil)
	_, c := r.upPhone()
	lives := false
	bridge := func(steps ...voice.Command) (*phone, voice.Call) {
		t.Helper()
		b := r.far("far")
		b.HangupAfterBridge = &lives
		for _, step := range steps {
			b.Flow = append(b.Flow, voice.FlowCommand{Command: step})
		}
		_, call, err := r.Bridge(t.Context(), c.ID, b)
		if err != nil {
			t.Fatal(err)
		}
		far := r.calledPhone()
		r.answerCall(far.party)
		return far, call
	}
	far, call := bridge(&voice.Playback{Media: []string{"1"}}, &voice.Hangup{})
	await[sip.Ended](r, far.party)
	if _, whole := far.hears(r.sounds.clips["1"]); !whole {
		t.Error("it did not hear its prompt")
	}
	r.stored(call.ID)
	testkit.Eventually(t, patience, func() bool {
		free := false
		r.within(c.ID, func(_ *session, l *leg) { free = l.bridge == nil })
		return free
	})
	_, call = bridge(&voice.Playback{Media: []string{"slow"}})
	for testkit.Receive(t, patience, r.sounds.asked) != "slow" {
	}
	if _, err := r.ReplaceFlow(t.Context(), call.ID, nil); err != nil {
		t.Fatal(err)
	}
	if connected, _ := r.bridged(c.ID); !connected {
		t.Error("without its flow the far party is not connected")
	}
}

func TestWhispered(t *testing.T) {
	sound, wait, end := &voice.Say{Text: "x"}, &voice.Pause{Length: 1}, &voice.Hangup{}
	for _, tt := range []struct {
		flow []voice.Command
		want int
	}{
		{nil, 0},
		{[]voice.Command{wait, end}, 0},
		{[]voice.Command{sound}, 1},
		{[]voice.Command{wait, sound, end}, 2},
		{[]voice.Command{sound, wait, &voice.Gather{}, wait}, 3},
		{[]voice.Command{&voice.Playback{}, &voice.Record{}}, 2},
	} {
		var flow []voice.FlowCommand
		for _, c := range tt.flow {
			flow = append(flow, voice.FlowCommand{Command: c})
		}
		if got := whispered(flow); got != tt.want {
			t.Errorf("of %d commands %d run before, want %d", len(flow), got, tt.want)
		}
	}
}

// A quality is known of a call that was heard for long enough.
func TestPostDialDelay(t *testing.T) {
	r := newRig(t, nil)
	c, err := r.Dial(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To})
	if err != nil {
		t.Fatal(err)
	}
	far := r.called()
	errorless(t, far.Progress(180, nil))
	ringing := r.live(voice.Outgoing, voice.CallRinging)
	r.answerCall(far)
	ongoing := r.live(voice.Outgoing, voice.CallOngoing)
	if d := ringing.Quality.PDD; d <= 0 || d > time.Minute || d != ongoing.Quality.PDD {
		t.Errorf("it rang after %s, and that became %s", d, ongoing.Quality.PDD)
	}
	errorless(t, far.Hangup(16))
	if got := r.stored(c.ID); got.Quality.PDD != ringing.Quality.PDD || got.Quality.MOS != 0 {
		t.Errorf("the quality is %+v", got.Quality)
	}
}

// A call and a bridged one last as long as they may, from the answer.
func TestLongestDuration(t *testing.T) {
	r := newRig(t, nil)
	c, err := r.Dial(t.Context(), NewCall{Channel: r.channel, To: r.far("far").To, MaxDuration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.answerCall(r.called())
	near, nearCall := r.up()
	b := r.far("far")
	b.MaxDuration = 1
	_, farCall, err := r.Bridge(t.Context(), nearCall.ID, b)
	if err != nil {
		t.Fatal(err)
	}
	r.answerCall(r.called())
	await[sip.Ended](r, near)
	for _, id := range []voice.CallID{c.ID, farCall.ID} {
		got := r.stored(id)
		if d := got.EndedAt.Sub(got.AnsweredAt); got.Status != voice.CallCompleted || got.HangupSource != voice.HangupByTimeout || d < 990*time.Millisecond {
			t.Errorf("the call is %s by %s after %s", got.Status, got.HangupSource, d)
		}
	}
	r.stored(nearCall.ID)
}

// A recording from the ringing begins with it, and one from the answer with that.
func TestRecordStart(t *testing.T) {
	r := newRig(t, nil)
	for start, want := range map[voice.RecordStart]voice.RecordingStatus{
		voice.RecordFromRinging: voice.RecordingOngoing, voice.RecordFromAnswer: voice.RecordingAccepted,
	} {
		c, err := r.Dial(t.Context(), NewCall{
			Channel: r.channel, To: r.far("far").To, Order: voice.CallOrder{Record: true, Stereo: true, RecordStart: start},
		})
		if err != nil {
			t.Fatal(err)
		}
		far := r.called()
		errorless(t, far.Progress(180, nil))
		r.live(voice.Outgoing, voice.CallRinging)
		list, _ := r.Recordings(c.ID)
		if len(list) != 1 || list[0].Status != want || list[0].Origin != voice.OriginCreateCall || !list[0].Stereo {
			t.Errorf("%s: while it rings the recordings are %+v", start, list)
		}
		r.answerCall(far)
		r.live(voice.Outgoing, voice.CallOngoing)
		errorless(t, far.Hangup(16))
		r.stored(c.ID)
		if got := r.storedRecording(list[0].ID, voice.RecordingCompleted); got.EndCause != voice.EndCallEnded {
			t.Errorf("%s: it ended by %s", start, got.EndCause)
		}
	}
}
