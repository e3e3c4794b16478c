package session

import (
	"time"

	"tapedeck/internal/vad"
	"tapedeck/internal/voice"
)

// answerer finds out who answers a leg that we called. It is fed by a media worker.
type answerer struct {
	machine *vad.Machine
	tell    func(vad.Finding)
	told    bool
}

// Hear takes a frame.
func (a *answerer) Hear(frame []int16, _ time.Duration) {
	if a.told {
		return
	}
	if found, all := a.machine.Feed(frame); all {
		a.told = true
		a.tell(found)
	}
}

// askWho begins to find out who has answered a leg, if its call wants to know. It goes
// on beside whatever the call does, also when a bridge connects the leg.
func (s *session) askWho(l *leg) {
	if l.order.AMD == nil || !l.order.AMD.Enabled {
		return
	}
	a := &answerer{machine: vad.NewMachine(machineSettings(l.order.AMD))}
	a.tell = func(found vad.Finding) {
		s.inbox.put(func() {
			if l.answerer == a {
				s.tellWho(l, found)
			}
		})
	}
	if err := l.media.Follow(a); err != nil {
		s.quietly("listen for who answers", l, err)
		return
	}
	l.answerer = a
}

// tellWho writes down who has answered.
func (s *session) tellWho(l *leg, found vad.Finding) {
	l.answerer = nil
	s.quietly("stop listening for who answers", l, l.media.Follow())
	who := voice.AnsweredBy(found.Who.String())
	l.call.AMD = &voice.AMDResult{
		AnsweredBy: who, Words: found.Words, Beep: found.Tone, After: found.After.Milliseconds(), At: time.Now().UTC(),
	}
	s.log.Info("answered by "+string(who), "call", l.call.ID, "words", found.Words, "tone", found.Tone, "after", found.After.String())
	s.save(l)
}

// leaveWho ends the listening of a leg that ends, with what has been found out so far.
func (s *session) leaveWho(l *leg) {
	a := l.answerer
	if a == nil {
		return
	}
	s.quietly("stop listening for who answers", l, l.media.Follow()) // from here on it is ours to read
	s.tellWho(l, a.machine.Finding())
}

// machineSettings are those of a detection, with the defaults for what is not named.
func machineSettings(a *voice.AMDSettings) vad.Settings {
	or := func(n, otherwise int) int {
		if n == 0 {
			return otherwise
		}
		return n
	}
	s := vad.Settings{
		Words: or(a.WordCount, voice.DefaultAMDWords),
		Quiet: seconds(or(a.SpeechTimeout, voice.DefaultAMDSpeechTimeout)),
		Tone:  seconds(or(a.BeepTimeout, voice.DefaultAMDBeepTimeout)),
	}
	switch a.IfMachineNotifyAfter {
	case voice.NotifyAfterSpeech:
		s.Until = vad.UntilQuiet
	case voice.NotifyAfterBeep:
		s.Until = vad.UntilTone
	}
	return s
}
