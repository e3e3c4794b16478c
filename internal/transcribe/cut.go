package transcribe

import (
	"math"
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/vad"
)

const (
	frame   = vad.Rate / 50                                  // 20 ms
	before  = 15                                             // frames that are kept before speech: its first sound is faint
	pause   = 700 * time.Millisecond                         // ends a piece
	longest = 30 * time.Second                               // a piece is; then it is cut where it is quietest
	latest  = int(5 * time.Second / (20 * time.Millisecond)) // frames at its end where that may be
)

// piece is a stretch with speech in it.
type piece struct {
	start time.Duration // in the file
	clip  *audio.Clip
}

// cutter cuts one channel into pieces at its pauses. What has no speech in it is
// left out.
type cutter struct {
	listen  vad.Detector
	rest    []int16 // less than a frame
	held    []int16 // whole frames, from start on
	start   int64   // in samples
	speaks  bool    // there is speech in held
	emit    func(piece) error
	samples int64 // fed so far, in whole frames
}

// feed takes samples at vad.Rate.
func (c *cutter) feed(pcm []int16) error {
	c.rest = append(c.rest, pcm...)
	for len(c.rest) >= frame {
		err := c.frame(c.rest[:frame])
		c.rest = c.rest[:copy(c.rest, c.rest[frame:])]
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cutter) frame(pcm []int16) error {
	state := c.listen.Feed(pcm)
	c.held = append(c.held, pcm...)
	c.samples += frame
	switch {
	case state == vad.Speech:
		c.speaks = true
	case !c.speaks:
		c.forget(len(c.held) - before*frame)
	case c.listen.Silent() >= pause:
		return c.give(len(c.held))
	}
	if len(c.held) >= int(longest.Seconds()*vad.Rate) {
		return c.give(c.quietest())
	}
	return nil
}

// forget lets go of the first n samples held.
func (c *cutter) forget(n int) {
	if n > 0 {
		c.held = c.held[:copy(c.held, c.held[n:])]
		c.start += int64(n)
	}
}

// give hands on the first n samples held.
func (c *cutter) give(n int) error {
	p := piece{
		start: time.Duration(c.start) * time.Second / vad.Rate,
		clip:  &audio.Clip{Rate: vad.Rate, Samples: slices.Clone(c.held[:n])},
	}
	c.forget(n)
	c.speaks = len(c.held) > 0 && c.listen.Silent() < pause
	return c.emit(p)
}

// quietest is a place to cut what is held: in the middle of its quietest frame of
// late.
func (c *cutter) quietest() int {
	least, at := math.Inf(1), len(c.held)
	for i := len(c.held)/frame - latest; i < len(c.held)/frame; i++ {
		if level := audio.Measure(c.held[i*frame : (i+1)*frame]).RMS; level < least {
			least, at = level, i*frame+frame/2
		}
	}
	return at
}

// end hands on what is left.
func (c *cutter) end() error {
	c.held = append(c.held, c.rest...)
	c.rest = nil
	if !c.speaks {
		return nil
	}
	return c.give(len(c.held))
}
