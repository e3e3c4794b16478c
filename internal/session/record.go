package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/recorder"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// trigger says what a recording waits for before it captures.
type trigger int

const (
	atAnswer trigger = iota
	atRinging
	byCommand // which begins it by itself
)

func triggerOf(start voice.RecordStart) trigger {
	if start == voice.RecordFromRinging {
		return atRinging
	}
	return atAnswer
}

// takeSpec asks for a recording.
type takeSpec struct {
	origin    voice.RecordingOrigin
	stereo    bool
	maxLength int  // seconds of file; 0 = the server's cap
	from      *leg // whose ringing or answer it waits for
	trigger   trigger

	own        bool   // it covers this leg alone, whoever that is bridged with
	transcribe string // the locale; empty = no transcription
}

// take is one recording of the session, from the request until its journal is
// closed. It covers the leg it is on and whoever that leg is bridged with.
type take struct {
	rec     voice.Recording
	row     row
	spec    takeSpec
	on      *leg
	capture *recorder.Capture
	tracks  map[*leg]*recorder.Track
	before  map[*leg]*media.Stats    // of a leg, when it got its track; to be read after another look at them
	spoken  map[*leg]*recorder.Track // what we play to its party

	opened  bool // the journal is on disk
	begun   bool // sample 0 is set
	stopped bool // no more audio is taken
	ending  bool // the last state is on its way to the store, or there is none to keep

	stopping func(voice.EndCause) // told when it stops; nil = nobody

	limit    *alarm        // longest length
	skipping bool          // paused, and the pause is left out of the file
	pausedAt time.Duration // since the beginning
	skipped  time.Duration // of pauses that are over and left out

	safe    bool // the row is committed
	failure error
	waiters []func(error)
}

// room reports why no recording can start now, as a *voice.Error.
func (m *Manager) room() error {
	if err := m.o.Recorder.Room(); err != nil {
		return noRoom(err)
	}
	return nil
}

func (s *session) room() error { return s.m.room() }

func noRoom(err error) error {
	return &voice.Error{
		Code: voice.CodeUnavailable, Op: "start recording", Err: err, RetryAfter: 30 * time.Second,
		Message: "The server has no room for another recording; running recordings go on",
	}
}

// maxTakes bounds the recordings that run on one call at a time: each one is
// another copy of every packet.
const maxTakes = 100

// running counts the leg's recordings that may still take audio.
func (s *session) running(l *leg) int {
	n := 0
	for _, t := range s.takes {
		if t.on == l && !t.stopped {
			n++
		}
	}
	return n
}

// record starts a recording on the leg. Audio counts from this very moment if
// the call is answered; the journal file follows.
func (s *session) record(l *leg, spec takeSpec) (*take, error) {
	if s.running(l) >= maxTakes {
		return nil, &voice.Error{
			Code: voice.CodeUnavailable, RetryAfter: 30 * time.Second,
			Message: fmt.Sprintf("The call has %d running recordings: it takes no more until one of them is stopped", maxTakes),
		}
	}
	length := s.m.o.MaxRecording
	if spec.maxLength > 0 && int64(spec.maxLength) < int64(length/time.Second) {
		length = seconds(spec.maxLength)
	}
	now := time.Now().UTC()
	t := &take{on: l, spec: spec, tracks: map[*leg]*recorder.Track{}, before: map[*leg]*media.Stats{}, spoken: map[*leg]*recorder.Track{}}
	t.rec = voice.Recording{
		ID: voice.RecordingID(s.newID()), Workspace: l.call.Workspace, Channel: l.call.Channel, Call: l.call.ID,
		Status: voice.RecordingAccepted, Origin: spec.origin, Stereo: spec.stereo, MaxLength: length,
		Direction: l.call.Direction, From: l.call.From, To: l.call.To, Transcribe: spec.transcribe,
		CreatedAt: now, UpdatedAt: now,
	}
	capture, err := s.m.o.Recorder.Start(recorder.Spec{
		Recording: t.rec.ID, Workspace: t.rec.Workspace, Channel: t.rec.Channel, Call: t.rec.Call,
		Stereo: spec.stereo, MaxLength: length, SampleRate: s.fileRate(), Wall: now,
		Notify: func(e recorder.Event) { s.inbox.put(func() { s.onCapture(t, e) }) },
	})
	if err != nil {
		if errors.Is(err, recorder.ErrNoRoom) {
			return nil, noRoom(err)
		}
		return nil, err
	}
	t.capture = capture
	s.takes = append(s.takes, t)
	t.add(l)
	if b := l.bridge; b != nil && b.audio != nil {
		t.add(b.other(l))
	}
	s.saveTake(t, nil)
	if spec.trigger == byCommand {
		return t, nil
	}
	if from := spec.from; from.answered() || (spec.trigger == atRinging && from.call.Status == voice.CallRinging) {
		s.beginTake(t)
		for l := range t.tracks { // whoever asked for it is told when it listens
			if l.media != nil && !l.ended {
				taps, played := s.taps(l)
				l.media.SetPlayTapsLater(played...)
				l.media.SetTaps(taps...)
			}
		}
	}
	return t, nil
}

// recordFor starts a recording that a call or bridge asked for. The call goes
// on without it when it cannot be made, and the recording says why.
func (s *session) recordFor(l *leg, spec takeSpec) {
	_, err := s.record(l, spec)
	if err == nil {
		return
	}
	s.log.Error("call goes on unrecorded", "call", l.call.ID, "error", err)
	now := time.Now().UTC()
	rec := voice.Recording{
		ID: voice.RecordingID(s.newID()), Workspace: l.call.Workspace, Channel: l.call.Channel, Call: l.call.ID,
		Status: voice.RecordingFailed, Origin: spec.origin, Stereo: spec.stereo,
		EndCause: voice.EndStorageFailed, Problem: err.Error(),
		Direction: l.call.Direction, From: l.call.From, To: l.call.To,
		CreatedAt: now, UpdatedAt: now, EndedAt: now,
	}
	s.write(&row{}, "recording", string(rec.Status), func(tx *store.Tx) error { return tx.PutRecording(rec) }, nil)
}

// whenSafe calls f once the recording will survive a crash, or with the reason
// why it will not come to be.
func (s *session) whenSafe(t *take, f func(error)) {
	switch {
	case t.failure != nil:
		f(t.failure)
	case t.safe:
		f(nil)
	default:
		t.waiters = append(t.waiters, f)
		s.m.o.DB.Hurry() // if it is on its way to the disk already
	}
}

// covers reports whether the recording keeps what the leg's party says.
func (t *take) covers(l *leg) bool { return t.tracks[l] != nil && !t.stopped }

// add gives the leg a track in the recording, if it belongs there.
func (t *take) add(l *leg) {
	b := t.on.bridge
	if t.stopped || t.tracks[l] != nil || (t.spec.own && l != t.on) || (l != t.on && (b == nil || b.other(t.on) != l)) {
		return
	}
	t.tracks[l] = t.capture.Track(recorder.TrackSpec{
		Call: l.call.ID, Party: l.party(), Role: l.role(), Codecs: l.codecs(),
	})
	if l.media != nil {
		t.before[l] = new(media.Stats)
		l.media.StatsLater(t.before[l])
	}
	t.addSpoken(l)
}

// drop closes the leg's track, with the count of what came beside its packets.
func (t *take) drop(l *leg, at time.Duration) {
	if track := t.tracks[l]; track != nil {
		track.Close(at, t.unheard(l))
		delete(t.tracks, l)
		delete(t.before, l)
	}
	if track := t.spoken[l]; track != nil {
		track.Close(at, recorder.Unheard{})
		delete(t.spoken, l)
	}
}

// unheard counts what came to the leg's ports since it has a track, and was no
// packet of its party.
func (t *take) unheard(l *leg) recorder.Unheard {
	if t.stopped || l.media == nil {
		return recorder.Unheard{}
	}
	now, before := l.media.Stats(), t.before[l]
	if before == nil {
		before = new(media.Stats)
	}
	return recorder.Unheard{
		Foreign: now.Foreign - before.Foreign, Malformed: now.Malformed - before.Malformed,
		Unknown: now.Unknown - before.Unknown, Overflow: now.Overflow - before.Overflow,
	}
}

// retap tells the leg's media which recordings listen. It does not wait: a track that
// is closed takes nothing, whoever gives it something.
func (s *session) retap(l *leg) {
	if l.media != nil && !l.ended {
		taps, played := s.taps(l)
		l.media.SetTapsLater(taps...)
		l.media.SetPlayTapsLater(played...)
	}
}

// taps are the tracks that the leg's party is heard by, and those of what it hears
// of us.
func (s *session) taps(l *leg) (taps, played []media.Tap) {
	for _, t := range s.takes {
		if !t.begun || !t.covers(l) {
			continue
		}
		taps = append(taps, t.tracks[l])
		if track := t.spoken[l]; track != nil {
			played = append(played, track)
		}
	}
	return taps, played
}

// begin starts the recordings that waited for this of the leg.
func (s *session) begin(l *leg, what trigger) {
	for _, t := range s.takes {
		if t.spec.from == l && !t.begun && !t.stopped && t.spec.trigger != byCommand && (what == atAnswer || t.spec.trigger == what) {
			s.beginTake(t)
		}
	}
}

// beginTake sets sample 0 of the recording.
func (s *session) beginTake(t *take) {
	now := time.Now()
	t.begun = true
	t.rec.StartedAt = now.UTC()
	t.capture.Begin(s.now(), now)
	for l := range t.tracks {
		s.retap(l)
	}
	if b := t.on.bridge; b != nil && b.audio != nil {
		t.capture.Joined(s.now(), b.near.call.ID, b.far.call.ID)
	}
	for l, track := range t.tracks {
		track.SetCodecs(s.now(), l.codecs())
		if l.stream.Held {
			t.capture.Held(s.now(), l.call.ID, true)
		}
	}
	for l, track := range t.spoken {
		track.SetCodecs(s.now(), said(l.stream))
	}
	s.setLimit(t, t.rec.MaxLength)
	s.moveTake(t, voice.RecordingStart)
}

// setLimit stops the recording when so much more has come into the file. The
// renderer cuts to the very sample.
func (s *session) setLimit(t *take, left time.Duration) {
	t.limit = s.clock.after(left, func() { s.stopTake(t, voice.EndMaxLength) })
}

// steer pauses, resumes or stops a recording because the API says so. Asking
// for the status that it has is no fault.
func (s *session) steer(t *take, to voice.RecordingStatus, behavior voice.PauseBehavior) error {
	if t.rec.Status == to {
		return nil
	}
	event := map[voice.RecordingStatus]voice.RecordingEvent{
		voice.RecordingPaused: voice.RecordingPause, voice.RecordingOngoing: voice.RecordingResume,
	}[to]
	switch to {
	case voice.RecordingCompleted:
		if !t.rec.Status.Capturing() {
			return recordingNotActive(t.rec.Status)
		}
		s.stopTake(t, voice.EndStopped)
		return nil
	case voice.RecordingPaused:
		if _, err := t.rec.Status.Next(event); err != nil {
			return recordingNotActive(t.rec.Status)
		}
		at, err := t.capture.Pause(behavior)
		if err != nil {
			return t.refused(err)
		}
		if behavior == voice.PauseSkip {
			t.skipping, t.pausedAt = true, at
			s.clock.drop(t.limit)
		}
	default:
		if _, err := t.rec.Status.Next(event); err != nil {
			return recordingNotActive(t.rec.Status)
		}
		at, err := t.capture.Resume()
		if err != nil {
			return t.refused(err)
		}
		if t.skipping {
			// By the marks in the journal, so that the file has its full length.
			t.skipping = false
			t.skipped += at - t.pausedAt
			s.setLimit(t, t.rec.MaxLength-(at-t.skipped))
		}
	}
	s.moveTake(t, event)
	return nil
}

// refused says why the capture did not take a command. It may have broken off a
// moment ago, when the session was not told yet; its gate is shut for good then.
func (t *take) refused(err error) error {
	if errors.Is(err, recorder.ErrFailed) || errors.Is(err, recorder.ErrStopped) {
		return &voice.Error{
			Code: voice.CodeRecordingNotActive, Err: err,
			Message: "The recording has broken off, because the disk does not take it: it cannot be changed any more",
		}
	}
	return err
}

func recordingNotActive(status voice.RecordingStatus) error {
	return &voice.Error{
		Code:    voice.CodeRecordingNotActive,
		Message: "The recording is " + string(status) + ": it cannot be changed so",
	}
}

// moveTake moves the recording's status by one event that was found to fit.
func (s *session) moveTake(t *take, e voice.RecordingEvent) {
	next, err := t.rec.Status.Next(e)
	if err != nil {
		s.log.Error("recording state", "recording", t.rec.ID, "error", err)
		return
	}
	t.rec.Status = next
	s.log.Info("recording "+string(next), "recording", t.rec.ID, "call", t.rec.Call)
	s.saveTake(t, nil)
}

// stopTake shuts the recording's gates. Its file is made when the journal is
// closed. A recording that never began leaves nothing.
func (s *session) stopTake(t *take, cause voice.EndCause) {
	if t.stopped {
		return
	}
	// Counted first, so that no word falls between the ends of the tracks and of
	// the capture.
	counts := map[*recorder.Track]recorder.Unheard{}
	for l, track := range t.tracks {
		counts[track] = t.unheard(l)
	}
	for track, unheard := range counts {
		track.Close(s.now(), unheard)
	}
	for _, track := range t.spoken {
		track.Close(s.now(), recorder.Unheard{})
	}
	t.stopped = true
	s.clock.drop(t.limit)
	switch _, err := t.capture.Stop(cause); {
	case errors.Is(err, recorder.ErrFailed):
		cause = voice.EndStorageFailed // it had broken off before; onCapture will hear of it
	case err != nil:
		s.log.Error("stop capture", "recording", t.rec.ID, "error", err)
	}
	for l := range t.tracks {
		s.retap(l)
	}
	t.rec.EndCause, t.rec.EndedAt = cause, time.Now().UTC()
	if t.begun {
		s.moveTake(t, voice.RecordingEnd)
	} else {
		s.moveTake(t, voice.RecordingLose)
	}
	if t.stopping != nil {
		t.stopping(cause)
	}
}

// endTakes stops the recordings that end with the leg.
func (s *session) endTakes(l *leg) {
	cause := voice.EndCallEnded
	if l.call.HangupSource == voice.HangupByMediaTimeout {
		cause = voice.EndNoMedia
	}
	for _, t := range s.takes {
		switch {
		case !t.begun && t.on == l && t.spec.trigger == byCommand:
			s.stopTake(t, cause)
		case !t.begun && (t.on == l || t.spec.from == l):
			s.stopTake(t, voice.EndNotAnswered)
		case t.on == l:
			s.stopTake(t, cause)
		}
	}
}

// onCapture handles what the recorder has to say of a recording.
func (s *session) onCapture(t *take, e recorder.Event) {
	switch e.Kind {
	case recorder.Opened:
		t.opened = true
		s.saveTake(t, func() {
			t.safe = true
			t.tell(nil)
		})
		if len(t.waiters) > 0 {
			s.m.o.DB.Hurry()
		}
	case recorder.Overflow:
		s.log.Error("recording lost packets: the disk is too slow", "recording", t.rec.ID, "lost", e.Lost)
	case recorder.Failed:
		s.onCaptureFailed(t, e.Err)
	case recorder.Closed:
		s.settle(t)
	}
}

// onCaptureFailed ends a recording that the disk does not take. What reached
// the disk is made into a file.
func (s *session) onCaptureFailed(t *take, err error) {
	s.log.Error("recording broke off", "recording", t.rec.ID, "call", t.rec.Call, "error", err)
	t.rec.Problem = err.Error()
	if t.opened {
		s.stopTake(t, voice.EndStorageFailed)
		s.settle(t)
		return
	}
	t.stopped, t.ending = true, true
	s.clock.drop(t.limit)
	t.rec.Status, t.rec.EndCause, t.rec.EndedAt = voice.RecordingFailed, voice.EndStorageFailed, time.Now().UTC()
	for l := range t.tracks {
		s.retap(l)
	}
	s.takes = slices.DeleteFunc(s.takes, func(other *take) bool { return other == t })
	if t.spec.origin != voice.OriginCommandRecordCall {
		// Nobody waits for an answer: the row must tell.
		t.rec.UpdatedAt = time.Now().UTC()
		t.on.past = append(t.on.past, t.rec)
		rec := t.rec
		s.write(&t.row, "recording", string(rec.Status), func(tx *store.Tx) error { return tx.PutRecording(rec) }, nil)
	}
	s.show(t.on)
	if t.stopping != nil {
		t.stopping(voice.EndStorageFailed)
	}
	t.tell(noRoom(err))
}

// tell answers who waits to know whether the recording is safe.
func (t *take) tell(err error) {
	t.failure = err
	for _, f := range t.waiters {
		f(err)
	}
	t.waiters = nil
}

// settle commits the end of the capture together with the job that makes the
// file.
func (s *session) settle(t *take) {
	if t.ending {
		return
	}
	t.ending = true
	rec := t.rec
	rec.UpdatedAt = time.Now().UTC()
	s.write(&t.row, "recording", string(rec.Status), func(tx *store.Tx) error {
		if err := tx.PutRecording(rec); err != nil {
			return err
		}
		return tx.InsertJob(store.Job{ID: store.NewID(), Kind: voice.JobPublish, Ref: rec.Ref(), RunAt: rec.UpdatedAt})
	}, func() {
		s.takes = slices.DeleteFunc(s.takes, func(other *take) bool { return other == t })
		t.on.past = append(t.on.past, rec)
		if len(t.on.past) > maxPast {
			t.on.past = slices.Delete(t.on.past, 0, 1)
		}
		s.m.o.Wake(voice.JobPublish)
	})
}

// maxPast bounds the recordings of a running call that it still shows after
// their end. All of them are in the workspace's list.
const maxPast = 1000

// saveTake publishes the recording's snapshot and hands it to the store once
// its journal is on disk: there is never a row without one.
func (s *session) saveTake(t *take, then func()) {
	t.rec.UpdatedAt = time.Now().UTC()
	s.show(t.on)
	if !t.opened || t.ending {
		return
	}
	rec := t.rec
	s.write(&t.row, "recording", string(rec.Status), func(tx *store.Tx) error { return tx.PutRecording(rec) }, then)
}

// show publishes the snapshots of the leg's recordings, the oldest first.
func (s *session) show(l *leg) {
	all := slices.Clone(l.past)
	for _, t := range s.takes {
		if t.on == l {
			all = append(all, t.rec)
		}
	}
	slices.SortStableFunc(all, func(a, b voice.Recording) int { return a.CreatedAt.Compare(b.CreatedAt) })
	l.handle.recordings.Store(&all)
}

// take finds a recording on the leg.
func (s *session) take(l *leg, id voice.RecordingID) *take {
	for _, t := range s.takes {
		if t.on == l && t.rec.ID == id {
			return t
		}
	}
	return nil
}
