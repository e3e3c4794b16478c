package session

import (
	"context"
	"errors"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/tone"
	"tapedeck/internal/vad"
	"tapedeck/internal/voice"
)

// Voicemail records what the party says, until a key, silence or the longest length
// ends it. It returns when the recording is known and will survive a crash; it begins
// when the commands before it have ended, after the tone. Errors are as those of Do
// and Record.
func (m *Manager) Voicemail(ctx context.Context, id voice.CallID, r *voice.Record) (voice.CommandResult, voice.RecordingID, error) {
	type recorded struct {
		result voice.CommandResult
		id     voice.RecordingID
	}
	out, err := ask(ctx, m, id, func(s *session, l *leg, reply func(recorded, error)) {
		if err := s.fits(l, r); err != nil {
			reply(recorded{}, err)
			return
		}
		if err := s.room(); err != nil {
			reply(recorded{}, err)
			return
		}
		t, err := s.record(l, messageSpec(l, r))
		if err != nil {
			reply(recorded{}, err)
			return
		}
		s.whenSafe(t, func(err error) {
			if err == nil {
				err = s.fits(l, r) // it may have changed meanwhile
			}
			if err != nil {
				s.stopTake(t, voice.EndStopped)
				reply(recorded{}, err)
				return
			}
			result := s.accept(l, r)
			s.amend(l, result.ID, func(c *voice.CommandResult) { c.Recording = t.rec.ID })
			reply(recorded{result, t.rec.ID}, nil)
			turn := &turn{s: s, l: l, id: result.ID}
			turn.act = &message{turn: turn, spec: r, take: t}
			l.queue(turn)
			s.next(l)
		})
	})
	return out.result, out.id, err
}

// messageSpec is the recording of a message: what the party of the leg says, and
// nobody else.
func messageSpec(l *leg, r *voice.Record) takeSpec {
	spec := takeSpec{
		origin: voice.OriginCommandRecord, maxLength: r.MaxLength, from: l, trigger: byCommand, own: true,
	}
	if spec.maxLength == 0 {
		spec.maxLength = voice.DefaultRecordLength
	}
	if r.Transcribe {
		spec.transcribe = localeOr(r.TranscribeLocale)
	}
	return spec
}

// message is a record command at work: the tone, then the recording.
type message struct {
	turn *turn
	spec *voice.Record
	take *take  // nil until it begins, for a command of a flow
	tone uint64 // the number of the tone that plays; 0 = none
	hush *hush  // nil = nobody listens
}

func (m *message) begin(context.Context) {
	s, l := m.turn.s, m.turn.l
	if m.take == nil {
		t, err := s.record(l, messageSpec(l, m.spec))
		if err != nil {
			m.turn.fail(err)
			return
		}
		m.take = t
		s.whenSafe(t, func(err error) { // who reads of it finds it
			if err == nil {
				s.amend(l, m.turn.id, func(c *voice.CommandResult) { c.Recording = t.rec.ID })
			}
		})
	}
	if m.take.stopped {
		m.turn.end(voice.CommandCompleted, "the recording was stopped before it began")
		return
	}
	m.take.stopping = m.stopped
	if !m.spec.Beep {
		m.record()
		return
	}
	l.plays++
	m.tone = l.plays
	if err := s.play(l, media.Play{ID: m.tone, Sounds: []media.Sound{{Clip: tone.Beep()}}}); err != nil {
		m.tone = 0
		m.turn.fail(err)
	}
}

// played is the end of the tone.
func (m *message) played(id uint64, cut bool) {
	switch {
	case m.tone == 0 || id != m.tone:
	case cut:
		m.tone = 0
		m.turn.fail(errors.New("the tone was cut off"))
	default:
		m.tone = 0
		m.record()
	}
}

// record begins the recording.
func (m *message) record() {
	if err := m.listen(); err != nil {
		m.turn.fail(err)
		return
	}
	m.turn.s.beginTake(m.take)
}

// listen waits for silence.
func (m *message) listen() error {
	s := m.turn.s
	after := m.spec.Timeout
	if after == 0 {
		after = voice.DefaultRecordTimeout
	}
	h := &hush{after: seconds(after)}
	h.tell = func() {
		s.inbox.put(func() {
			if m.hush == h {
				m.silent()
			}
		})
	}
	if err := s.listen(m.turn.l, h); err != nil {
		return err
	}
	m.hush = h
	return nil
}

func (m *message) deafen() {
	if m.hush != nil {
		m.turn.s.unlisten(m.turn.l, m.hush)
		m.hush = nil
	}
}

// silent: the party has said nothing for so long. A pause of the recording is no
// silence of the message: listening begins anew.
func (m *message) silent() {
	m.deafen()
	if m.take.rec.Status != voice.RecordingPaused {
		m.turn.s.stopTake(m.take, voice.EndStopped)
		return
	}
	if err := m.listen(); err != nil {
		m.turn.fail(err)
	}
}

func (m *message) key(k voice.Key) {
	if m.take.begun && k == m.spec.EndKey {
		m.turn.s.stopTake(m.take, voice.EndStopped)
	}
}

// stopped is the end of the recording, whatever stopped it. The end of the call is
// the end of the command, too, and told by the slot.
func (m *message) stopped(cause voice.EndCause) {
	switch {
	case m.turn.l.ended:
	case cause == voice.EndStorageFailed:
		m.turn.fail(errors.New("the recording broke off: the disk does not take it"))
	default:
		m.turn.end(voice.CommandCompleted, "")
	}
}

// drop ends the recording with its command. One that ends with the call is stopped
// with the others of the call, for their reason.
func (m *message) drop() {
	s, l := m.turn.s, m.turn.l
	if m.tone != 0 {
		m.tone = 0
		s.quietly("stop playing", l, l.media.StopPlaying())
	}
	m.deafen()
	m.forgo()
}

func (m *message) forgo() {
	if m.take != nil && !m.turn.l.ended {
		m.take.stopping = nil
		m.turn.s.stopTake(m.take, voice.EndStopped)
	}
}

// hush waits until a party has been silent for a while. It is called by a media
// worker.
type hush struct {
	detector vad.Detector
	after    time.Duration
	tell     func()
	told     bool
}

// Hear takes a frame.
func (h *hush) Hear(frame []int16, _ time.Duration) {
	h.detector.Feed(frame)
	if !h.told && h.detector.Silent() >= h.after {
		h.told = true
		h.tell()
	}
}
