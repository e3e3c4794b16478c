package session

import (
	"context"
	"slices"
	"time"

	"tapedeck/internal/voice"
)

// Do runs one command on a live call, other than those that have a method of
// their own. It returns when the command was accepted, after every check that can
// be made at once; a command that makes a sound or listens waits for those before
// it. Errors are *voice.Error: not_found, call_not_active, call_not_in_state.
func (m *Manager) Do(ctx context.Context, id voice.CallID, c voice.Command) (voice.CommandResult, error) {
	return ask(ctx, m, id, func(s *session, l *leg, reply func(voice.CommandResult, error)) {
		if err := s.fits(l, c); err != nil {
			reply(voice.CommandResult{}, err)
			return
		}
		result := s.accept(l, c)
		reply(result, nil)
		if t := s.turnOf(l, result.ID, c); t != nil {
			l.queue(t)
			s.next(l)
			return
		}
		s.execute(l, result.ID, c)
	})
}

// Bridge calls a second party and connects it with the call. The second value
// is the new call.
func (m *Manager) Bridge(ctx context.Context, id voice.CallID, b *voice.Bridge) (voice.CommandResult, voice.Call, error) {
	type bridged struct {
		result voice.CommandResult
		call   voice.Call
	}
	out, err := ask(ctx, m, id, func(s *session, l *leg, reply func(bridged, error)) {
		if err := s.fits(l, b); err != nil {
			reply(bridged{}, err)
			return
		}
		if _, err := target(&s.channel, b.To); err != nil {
			reply(bridged{}, err)
			return
		}
		if b.Record {
			if err := s.room(); err != nil {
				reply(bridged{}, err)
				return
			}
		}
		result := s.accept(l, b)
		far, err := s.bridge(l, result.ID, b)
		if err != nil {
			s.command(l, result.ID, voice.CommandFailed, reasonOf(err))
			reply(bridged{}, err)
			return
		}
		reply(bridged{result, far.call}, nil)
	})
	return out.result, out.call, err
}

// ReplaceFlow puts a new call flow in the place of the running one. The command
// that runs is given up, but for a bridge, which stays.
func (m *Manager) ReplaceFlow(ctx context.Context, id voice.CallID, flow []voice.FlowCommand) (voice.Call, error) {
	return ask(ctx, m, id, func(s *session, l *leg, reply func(voice.Call, error)) {
		if l.end.decided {
			reply(voice.Call{}, errCallEnded())
			return
		}
		s.clear(l, replaced)
		s.startFlow(l, flow)
		reply(l.call, nil)
		s.next(l)
		if l.flow == nil && l.call.Direction == voice.Incoming {
			s.awaitDecision(l) // nothing may be left that decides on the call
		}
	})
}

// Record starts a recording of the call session. It returns when the journal
// and the row that stands for it are safe on disk.
func (m *Manager) Record(ctx context.Context, id voice.CallID, r *voice.RecordCall) (voice.CommandResult, voice.RecordingID, error) {
	type recorded struct {
		result voice.CommandResult
		id     voice.RecordingID
	}
	out, err := ask(ctx, m, id, func(s *session, l *leg, reply func(recorded, error)) {
		if l.end.decided {
			reply(recorded{}, errCallEnded())
			return
		}
		if err := s.room(); err != nil {
			reply(recorded{}, err)
			return
		}
		t, err := s.record(l, takeSpec{
			origin: voice.OriginCommandRecordCall, stereo: r.Stereo,
			maxLength: r.MaxLength, from: l, trigger: atAnswer,
		})
		if err != nil {
			reply(recorded{}, err)
			return
		}
		s.whenSafe(t, func(err error) {
			if err != nil {
				reply(recorded{}, err)
				return
			}
			result := s.accept(l, r)
			s.amend(l, result.ID, func(c *voice.CommandResult) { c.Recording = t.rec.ID })
			s.command(l, result.ID, voice.CommandCompleted, "")
			reply(recorded{result, t.rec.ID}, nil)
		})
	})
	return out.result, out.id, err
}

// UpdateRecording pauses, resumes or stops a recording of a live call. When it
// returns from a pause the gate is shut.
func (m *Manager) UpdateRecording(ctx context.Context, call voice.CallID, rec voice.RecordingID, to voice.RecordingStatus, b voice.PauseBehavior) (voice.Recording, error) {
	return ask(ctx, m, call, func(s *session, l *leg, reply func(voice.Recording, error)) {
		if t := s.take(l, rec); t != nil {
			err := s.steer(t, to, b)
			reply(t.rec, err)
			return
		}
		for _, r := range l.past {
			if r.ID == rec && r.Status == to {
				reply(r, nil)
				return
			}
			if r.ID == rec {
				reply(r, recordingNotActive(r.Status))
				return
			}
		}
		reply(voice.Recording{}, voice.NotFound("recording"))
	})
}

// fits reports whether the command can be given to the leg as it stands.
func (s *session) fits(l *leg, c voice.Command) error {
	incoming := l.call.Direction == voice.Incoming
	waiting := !l.answered()
	if _, again := c.(*voice.Hangup); l.end.decided && !again {
		return errCallEnded()
	}
	switch c := c.(type) {
	case *voice.Answer, *voice.Ringing:
		if !incoming || !waiting {
			return notInState("The command %s is for an incoming call that was not answered yet; this call is %s and %s", c.Kind(), l.call.Direction, l.call.Status)
		}
	case *voice.Bridge:
		if l.bridge != nil {
			return notInState("The call is bridged already")
		}
		if !incoming && waiting {
			return notInState("The call was not answered yet: it cannot be bridged")
		}
	case *voice.Pause:
		return l.queues()
	case *voice.Playback, *voice.Say, *voice.Gather, *voice.Record:
		return s.audible(l, c)
	}
	return nil
}

// audible reports why a command that makes a sound or listens cannot be given to
// the leg as it stands. It may have to wait.
func (s *session) audible(l *leg, c voice.Command) error {
	switch {
	case !l.answered():
		return notInState("The call was not answered yet: nothing can be heard")
	case l.bridged():
		return notInState("The call is bridged: its parties hear each other")
	}
	if err := s.m.able(c); err != nil {
		return err
	}
	return l.queues()
}

// accept writes a single command down as accepted.
func (s *session) accept(l *leg, c voice.Command) voice.CommandResult {
	result := s.note(l, c, "", nil)
	s.save(l)
	return result
}

// note is accept without storing it yet, also for a command of a flow.
func (s *session) note(l *leg, c voice.Command, flow voice.FlowID, conditions []voice.Condition) voice.CommandResult {
	result := voice.CommandResult{
		ID: voice.CommandID(s.newID()), Call: l.call.ID, Flow: flow,
		Status: voice.CommandAccepted, Kind: c.Kind(), Conditions: conditions,
	}
	commands := append([]voice.CommandResult{}, l.call.Commands...)
	if len(commands) >= maxCommands {
		commands = commands[1:]
	}
	l.call.Commands = append(commands, result)
	return result
}

// maxCommands is how many commands of a call are kept: enough for its flow and
// for what the API asked beside it. An older one makes place.
const maxCommands = 200

// Why a command did not come to its end, as it tells it.
const (
	ended    = "the call ended"
	replaced = "another call flow took its place"
)

// command moves a command of the leg to a status, for a reason or none. One that
// has come to its end stays there.
func (s *session) command(l *leg, id voice.CommandID, status voice.CommandStatus, reason string) {
	s.amend(l, id, func(c *voice.CommandResult) {
		if c.Status.Terminal() {
			return
		}
		now := time.Now().UTC()
		c.Status, c.Reason = status, reason
		if c.StartedAt.IsZero() && status != voice.CommandSkipped {
			c.StartedAt = now
		}
		if status.Terminal() {
			c.EndedAt = now
		}
	})
}

// amend changes what is known of a command of the leg.
func (s *session) amend(l *leg, id voice.CommandID, change func(*voice.CommandResult)) {
	at := slices.IndexFunc(l.call.Commands, func(c voice.CommandResult) bool { return c.ID == id })
	if at < 0 {
		return // nobody asked for it by a command, or it made place for newer ones
	}
	commands := slices.Clone(l.call.Commands) // the snapshots have the others
	change(&commands[at])
	l.call.Commands = commands
	s.save(l)
}

// execute runs a command that was found to fit and does not take the slot. What
// it answers comes later, as an event.
func (s *session) execute(l *leg, id voice.CommandID, c voice.Command) {
	var err error
	switch c := c.(type) {
	case *voice.Answer:
		err = s.answer(l)
	case *voice.Ringing:
		err = s.ringing(l)
	case *voice.Hangup:
		s.hangup(l, ending{source: voice.HangupByAPI, code: refusal(c.Cause)})
	default:
		err = notInState("The command %s cannot be given to a call here", c.Kind())
	}
	if err != nil {
		s.failed(l, id, c, err)
		return
	}
	s.command(l, id, voice.CommandCompleted, "")
}

// failed is the end of a command that could not be carried out.
func (s *session) failed(l *leg, id voice.CommandID, c voice.Command, err error) {
	s.log.Warn("command failed", "call", l.call.ID, "command", c.Kind(), "error", err)
	s.command(l, id, voice.CommandFailed, reasonOf(err))
}

// refusal is the SIP status that turns away a call which was not answered.
func refusal(cause voice.HangupCause) int {
	if cause == voice.CauseBusy {
		return 486
	}
	return 603
}
