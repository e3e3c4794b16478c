package session

import (
	"context"
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/journal"
	"tapedeck/internal/sip"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// What is played is in every recording of the call, as a track of the system's own
// that has each word where it was heard, and not while the recording is paused.
func TestPromptsAreRecorded(t *testing.T) {
	r := newRig(t, nil)
	s := r.sounds
	p, c := r.upPhone()
	_, rec, err := r.Record(t.Context(), c.ID, &voice.RecordCall{Stereo: true})
	if err != nil {
		t.Fatal(err)
	}
	_, silent, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateRecording(t.Context(), c.ID, silent, voice.RecordingCompleted, ""); err != nil {
		t.Fatal(err)
	}
	whole := func(name string) func() bool {
		return func() bool { _, ok := p.hears(s.clips[name]); return ok }
	}
	r.do(c.ID, &voice.Playback{Media: []string{"1"}})
	testkit.Eventually(t, patience, whole("1"))
	// One that begins later has what is played from then on.
	_, later, err := r.Record(t.Context(), c.ID, &voice.RecordCall{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateRecording(t.Context(), c.ID, rec, voice.RecordingPaused, ""); err != nil {
		t.Fatal(err)
	}
	r.do(c.ID, &voice.Playback{Media: []string{"2"}})
	testkit.Eventually(t, patience, whole("2"))
	if _, err := r.UpdateRecording(t.Context(), c.ID, rec, voice.RecordingOngoing, ""); err != nil {
		t.Fatal(err)
	}
	r.do(c.ID, &voice.Playback{Media: []string{"3"}})
	testkit.Eventually(t, patience, whole("3"))
	errorless(t, p.Hangup(16))
	r.stored(c.ID)
	for id, want := range map[voice.RecordingID]string{rec: "13", later: "23", silent: ""} {
		r.storedRecording(id, voice.RecordingCompleted)
		spoken := r.spoken(id, c)
		for _, name := range []string{"1", "2", "3"} {
			var like float64
			if clip := s.clips[name].Samples; len(spoken) >= len(clip) {
				like = best(clip, spoken)
			}
			held := len(want) > 0 && (want[0] == name[0] || want[1] == name[0])
			if held && like < 0.95 || !held && like > 0.3 {
				t.Errorf("%s of %q: prompt %s is in it with %.3f", id, want, name, like)
			}
		}
	}
}

// best is how much of a clip is in the samples.
func best(clip, pcm []int16) float64 {
	return compare.Correlation(clip, pcm, compare.Align(clip, pcm).Samples())
}

// spoken is what the recording's journal has of us, each packet at its time.
func (r *rig) spoken(id voice.RecordingID, c voice.Call) (pcm []int16) {
	r.t.Helper()
	j := r.journal(id)
	defer j.Close()
	var e journal.Entry
	var clock time.Duration // of the first packet, less its RTP time
	tracks := map[uint16]bool{}
	began := false
	for j.Next(&e) == nil {
		switch {
		case e.Kind == journal.KindTrackOpened && e.Detail.Role == string(voice.RoleSystem):
			if e.Detail.Call != string(c.ID) || e.Detail.Party != c.To {
				r.t.Errorf("the track is of %q, call %s", e.Detail.Party, e.Detail.Call)
			}
			tracks[e.Track] = true
		case e.Kind == journal.KindPacket && tracks[e.Track]:
			at := e.At - time.Duration(e.Packet.Time)*time.Second/8000
			if !began {
				began, clock = true, at
			}
			if off := at - clock; max(off, -off) > 20*time.Millisecond {
				r.t.Errorf("a packet is %v off its place", off)
			}
			place := int(e.At * 8000 / time.Second)
			frame := make([]int16, len(e.Packet.Payload))
			g711.DecodeMu(frame, e.Packet.Payload)
			if missing := place - len(pcm); missing > 0 {
				pcm = append(pcm, make([]int16, missing)...)
			}
			pcm = append(pcm, frame...)
		}
	}
	if len(tracks) > 1 {
		r.t.Errorf("%d tracks of the system", len(tracks))
	}
	return pcm
}

// keypad is an act that takes keys.
type keypad struct{ keys chan voice.Key }

func (k keypad) begin(context.Context) {}
func (k keypad) key(key voice.Key)     { k.keys <- key }
func (k keypad) played(uint64, bool)   {}
func (k keypad) drop()                 {}

// Keys that the party presses come to who listens, beside the audio (RFC 4733) and
// by INFO, once each and in order.
func TestKeysComeToTheCommand(t *testing.T) {
	r := newRig(t, nil)
	p, c := r.upPhone()
	pad := keypad{make(chan voice.Key, 16)}
	r.within(c.ID, func(s *session, l *leg) { s.enter(l, &turn{s: s, l: l, act: pad}) })
	for _, key := range []byte("50*#") {
		errorless(t, p.SendKey(key, 100*time.Millisecond))
	}
	for _, want := range []voice.Key{"5", "0", "*", "#"} {
		if got := testkit.Receive(t, patience, pad.keys); got != want {
			t.Errorf("%s came, want %s", got, want)
		}
	}
	errorless(t, p.SendKey('D', 100*time.Millisecond)) // no key of the API
	errorless(t, p.SendKey('1', 100*time.Millisecond))
	if got := testkit.Receive(t, patience, pad.keys); got != "1" {
		t.Errorf("%s came", got)
	}
	errorless(t, p.Hangup(16))
	await[sip.Ended](r, p.party)
	r.stored(c.ID)
}

var _ act = keypad{}
