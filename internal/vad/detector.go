package vad

import (
	"math"
	"time"
)

// Rate is the sample rate of the frames, in Hz.
const Rate = 16000

// State is what a party does.
type State uint8

// The states of a party.
const (
	Silence State = iota
	Speech
)

// String names the state for logs.
func (s State) String() string {
	if s == Speech {
		return "speech"
	}
	return "silence"
}

// Levels are in dB of full scale. Speech is what stands out of the noise floor,
// and the floor is the quietest that was heard of late: speech has gaps, a fan has
// none.
const (
	quietest   = -62.0 // below it nothing is told apart
	loudest    = -28.0 // a louder floor is none
	earlyFloor = -42.0 // the highest floor that is believed in the first second
	above      = 10.0  // what stands out so far begins speech
	stillAbove = 6.0   // and so far goes on with it
)

const (
	begins    = 60 * time.Millisecond  // so long it must stand out to be speech, and no click
	lingers   = 240 * time.Millisecond // so long a gap within speech may be
	block     = 400 * time.Millisecond // the floor is the least of as many blocks as blocks counts
	blocks    = 8
	believing = time.Second
)

// Detector follows one party. The zero value is ready.
type Detector struct {
	heard  time.Duration // fed so far
	loud   time.Duration // stood out, without a break
	silent time.Duration // since something stood out
	spoke  bool
	state  State

	least   [blocks]float64 // of the blocks before, in turn
	count   int             // of those
	current float64         // the least of this block
	fed     time.Duration   // of this block
}

// Feed takes the next frame and returns what the party does. Frames are of 10 to
// 60 ms; an empty one changes nothing.
func (d *Detector) Feed(frame []int16) State {
	if len(frame) == 0 {
		return d.state
	}
	return d.feed(level(frame), time.Duration(len(frame))*time.Second/Rate)
}

// feed is Feed of a frame of this loudness and length.
func (d *Detector) feed(loudness float64, length time.Duration) State {
	level := max(loudness, quietest)
	floor := d.floor(level, length)
	d.heard += length
	margin := above
	if d.state == Speech {
		margin = stillAbove
	}
	if level < floor+margin {
		d.loud = 0
		d.silent += length
		if d.silent >= lingers {
			d.state = Silence
		}
		return d.state
	}
	d.loud += length
	if d.state == Speech || d.loud >= begins {
		d.state, d.spoke, d.silent = Speech, true, 0
		return d.state
	}
	d.silent += length // a click, until it lasts
	return d.state
}

// Silent is how long the party has said nothing: since its last sound, or since
// the beginning.
func (d *Detector) Silent() time.Duration { return d.silent }

// pass lets time go by in which something sounds that is neither speech nor the noise
// of the place.
func (d *Detector) pass(length time.Duration) {
	d.heard += length
	d.loud = 0
	if d.silent += length; d.silent >= lingers {
		d.state = Silence
	}
}

// floorNow is how loud the noise of the place is, dB, as far as it is known.
func (d *Detector) floorNow() float64 { return max(d.settled(), quietest) }

// Spoke reports whether the party has said anything so far.
func (d *Detector) Spoke() bool { return d.spoke }

// floor is the noise floor, with this frame.
func (d *Detector) floor(level float64, length time.Duration) float64 {
	if d.fed == 0 || level < d.current {
		d.current = level
	}
	if d.fed += length; d.fed >= block {
		d.least[d.count%blocks] = d.current
		d.count++
		d.fed = 0
	}
	floor := d.settled()
	if d.heard < believing {
		floor = min(floor, earlyFloor)
	}
	return min(floor, loudest)
}

// settled is the least of the last blocks.
func (d *Detector) settled() float64 {
	floor := d.current
	for i := range min(d.count, blocks) {
		floor = min(floor, d.least[i])
	}
	return floor
}

// level is the loudness of a frame without its DC part.
func level(frame []int16) float64 {
	var sum, squares float64
	for _, v := range frame {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(frame))
	power := squares/n - (sum/n)*(sum/n)
	return 10 * math.Log10(max(power, 1e-9)/(32768*32768))
}
