package session

import (
	"context"
	"errors"
	"slices"
	"strings"

	"tapedeck/internal/voice"
)

// maxWaiting is how many commands may wait for a leg's slot, beside its flow.
const maxWaiting = 20

// act is a command at work in the slot of a leg: it makes a sound, listens, or
// waits. It ends by turn.end, from any of its methods or from a message. All of
// it runs in the session's goroutine.
type act interface {
	// begin starts it. The context ends when its turn does.
	begin(ctx context.Context)
	// key takes a key that the party pressed.
	key(k voice.Key)
	// played says that a sound of the leg has ended, cut if before its time.
	played(id uint64, cut bool)
	// drop lets go of what it holds. It is called once, whatever ended it.
	drop()
}

// turn is a command in the slot of its leg, or in the line before it. A leg has
// one slot, so that no two commands make a sound or listen at the same time.
type turn struct {
	s      *session
	l      *leg
	id     voice.CommandID // empty = nobody asked for it by a command
	act    act
	silent bool   // needs no audio of the leg
	free   func() // ends the context; nil until it begins
}

// turnOf makes the turn of a command that takes the slot; nil for one that does
// not.
func (s *session) turnOf(l *leg, id voice.CommandID, c voice.Command) *turn {
	t := &turn{s: s, l: l, id: id}
	switch c := c.(type) {
	case *voice.Pause:
		t.act, t.silent = &pause{turn: t, length: seconds(c.Length)}, true
	case *voice.Playback:
		t.act = speakOf(t, c, promptOf(t, c, nil))
	case *voice.Say:
		t.act = speakOf(t, c, promptOf(t, nil, c))
	case *voice.Gather:
		t.act = gatherOf(t, c)
	case *voice.Record:
		t.act = &message{turn: t, spec: c}
	default:
		return nil
	}
	return t
}

// queues reports why no further command can wait for the leg's slot.
func (l *leg) queues() error {
	if len(l.line) >= maxWaiting {
		return notInState("%d commands wait on the call: it takes no more until one of them has ended", maxWaiting)
	}
	return nil
}

// queue puts a turn at the end of the leg's line. next lets it in.
func (l *leg) queue(t *turn) { l.line = append(l.line, t) }

// next lets the leg go on: first the commands that wait for the slot, then the
// flow, until one of them must be waited for.
func (s *session) next(l *leg) {
	for l.slot == nil && !l.ended && !l.end.decided {
		if len(l.line) > 0 {
			t := l.line[0]
			if !s.ready(l, t) {
				return
			}
			l.line = l.line[1:]
			s.enter(l, t)
			continue
		}
		if !s.advance(l) {
			return
		}
	}
}

// ready reports whether a turn may begin: what is heard or said needs audio.
func (s *session) ready(l *leg, t *turn) bool {
	return t.silent || l.answered() && l.open
}

func (s *session) enter(l *leg, t *turn) {
	if !t.silent && l.bridged() {
		s.command(l, t.id, voice.CommandFailed, "the call is bridged")
		t.forgo()
		s.passed(l, t)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.slot, t.free = t, cancel
	s.command(l, t.id, voice.CommandOngoing, "")
	t.act.begin(ctx)
}

// end ends the turn: its command comes to this status, and the leg goes on. A
// turn that has ended already stays as it is.
func (t *turn) end(status voice.CommandStatus, reason string) {
	s, l := t.s, t.l
	if l.slot != t {
		return
	}
	s.leave(l)
	s.command(l, t.id, status, reason)
	s.passed(l, t)
	s.next(l)
	s.ringTone(l)
}

// fail ends the turn because of an error.
func (t *turn) fail(err error) {
	t.s.log.Warn("command failed", "call", t.l.call.ID, "command", t.id, "error", err)
	t.end(voice.CommandFailed, reasonOf(err))
}

// forgo tells an act that it will not begin, if it holds something already.
func (t *turn) forgo() {
	if a, holds := t.act.(interface{ forgo() }); holds {
		a.forgo()
	}
}

// leave empties the slot.
func (s *session) leave(l *leg) {
	t := l.slot
	l.slot = nil
	t.free()
	t.act.drop()
}

// passed tells the flow, if it waited for the turn.
func (s *session) passed(l *leg, t *turn) {
	if f := l.flow; f != nil && t.id != "" && f.waiting == t.id {
		f.waiting = ""
	}
}

// clear empties the slot and the line: the running command fails for this
// reason, those that wait are skipped.
func (s *session) clear(l *leg, reason string) {
	if t := l.slot; t != nil {
		s.leave(l)
		s.command(l, t.id, voice.CommandFailed, reason)
	}
	for _, t := range l.line {
		s.command(l, t.id, voice.CommandSkipped, reason)
		t.forgo()
	}
	l.line = nil
}

// quiet makes the leg fit to be connected with another one: a command that makes
// a sound or listens cannot go on. The flow goes on when they are connected.
func (s *session) quiet(l *leg) {
	t := l.slot
	if t == nil || t.silent {
		return
	}
	s.leave(l)
	s.command(l, t.id, voice.CommandFailed, "the call was bridged")
	s.passed(l, t)
}

// bridged reports whether the leg is connected with another one.
func (l *leg) bridged() bool { return l.bridge != nil && l.bridge.audio != nil }

// onKey takes a key that the party pressed, however it was told of: by RFC 4733,
// by SIP INFO or by its tones. A key that no command waits for is nobody's.
func (s *session) onKey(l *leg, digit byte) {
	if l.ended || l.slot == nil {
		return
	}
	switch {
	case digit >= '0' && digit <= '9', digit == '*', digit == '#':
		l.slot.act.key(voice.Key(digit))
	}
}

// reasonOf is an error in the words that a command fails with.
func reasonOf(err error) string {
	var e *voice.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	members := make([]string, 0, len(e.Details))
	for member, faults := range e.Details {
		members = append(members, member+" "+strings.Join(faults, ", "))
	}
	if len(members) == 0 {
		return e.Message
	}
	slices.Sort(members)
	return strings.Join(members, "; ")
}
