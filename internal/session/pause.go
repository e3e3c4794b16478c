package session

import (
	"context"
	"time"

	"tapedeck/internal/voice"
)

// pause waits in the slot.
type pause struct {
	turn   *turn
	length time.Duration
	over   *alarm
}

func (p *pause) begin(context.Context) {
	p.over = p.turn.s.clock.after(p.length, func() { p.turn.end(voice.CommandCompleted, "") })
}

func (*pause) key(voice.Key)       {}
func (*pause) played(uint64, bool) {}
func (p *pause) drop()             { p.turn.s.clock.drop(p.over) }
