package session

import (
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/media"
	"tapedeck/internal/vad"
)

// listen adds a listener of what the leg's party says. It fails while the leg is
// bridged.
func (s *session) listen(l *leg, ear media.Listener) error {
	ears := append(slices.Clone(l.ears), ear)
	if err := l.media.Listen(ears...); err != nil {
		return err
	}
	l.ears = ears
	return nil
}

// unlisten takes a listener away. When it returns, it is not called any more.
func (s *session) unlisten(l *leg, ear media.Listener) {
	at := slices.Index(l.ears, ear)
	if at < 0 {
		return
	}
	l.ears = slices.Delete(slices.Clone(l.ears), at, at+1)
	s.quietly("stop listening", l, l.media.Listen(l.ears...))
}

// An utterance.
const (
	beforeSpeech  = 300 * time.Millisecond // of silence is kept, for the first sound
	afterSpeech   = 800 * time.Millisecond // of silence ends it
	longestSpeech = 30 * time.Second
)

// ear waits for one utterance of a party, from its first sound to the silence
// after it. It is called by a media worker.
type ear struct {
	detector vad.Detector
	tell     func(*audio.Clip) // nil: the party has begun to speak
	samples  []int16           // never grows beyond what it has room for
	began    bool
	over     bool
}

// newEar makes an ear. tell is called twice, from the worker: with nil when the
// party begins to speak, and with what it has said.
func newEar(tell func(*audio.Clip)) *ear {
	return &ear{tell: tell, samples: make([]int16, 0, int(longestSpeech.Seconds()*media.ListenRate))}
}

// Hear takes a frame.
func (e *ear) Hear(frame []int16, _ time.Duration) {
	if e.over {
		return
	}
	state := e.detector.Feed(frame)
	if !e.began {
		most := int(beforeSpeech.Seconds() * media.ListenRate)
		if surplus := min(len(e.samples)+len(frame)-most, len(e.samples)); surplus > 0 {
			e.samples = e.samples[:copy(e.samples, e.samples[surplus:])]
		}
	}
	e.samples = append(e.samples, frame[:min(len(frame), cap(e.samples)-len(e.samples))]...)
	switch {
	case !e.began && state == vad.Speech:
		e.began = true
		e.tell(nil)
	case e.began && (e.detector.Silent() >= afterSpeech || len(e.samples) == cap(e.samples)):
		e.over = true
		e.tell(&audio.Clip{Rate: media.ListenRate, Samples: e.samples})
	}
}
