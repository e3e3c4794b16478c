package render

import (
	"os"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

func TestGapsAndDamageAreInTheReceipt(t *testing.T) {
	s := conversation(5 * time.Second)
	s.add(3100*ms, journal.Entry{Kind: journal.KindGap, Detail: journal.Detail{From: 2100 * ms, Lost: 50}})
	path := s.write(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, append(raw, 1, 2, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	r := render(t, path, Layout{Stereo: true})
	rc := r.receipt
	if rc.Complete || rc.Journal.CorruptParts != 1 || rc.Journal.TornBytes != 3 || rc.Journal.Size != int64(len(raw)+3) {
		t.Errorf("%+v", rc.Journal)
	}
	if len(r.sides[0]) != 40000 {
		t.Errorf("%d samples", len(r.sides[0]))
	}
	whole := render(t, s.write(t), Layout{Stereo: true}).receipt
	if len(whole.Gaps) != 1 || whole.Gaps[0] != (GapSpan{StartMs: 2000, EndMs: 3000, Lost: 50}) || whole.Complete {
		t.Errorf("%+v", whole.Gaps)
	}
}

func TestSilenceOfWhatWasNotKept(t *testing.T) {
	s := conversation(5 * time.Second)
	s.events = slices.DeleteFunc(s.events, func(e event) bool {
		return e.entry.Kind == journal.KindPacket && e.at > 2100*ms && e.at <= 3100*ms
	})
	s.add(3100*ms, journal.Entry{Kind: journal.KindGap, Detail: journal.Detail{From: 2100 * ms, Lost: 100}})
	rc := render(t, s.write(t), Layout{Stereo: true}).receipt
	for _, track := range rc.Tracks {
		k := len(track.Silence) - 1
		if k < 0 || track.Silence[k].Reason != SilenceNotRecorded || track.Silence[k].Start+track.Silence[k].Length != 24000 || track.Silence[k].Length < 7000 {
			t.Errorf("%+v", track.Silence)
		}
	}
}

func TestDamageHasItsTime(t *testing.T) {
	path := conversation(60 * time.Second).write(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		raw[len(raw)/2+i] ^= 1
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	rc := render(t, path, Layout{Stereo: true}).receipt
	if len(rc.Gaps) != 1 || !rc.Gaps[0].Damaged || rc.Complete || rc.Samples != 480000 {
		t.Fatalf("%d samples, %+v", rc.Samples, rc.Gaps)
	}
	g := rc.Gaps[0]
	if g.StartMs < 20000 || g.EndMs > 40000 || g.EndMs <= g.StartMs {
		t.Errorf("damage in the middle of a minute is from %d to %d ms", g.StartMs, g.EndMs)
	}
	silent := int64(0)
	for _, sp := range rc.Tracks[0].Silence {
		if sp.Reason != SilenceNotRecorded {
			t.Errorf("%+v", sp)
		}
		silent += sp.Length
	}
	if got := silent / 8; got < g.EndMs-g.StartMs-150 {
		t.Errorf("%d ms of silence for a gap of %d", got, g.EndMs-g.StartMs)
	}
}

func TestTrackOfNobody(t *testing.T) {
	s := newScene().track(0, 0, "A", "a", "caller").begin(0).speak(party{id: 1, to: time.Second}).
		speak(party{id: 2, track: 7, to: time.Second}).stop(time.Second, voice.EndCallEnded)
	rc := render(t, s.write(t), Layout{Stereo: true}).receipt
	if rc.Tracks[0].Uncertain || !rc.Tracks[1].Uncertain {
		t.Errorf("%+v", rc.Tracks)
	}
}
