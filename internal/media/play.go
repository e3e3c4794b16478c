package media

import (
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// Sound is a piece of what is played: a clip, or silence of a length.
type Sound struct {
	Clip    *audio.Clip // nil = silence
	Silence time.Duration
}

// Play is what a leg's party is to hear.
type Play struct {
	ID     uint64 // comes back with Played
	Sounds []Sound
	Times  int // how often all of it; 0 = once, below zero = until it is stopped
}

// errNotConfigured: nothing is agreed on that could be sent.
var errNotConfigured = errors.New("media: the leg is not configured yet")

// part is a sound at the rate that is sent.
type part struct {
	samples []int16 // nil = silence
	length  int     // samples
}

// rendition is a play at a rate.
type rendition struct {
	rate  int
	parts []part
}

// render brings a play to a rate. It may take long, and is not done by a worker.
func (p *Play) render(rate int) rendition {
	r := rendition{rate: rate, parts: make([]part, 0, len(p.Sounds))}
	for _, s := range p.Sounds {
		piece := part{length: int(rtp.Units(max(s.Silence, 0), rate))}
		if s.Clip != nil {
			piece.samples = s.Clip.At(rate).Samples
			piece.length = len(piece.samples)
		}
		if piece.length > 0 {
			r.parts = append(r.parts, piece)
		}
	}
	return r
}

// player sends one Play, or the keys of one SendKeys.
type player struct {
	id    uint64
	play  Play
	keys  []byte // left to be pressed, as events; nil = sounds are played
	press time.Duration
	rendition
	part, at int // place of the next sample
	left     int // times; below zero = no end
	begun    bool
	frame    [48 * 60]int16 // the longest packet at the highest rate
	packet   [rtp.HeaderSize + mostPayload]byte
}

func newPlayer(p Play) *player {
	left := p.Times
	if left == 0 {
		left = 1
	}
	return &player{id: p.ID, play: p, left: left}
}

// retune goes on with another rendition of the same play.
func (p *player) retune(r rendition) {
	if p.rate != 0 && p.part < len(p.parts) {
		p.at = int(int64(p.at) * int64(r.rate) / int64(p.rate))
	}
	p.rendition = r
}

// fill takes the next samples. The last frame is filled up with silence; false:
// there was nothing left.
func (p *player) fill(frame []int16) bool {
	n := 0
	for n < len(frame) {
		if p.part == len(p.parts) {
			if len(p.parts) == 0 || p.left == 1 {
				break
			}
			if p.left > 1 {
				p.left--
			}
			p.part, p.at = 0, 0
		}
		piece := &p.parts[p.part]
		take := max(min(piece.length-p.at, len(frame)-n), 0)
		if piece.samples == nil {
			clear(frame[n : n+take])
		} else {
			copy(frame[n:], piece.samples[p.at:p.at+take])
		}
		n, p.at = n+take, p.at+take
		if p.at >= piece.length {
			p.part, p.at = p.part+1, 0
		}
	}
	clear(frame[n:])
	return n > 0
}

// Play lets the party hear something in place of comfort silence, and in place of
// what was played before. Played follows in any case, with Cut when it did not come
// to its end: it was stopped or replaced, or the leg was bridged or closed. While
// the leg is on hold, time passes and nothing is sent. The error is ErrBridged
// while the leg is joined, and ErrClosed after its end.
func (l *Leg) Play(p Play) error {
	if err := l.begin(newPlayer(p)); err != nil {
		return fmt.Errorf("play on leg %s: %w", l.name, err)
	}
	return nil
}

// begin starts a player, whose sounds are brought to the rate that is sent first.
func (l *Leg) begin(p *player) error {
	for {
		var rate int
		var started bool // from then on the player is the worker's
		err := l.do(func(w *worker) error {
			if err := l.mayPlay(); err != nil {
				return err
			}
			if rate = l.agreed.Send.SampleRate; p.rate == rate || p.keys != nil {
				started = true
				l.start(p, w.now())
			}
			return nil
		})
		if err != nil || started {
			return err
		}
		p.retune(p.play.render(rate))
	}
}

func (l *Leg) mayPlay() error {
	switch {
	case l.over:
		return ErrClosed
	case l.peer != nil:
		return ErrBridged
	case !l.configured:
		return errNotConfigured
	case l.voice() == nil:
		return fmt.Errorf("send %s: %w", l.agreed.Send.Name, codec.ErrUnsupported)
	}
	return nil
}

func (l *Leg) start(p *player, at time.Duration) {
	l.cutPlay(at)
	l.player = p
	l.arrangeComfort(at)
}

// StopPlaying ends what is played, if anything is.
func (l *Leg) StopPlaying() error {
	err := l.do(func(w *worker) error {
		l.cutPlay(w.now())
		l.arrangeComfort(w.now())
		return nil
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		return fmt.Errorf("stop playing on leg %s: %w", l.name, err)
	}
	return nil
}

// cutPlay ends what is played before its end.
func (l *Leg) cutPlay(at time.Duration) { l.endPlay(at, true) }

func (l *Leg) endPlay(at time.Duration, cut bool) {
	if p := l.player; p != nil {
		l.player = nil
		l.out.Pass(0, at) // what follows is another talk spurt
		l.tell(Event{Kind: Played, Play: p.id, Cut: cut, At: at})
	}
}

// SetPlayTaps replaces the taps of what the leg's party hears of us: prompts and
// tones, but not comfort silence, as packets of a stream of their own in the format
// that is sent. When it returns, no former tap is called any more.
func (l *Leg) SetPlayTaps(taps ...Tap) {
	own := append([]Tap(nil), taps...)
	// An ended leg calls no taps, so there is nothing to do for it.
	_ = l.do(func(*worker) error {
		if !l.over {
			l.monitor.taps = own
		}
		return nil
	})
}

// voice is the encoder of what we say ourselves; nil where there is none.
func (l *Leg) voice() codec.Encoder {
	if l.hush == nil {
		c := l.agreed.Send
		if !codec.Encodable(c.Info) {
			return nil
		}
		encoder, err := codec.NewEncoderFor(mono(c.Info), c.Fmtp)
		if err != nil {
			return nil
		}
		l.hush = encoder
	}
	return l.hush
}

// perform sends the frame of what is played that is due. It reports false when
// there was nothing left of it.
func (l *Leg) perform(at time.Duration) bool {
	p, c := l.player, &l.agreed.Send
	units := int(rtp.Units(l.ptime, c.ClockRate))
	if p.keys != nil {
		return l.pressKeys(p, units, at)
	}
	frame := p.frame[:rtp.Units(l.ptime, c.SampleRate)]
	if !p.fill(frame) {
		l.endPlay(at, false)
		return false
	}
	if !p.begun {
		p.begun = true
		l.out.Pass(0, at) // RFC 3551 §4.1: a talk spurt begins
	}
	target, encoder := l.in.Target(), l.voice()
	if !l.sends || !target.IsValid() || encoder == nil {
		l.out.Pass(units, at)
		return true
	}
	size, err := encoder.Encode(p.packet[rtp.HeaderSize:], frame)
	if err != nil || size == 0 { // an encoder may find that there is nothing to say
		l.out.Pass(units, at)
		return true
	}
	packet := p.packet[:rtp.HeaderSize+size]
	l.monitor.take(packet[rtp.HeaderSize:], c, l.silenceAt, l.ptime)
	l.w.poller.send(l.media.socket, target, l.out.Own(packet, c.PT, units, at))
	l.w.flush() // the next frame uses the same bytes
	return true
}

// monitor shows taps what we send of our own, as a stream of its own: that of the
// leg goes on with comfort silence and with what the bridge relays.
type monitor struct {
	taps   []Tap
	rate   int           // of the clock; 0 = nothing was shown yet
	from   time.Duration // when its time was origin
	origin uint64
	end    time.Duration // of what was shown last
	packet rtp.Received
}

// take shows a packet that is heard from a time on, for so long.
func (m *monitor) take(payload []byte, c *sdp.Codec, at, long time.Duration) {
	if len(m.taps) == 0 {
		return
	}
	k := &m.packet
	k.Marker = m.rate == 0 || at != m.end
	if m.rate != c.ClockRate { // RFC 7160 §4.1: another clock rate is another stream
		ssrc, seq, start := randomStart()
		m.rate, m.from, m.origin = c.ClockRate, at, 1<<32+uint64(start)
		k.SSRC, k.Seq, k.Marker = ssrc, 1<<16+uint64(seq), true
	}
	m.end = at + long
	k.Seq++
	k.Time = m.origin + uint64(rtp.Units(at-m.from, m.rate))
	k.Arrival, k.PT, k.Verdict, k.Payload = at, c.PT, rtp.Audio, payload
	for _, t := range m.taps {
		t.Take(k)
	}
	k.Payload = nil
}
