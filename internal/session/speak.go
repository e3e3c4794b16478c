package session

import (
	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/sdp"
	"tapedeck/internal/voice"
)

// play lets the leg's party hear something, and those who record the call with it.
// The end comes as media.Played.
func (s *session) play(l *leg, p media.Play) error {
	s.speak(l)
	return l.media.Play(p)
}

// press sends keys to the leg's party. The end comes as media.Played.
func (s *session) press(l *leg, id uint64, keys string) error {
	s.speak(l)
	return l.media.SendKeys(id, keys)
}

// speak gives what we play to the leg a track of its own in every recording of it. A
// recording of a call to which nothing is played has none.
func (s *session) speak(l *leg) {
	if l.speaks {
		return
	}
	l.speaks = true
	for _, t := range s.takes {
		t.addSpoken(l)
	}
	s.retap(l)
}

// addSpoken opens the track of what we play to the leg, if it belongs into the
// recording.
func (t *take) addSpoken(l *leg) {
	if !l.speaks || t.spec.own || !t.covers(l) || t.spoken[l] != nil {
		return
	}
	t.spoken[l] = t.capture.Track(recorder.TrackSpec{
		Call: l.call.ID, Party: l.house(), Role: voice.RoleSystem, Codecs: said(l.stream),
	})
}

// house is the address that the leg's party talks to.
func (l *leg) house() string {
	if l.call.Direction == voice.Incoming {
		return l.call.To
	}
	return l.call.From
}

// said are the formats in which we speak, as the journal wants them.
func said(streams ...sdp.Negotiated) []recorder.Codec {
	out := make([]recorder.Codec, 0, len(streams))
	for _, n := range streams {
		if c := n.Send; c.Name != "" {
			out = append(out, recorder.Codec{PT: c.PT, Name: c.Name, ClockRate: c.ClockRate, SampleRate: c.SampleRate, Channels: c.Channels})
		}
	}
	return out
}
