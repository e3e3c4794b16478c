package session

import (
	"context"

	"tapedeck/internal/voice"
)

// Do runs one command on a live call: Answer, Ringing, Hangup or Pause. It
// returns when the command was accepted, after every check that can be made at
// once. Errors are *voice.Error: not_found, call_not_active, call_not_in_state.
func (m *Manager) Do(ctx context.Context, id voice.CallID, c voice.Command) (voice.CommandResult, error) {
	return ask(ctx, m, id, func(s *session, l *leg, reply func(voice.CommandResult, error)) {
		if err := s.fits(l, c); err != nil {
			reply(voice.CommandResult{}, err)
			return
		}
		result := s.accept(l, c, "", nil)
		reply(result, nil)
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
		result := s.accept(l, b, "", nil)
		far, err := s.bridge(l, result.ID, b)
		if err != nil {
			s.command(l, result.ID, voice.CommandFailed)
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
		s.startFlow(l, flow)
		reply(l.call, nil)
		s.advance(l)
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
		t.whenSafe(func(err error) {
			if err != nil {
				reply(recorded{}, err)
				return
			}
			result := s.accept(l, r, "", nil)
			s.command(l, result.ID, voice.CommandCompleted)
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
	}
	return nil
}

// accept writes the command down as accepted.
func (s *session) accept(l *leg, c voice.Command, flow voice.FlowID, conditions []voice.Condition) voice.CommandResult {
	result := voice.CommandResult{
		ID: voice.CommandID(s.newID()), Call: l.call.ID, Flow: flow,
		Status: voice.CommandAccepted, Kind: c.Kind(), Conditions: conditions,
	}
	commands := append([]voice.CommandResult{}, l.call.Commands...)
	if len(commands) >= maxCommands {
		commands = commands[1:]
	}
	l.call.Commands = append(commands, result)
	s.save(l)
	return result
}

// maxCommands is how many commands of a call are kept: enough for its flow and
// for what the API asked beside it. An older one makes place.
const maxCommands = 200

// command moves a command of the leg to a status.
func (s *session) command(l *leg, id voice.CommandID, status voice.CommandStatus) {
	commands := append([]voice.CommandResult{}, l.call.Commands...)
	for i := range commands {
		if commands[i].ID == id && commands[i].Status != status {
			commands[i].Status = status
			l.call.Commands = commands
			s.save(l)
			return
		}
	}
}

// execute runs a command that was found to fit. What it answers comes later,
// as an event.
func (s *session) execute(l *leg, id voice.CommandID, c voice.Command) {
	var err error
	switch c := c.(type) {
	case *voice.Answer:
		err = s.answer(l)
	case *voice.Ringing:
		err = s.ringing(l)
	case *voice.Hangup:
		s.hangup(l, ending{source: voice.HangupByAPI, code: refusal(c.Cause)})
	case *voice.Pause:
		s.clock.after(seconds(c.Length), func() { s.command(l, id, voice.CommandCompleted) })
		s.command(l, id, voice.CommandOngoing)
		return
	case *voice.Bridge:
		if _, err = s.bridge(l, id, c); err == nil {
			return
		}
	default:
		err = notInState("The command %s cannot be given to a call here", c.Kind())
	}
	if err != nil {
		s.log.Warn("command failed", "call", l.call.ID, "command", c.Kind(), "error", err)
		s.command(l, id, voice.CommandFailed)
		return
	}
	s.command(l, id, voice.CommandCompleted)
}

// refusal is the SIP status that turns away a call which was not answered.
func refusal(cause voice.HangupCause) int {
	if cause == voice.CauseBusy {
		return 486
	}
	return 603
}
