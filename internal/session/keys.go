package session

import (
	"context"
	"slices"

	"tapedeck/internal/voice"
)

// keys presses keys on a leg. No command asks for it: it is an option of the call.
type keys struct {
	turn *turn
	keys string
	id   uint64 // of what is sent; 0 = nothing
}

// sendKeys lets a call that was answered send its keys, before anything else is
// heard.
func (s *session) sendKeys(l *leg) {
	if l.order.SendKeys == "" || l.bridged() {
		return
	}
	t := &turn{s: s, l: l}
	t.act = &keys{turn: t, keys: l.order.SendKeys}
	l.line = slices.Insert(l.line, 0, t)
}

func (k *keys) begin(context.Context) {
	l := k.turn.l
	l.plays++
	k.id = l.plays
	if err := k.turn.s.press(l, k.id, k.keys); err != nil {
		k.id = 0
		k.turn.fail(err)
	}
}

func (k *keys) key(voice.Key) {}

func (k *keys) played(id uint64, cut bool) {
	if id != k.id {
		return
	}
	k.id = 0
	if cut {
		k.turn.s.log.Warn("keys were not sent to their end", "call", k.turn.l.call.ID)
	}
	k.turn.end(voice.CommandCompleted, "")
}

func (k *keys) drop() {
	if k.id != 0 {
		k.turn.s.quietly("stop sending keys", k.turn.l, k.turn.l.media.StopPlaying())
	}
}
