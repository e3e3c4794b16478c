package session

import (
	"context"
	"errors"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/voice"
)

// understanding is how long an engine may take to understand an utterance.
const understanding = time.Minute

// gather takes the keys that the party presses, or what it says: whichever comes
// first. Each round is the prompt and a wait after it; the first key or word ends
// the prompt. A round in which nothing came is repeated as often as the command
// says.
type gather struct {
	turn   *turn
	spec   *voice.Gather
	prompt *prompt // nil = none
	again  func()  // begins a round
	rounds int
	keys   []byte
	ear    *ear   // of this round; nil = keys only, or a key came before any word
	limit  *alarm // of the wait; nil while the prompt plays or the party speaks
}

func gatherOf(t *turn, spec *voice.Gather) *gather {
	g := &gather{turn: t, spec: spec, prompt: promptOf(t, spec.Playback, spec.Say)}
	if g.prompt != nil {
		g.prompt.done = func(_ string, err error) {
			if err != nil {
				t.fail(err)
				return
			}
			g.wait()
		}
	}
	return g
}

func (g *gather) begin(ctx context.Context) {
	if err := g.turn.s.m.able(g.spec); err != nil {
		g.turn.fail(err)
		return
	}
	g.again = func() { g.round(ctx) }
	g.again()
}

func (g *gather) round(ctx context.Context) {
	g.rounds++
	if g.spec.Input.Speech() {
		if err := g.listen(ctx); err != nil {
			g.turn.fail(err)
			return
		}
	}
	if g.prompt != nil {
		g.prompt.begin(ctx)
		return
	}
	g.wait()
}

// wait begins the time in which a key or a word must come.
func (g *gather) wait() {
	timeout := g.spec.Timeout
	if timeout == 0 {
		timeout = voice.DefaultGatherTimeout
	}
	g.within(seconds(timeout), g.nothing)
}

// within puts a limit in the place of the one before.
func (g *gather) within(d time.Duration, otherwise func()) {
	g.turn.s.clock.drop(g.limit)
	g.limit = g.turn.s.clock.after(d, func() {
		g.limit = nil
		otherwise()
	})
}

// nothing more came.
func (g *gather) nothing() {
	if len(g.keys) == 0 && g.rounds <= g.spec.Retries {
		g.deafen()
		g.again()
		return
	}
	g.finish("")
}

func (g *gather) key(k voice.Key) {
	if !g.spec.Input.Keys() {
		return
	}
	g.deafen() // who presses keys is not asked to speak any more
	if g.prompt != nil {
		g.prompt.stop()
	}
	if k == g.spec.EndKey {
		g.finish("")
		return
	}
	g.keys = append(g.keys, k...)
	most := g.spec.MaxNumKeys
	if most == 0 {
		most = voice.MaxGatherKeys
	}
	if len(g.keys) >= most {
		g.finish("")
		return
	}
	g.wait()
}

// listen waits for the party to speak.
func (g *gather) listen(ctx context.Context) error {
	s := g.turn.s
	var e *ear
	e = newEar(func(said *audio.Clip) {
		s.inbox.put(func() {
			if g.ear == e {
				g.heard(ctx, said)
			}
		})
	})
	if err := s.listen(g.turn.l, e); err != nil {
		return err
	}
	g.ear = e
	return nil
}

// deafen stops listening for speech, and makes all that was said count for
// nothing.
func (g *gather) deafen() {
	if g.ear != nil {
		g.turn.s.unlisten(g.turn.l, g.ear)
		g.ear = nil
	}
}

// heard takes what the party said; nil when it has only begun to speak.
func (g *gather) heard(ctx context.Context, said *audio.Clip) {
	s, e := g.turn.s, g.ear
	if said == nil {
		if g.prompt != nil {
			g.prompt.stop()
		}
		s.clock.drop(g.limit)
		g.limit = nil
		return
	}
	s.unlisten(g.turn.l, e)
	g.within(understanding, func() {
		g.turn.fail(errors.New("the engine that understands speech took too long"))
	})
	s.m.o.Ears.Understand(ctx, said, localeOr(g.spec.SpeechLocale), func(words string, err error) {
		s.inbox.put(func() {
			if g.ear != e {
				return // a key was pressed since, or the command has ended
			}
			s.clock.drop(g.limit)
			g.limit = nil
			switch {
			case err != nil:
				g.turn.fail(err)
			case words == "":
				g.nothing()
			default:
				g.finish(words)
			}
		})
	})
}

func (g *gather) finish(words string) {
	t := g.turn
	var keys, speech *string
	if g.spec.Input.Keys() {
		pressed := string(g.keys)
		keys = &pressed
	}
	if g.spec.Input.Speech() {
		speech = &words
	}
	t.l.heard.Take(keys, speech)
	t.s.amend(t.l, t.id, func(c *voice.CommandResult) { c.Keys, c.Speech = keys, speech })
	t.end(voice.CommandCompleted, "")
}

func (g *gather) played(id uint64, cut bool) {
	if g.prompt != nil {
		g.prompt.played(id, cut)
	}
}

func (g *gather) drop() {
	g.turn.s.clock.drop(g.limit)
	g.deafen()
	if g.prompt != nil {
		g.prompt.drop()
	}
}
