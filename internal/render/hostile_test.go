package render

import (
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// The entry that ends a pause may be in a damaged part of the journal.
func TestPausesWithoutEndAreOnesOfTheFile(t *testing.T) {
	for behavior, want := range map[voice.PauseBehavior]int{voice.PauseSilence: 80000, voice.PauseSkip: 4000 + 8*(7300-3000)} {
		s := conversation(10*time.Second).
			pause(600*ms, 0, behavior).                                                                              // until the next one, for what is known
			pause(2100*ms, 3100*ms, behavior).                                                                       // 0.5 s to 3 s of the file are gone
			pause(7400*ms, 0, behavior).                                                                             // until the end
			add(20*ms, journal.Entry{Kind: journal.KindPaused, Detail: journal.Detail{Behavior: string(behavior)}}). // before the begin
			add(30*ms, journal.Entry{Kind: journal.KindResumed})
		p := s.write(t)
		r := render(t, p, Layout{Stereo: true})
		if len(r.sides[0]) != want || r.receipt.Samples != int64(want) {
			t.Errorf("%s: %d samples, want %d; %+v", behavior, len(r.sides[0]), want, r.receipt.Pauses)
		}
		length := int64(0)
		for i, ps := range r.receipt.Pauses {
			length += ps.EndMs - ps.StartMs
			if ps.StartMs < 0 || ps.EndMs < ps.StartMs || ps.Open != (i == len(r.receipt.Pauses)-1) {
				t.Errorf("%s: %+v", behavior, ps)
			}
		}
		if length != 2500+2700 {
			t.Errorf("%s: %d ms of pauses", behavior, length)
		}
	}
}

// A table of codecs may hold any number.
func TestTablesOfNonsense(t *testing.T) {
	for _, c := range []journal.Codec{
		{PT: 13, Name: "CN", ClockRate: 1_000_000_000},
		{PT: 13, Name: "CN", ClockRate: 1},
		{PT: 0, Name: "L16", ClockRate: 2_000_000_000},
		{PT: 0, Name: "L16", ClockRate: 8000, SampleRate: 2_000_000_000, Channels: 1},
		{PT: 0, Name: "L16", ClockRate: 8000, SampleRate: 8000, Channels: 1 << 30},
		{PT: 0, Name: "PCMU", ClockRate: 1},
		{PT: 0, Name: "G722", ClockRate: 8000, SampleRate: 1},
		{PT: 0, Name: "opus", ClockRate: 1_000_000_000, SampleRate: -1, Channels: -1},
	} {
		s := talking([]journal.Codec{c})
		for i := range 50 {
			s.add(time.Duration(i+1)*20*ms, journal.Entry{Kind: journal.KindPacket, Packet: journal.Packet{
				Seq: uint16(i), Time: uint32(i * 160), SSRC: 1, PT: c.PT, Payload: []byte{40, 1, 2, 3},
			}})
		}
		r := render(t, s.stop(time.Second, voice.EndCallEnded).write(t), Layout{})
		a := r.receipt.Tracks[0]
		if r.receipt.DurationMs != 1000 || r.receipt.SampleRate != 8000 || a.AudioMs+a.SilenceMs != 1000 {
			t.Errorf("%+v: %d ms at %d Hz, %+v", c, r.receipt.DurationMs, r.receipt.SampleRate, a)
		}
	}
}
