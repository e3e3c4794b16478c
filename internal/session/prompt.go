package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/media"
	"tapedeck/internal/voice"
)

const (
	// loadsAtOnce is how many files of a prompt are fetched at the same time.
	loadsAtOnce = 4
	// longestPrompt bounds the files of one prompt together, and so what a call holds
	// in memory.
	longestPrompt = 2 * time.Hour
)

// prompt is what a command plays: files one after the other, or a spoken text. It
// is loaded once, all of it before anything is heard, and may be played again.
type prompt struct {
	turn     *turn
	playback *voice.Playback // one of both
	say      *voice.Say
	// done is told how a round ended: reason says that it was cut off, err that it
	// failed. Told once a round.
	done func(reason string, err error)

	clips   []*audio.Clip // nil = not there yet
	asked   int           // how many were asked for, from the first on
	missing int
	length  time.Duration // of those that are there
	id      uint64        // of what plays; 0 = nothing
	limit   *alarm
	wanted  bool // a round is on its way
	gone    bool
}

// promptOf is the prompt of a command; nil when there is neither.
func promptOf(t *turn, playback *voice.Playback, say *voice.Say) *prompt {
	p := &prompt{turn: t, playback: playback, say: say}
	switch {
	case playback != nil:
		p.missing = len(playback.Media)
	case say != nil:
		p.missing = 1
	default:
		return nil
	}
	p.clips = make([]*audio.Clip, p.missing)
	return p
}

// begin plays a round, after loading what is not there yet.
func (p *prompt) begin(ctx context.Context) {
	p.wanted = true
	if p.missing == 0 {
		p.play()
		return
	}
	p.load(ctx)
}

func (p *prompt) load(ctx context.Context) {
	sounds := p.turn.s.m.o.Sounds
	for p.asked < len(p.clips) && p.asked-(len(p.clips)-p.missing) < loadsAtOnce {
		i := p.asked
		p.asked++
		rate := p.turn.l.stream.Send.SampleRate
		done := func(clip *audio.Clip, err error) {
			if err == nil {
				clip.At(rate) // here, where nobody waits for it; the clip keeps it
			}
			p.turn.s.inbox.put(func() { p.loaded(ctx, i, clip, err) })
		}
		if p.say != nil {
			sounds.Say(ctx, *p.say, done)
			continue
		}
		sounds.Media(ctx, p.turn.l.call.Workspace, p.playback.Media[i], done)
	}
}

func (p *prompt) loaded(ctx context.Context, i int, clip *audio.Clip, err error) {
	switch {
	case p.gone:
		return
	case err != nil: // it names the file, without what may be secret in its address
		p.finish("", err)
		return
	}
	p.clips[i] = clip
	p.missing--
	if p.length += clip.Duration(); p.length > longestPrompt {
		p.finish("", fmt.Errorf("the files last more than %d hours together", int(longestPrompt.Hours())))
		return
	}
	switch {
	case p.missing > 0:
		p.load(ctx)
	case p.wanted:
		p.play()
	}
}

func (p *prompt) play() {
	l := p.turn.l
	l.plays++
	p.id = l.plays
	if err := p.turn.s.play(l, p.sounds()); err != nil {
		p.finish("", err)
		return
	}
	if limit := p.timeout(); limit > 0 {
		p.limit = p.turn.s.clock.after(seconds(limit), func() {
			p.limit = nil
			p.stop()
			p.finish(fmt.Sprintf("cut off after %d s", limit), nil)
		})
	}
}

func (p *prompt) timeout() int {
	if p.say != nil {
		return p.say.Timeout
	}
	return p.playback.Timeout
}

// sounds is a round of the prompt. A gap lies between any two files that follow
// each other, also between the last one and the first of the next time.
func (p *prompt) sounds() media.Play {
	play := media.Play{ID: p.id, Times: 1}
	gap, times := time.Duration(0), 1
	if p.say != nil {
		play.Times = voice.Times(p.say.Loop)
	} else {
		gap = time.Duration(p.playback.Gap) * time.Millisecond
		times = voice.Times(p.playback.Loop)
	}
	if gap == 0 && times > 1 {
		play.Times, times = times, 1
	}
	for range times {
		for _, clip := range p.clips {
			if gap > 0 && len(play.Sounds) > 0 {
				play.Sounds = append(play.Sounds, media.Sound{Silence: gap})
			}
			play.Sounds = append(play.Sounds, media.Sound{Clip: clip})
		}
	}
	return play
}

// played takes the end of a sound. One that we stopped ourselves is not ours any
// more.
func (p *prompt) played(id uint64, cut bool) {
	switch {
	case p.gone || p.id == 0 || id != p.id:
	case cut:
		p.finish("", errors.New("the sound was cut off"))
	default:
		p.finish("", nil)
	}
}

func (p *prompt) finish(reason string, err error) {
	p.turn.s.clock.drop(p.limit)
	p.limit, p.id, p.wanted = nil, 0, false
	p.done(reason, err)
}

// stop ends the round at once, if one is on its way, and tells nobody.
func (p *prompt) stop() {
	p.turn.s.clock.drop(p.limit)
	p.limit, p.wanted = nil, false
	if p.id != 0 {
		p.id = 0
		p.turn.s.quietly("stop playing", p.turn.l, p.turn.l.media.StopPlaying())
	}
}

// drop lets go of it for good, also of what is still being loaded.
func (p *prompt) drop() {
	p.gone = true
	p.stop()
}

// speak is a playback or a say: a prompt and nothing else.
type speak struct {
	turn    *turn
	command voice.Command
	prompt  *prompt
}

func speakOf(t *turn, command voice.Command, p *prompt) *speak {
	c := &speak{turn: t, command: command, prompt: p}
	c.prompt.done = func(reason string, err error) {
		if err != nil {
			t.fail(err)
			return
		}
		t.end(voice.CommandCompleted, reason)
	}
	return c
}

func (c *speak) begin(ctx context.Context) {
	if err := c.turn.s.m.able(c.command); err != nil {
		c.turn.fail(err)
		return
	}
	c.prompt.begin(ctx)
}

func (*speak) key(voice.Key)                {}
func (c *speak) played(id uint64, cut bool) { c.prompt.played(id, cut) }
func (c *speak) drop()                      { c.prompt.drop() }
