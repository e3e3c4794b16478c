package session

import (
	"tapedeck/internal/media"
	"tapedeck/internal/tone"
	"tapedeck/internal/voice"
)

// whispered is how many steps of a far party's flow run before the parties are
// connected: up to the last one that makes a sound or listens, so that the far party
// hears it alone.
func whispered(flow []voice.FlowCommand) int {
	for i := len(flow); i > 0; i-- {
		switch flow[i-1].Command.Kind() {
		case voice.KindPlayback, voice.KindSay, voice.KindGather, voice.KindRecord:
			return i
		}
	}
	return 0
}

// whispers reports whether the far party's flow is still in the part that runs
// before the parties are connected. A flow that took its place is not.
func (b *bridge) whispers() bool {
	f := b.whisper
	return f != nil && b.far.flow == f && (f.next < b.until || (f.next == b.until && f.waiting != ""))
}

// meet connects the parties of a bridge when the far party's flow has come so far.
// A hangup that follows comes before: it may be the far party's refusal.
func (s *session) meet(far *leg) {
	b := far.bridge
	if b == nil || b.far != far || b.whisper == nil || !far.answered() || b.whispers() {
		return
	}
	b.whisper = nil
	if err := s.connect(b); err != nil {
		s.log.Error("bridge failed", "call", b.near.call.ID, "far", far.call.ID, "error", err)
		s.hangup(far, ending{source: voice.HangupByNone, code: 500, reason: err.Error()})
	}
}

// ringTone lets the near party of a bridge hear that it rings, where the bridge names
// a tone, nothing else is to be heard, and the far party has not sent anything. A
// caller that was not answered gets early media for it (RFC 3960 §3).
func (s *session) ringTone(near *leg) {
	b := near.bridge
	if b == nil || b.near != near || b.audio != nil || b.tone != 0 || b.far.ended || b.far.end.decided || near.ended || near.end.decided {
		return
	}
	if near.slot != nil && !near.slot.silent {
		return // when it ends we are asked again
	}
	clip, known := tone.Ring(string(b.spec.RingTone))
	if !known {
		return
	}
	if near.call.Direction == voice.Incoming && !near.answered() {
		if err := s.earlyMedia(near); err != nil {
			s.quietly("ring tone", near, err)
			return
		}
	}
	if !near.open {
		return
	}
	near.plays++
	if err := s.play(near, media.Play{ID: near.plays, Sounds: []media.Sound{{Clip: clip}}, Times: -1}); err != nil {
		s.quietly("ring tone", near, err)
		return
	}
	b.tone = near.plays
}

// stopTone ends the ring tone, if it plays. A bridge that comes about ends it, too.
func (s *session) stopTone(b *bridge) {
	if b.tone != 0 && !b.near.ended {
		s.quietly("ring tone", b.near, b.near.media.StopPlaying())
	}
	b.tone = 0
}

// toneEnded takes note that a ring tone was cut off, by a prompt or by the bridge.
func (l *leg) toneEnded(id uint64) {
	if b := l.bridge; b != nil && b.near == l && b.tone == id {
		b.tone = 0
	}
}
