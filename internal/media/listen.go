package media

import (
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/jitter"
	"tapedeck/internal/rtp"
)

// ears decode one payload type of a leg and bring it to the rate of what is sent.
type ears struct {
	pt       uint8
	info     codec.Info
	stale    bool // the payload type means something else from now on
	decoder  codec.Decoder
	hiss     hiss
	noisy    bool
	resample *audio.Resampler
}

// longestFrame is the longest packet that is decoded, RFC 6716 §2.1.4.
const longestFrame = 120 * time.Millisecond

// pull brings one item of the buffer into what is ready to be sent. At is when it
// will be heard.
func (t *transcoder) pull(at time.Duration) {
	it := t.buffer.Pop(at)
	switch it.Kind {
	case jitter.Frame:
		t.decode(&it)
	case jitter.Comfort:
		if e := t.ear; e != nil {
			e.hiss.describe(it.Payload, t.clockOf(&it), e.info.SampleRate)
			e.noisy = true
		}
	case jitter.Loss:
		t.conceal(&it)
	case jitter.Silence:
		t.fill(it.Length)
	default: // nothing came yet
		t.fill(t.speaker.ptime)
	}
}

// clockOf is the clock rate of a packet of comfort noise: that of its route, or the
// usual one when what was agreed has changed since it came.
func (t *transcoder) clockOf(it *jitter.Item) int {
	if r := t.routeOf(it.PT); r != nil && r.from.Is(codec.CN) {
		return r.from.ClockRate
	}
	usual, _ := codec.Lookup(codec.CN, 0)
	return usual.ClockRate
}

// decode makes a packet audible.
func (t *transcoder) decode(it *jitter.Item) {
	e := t.earsOf(it.PT)
	if e == nil {
		t.concealed += it.Length
		t.fill(max(it.Length, tick))
		return
	}
	t.pcm = grow(t.pcm, int(rtp.Units(longestFrame, e.info.SampleRate)))
	n, err := e.decoder.Decode(t.pcm, it.Payload)
	if err != nil || n == 0 { // not one of our codec's packets: as if it were lost
		n = int(rtp.Units(max(it.Length, tick), e.info.SampleRate))
		e.decoder.Conceal(t.pcm[:n])
		t.concealed += it.Length
	}
	e.noisy = false
	frame := t.pcm[:n]
	if it.Slew != 0 {
		longer := n + it.Slew*max(1, n/jitter.SlewPart)
		t.slewed = grow(t.slewed, longer)[:longer]
		t.warp.Stretch(t.slewed, frame, nil)
		frame = t.slewed
	}
	t.ready = e.resample.Process(t.ready, frame)
}

// conceal fills in for what was lost: from the packet after it where that holds it
// once more, else by what the decoder finds plausible.
func (t *transcoder) conceal(it *jitter.Item) {
	e := t.ear
	if e == nil {
		t.fill(it.Length)
		return
	}
	n := int(rtp.Units(it.Length, e.info.SampleRate))
	t.pcm = grow(t.pcm, n)
	frame := t.pcm[:n]
	if r, ok := e.decoder.(codec.Recoverer); ok && len(it.Next) > 0 && it.PT == e.pt {
		if got, err := r.Recover(frame, it.Next); err == nil && got == n {
			t.ready = e.resample.Process(t.ready, frame)
			return
		}
	}
	e.decoder.Conceal(frame)
	t.ready = e.resample.Process(t.ready, frame)
}

// fill is silence, or the noise that the party described.
func (t *transcoder) fill(d time.Duration) {
	e := t.ear
	if e == nil {
		n := max(int(rtp.Units(d, t.speaker.info.SampleRate)), 1)
		t.ready = slices.Grow(t.ready, n)[:len(t.ready)+n]
		clear(t.ready[len(t.ready)-n:])
		return
	}
	n := max(int(rtp.Units(d, e.info.SampleRate)), 1)
	t.pcm = grow(t.pcm, n)
	if e.noisy {
		e.hiss.fill(t.pcm[:n])
	} else {
		clear(t.pcm[:n])
	}
	t.ready = e.resample.Process(t.ready, t.pcm[:n])
}

func grow(b []int16, n int) []int16 {
	if len(b) < n {
		return make([]int16, n)
	}
	return b
}

// earsOf finds the decoder of a payload type, or makes it: at the first packet of
// the type, and never again. Nil when there is none.
func (t *transcoder) earsOf(pt uint8) *ears {
	if t.ear != nil && t.ear.pt == pt && !t.ear.stale {
		return t.ear
	}
	if t.ear != nil { // another decoder goes on: what this one holds back comes first
		t.ready = t.ear.resample.Flush(t.ready)
	}
	at := slices.IndexFunc(t.ears, func(e *ears) bool { return e.pt == pt && !e.stale })
	if at < 0 {
		r := t.routeOf(pt)
		if r == nil {
			return t.ear
		}
		decoder, err := codec.NewDecoder(mono(r.from))
		if err != nil {
			return t.ear
		}
		t.ears = slices.DeleteFunc(t.ears, func(e *ears) bool { return e.stale })
		t.ears = append(t.ears, &ears{
			pt: pt, info: r.from, decoder: decoder,
			resample: audio.NewResampler(r.from.SampleRate, t.speaker.info.SampleRate),
		})
		at = len(t.ears) - 1
	}
	e := t.ears[at]
	e.decoder.Reset()
	e.noisy = false
	t.prime(e)
	t.ear = e
	return e
}

// prime makes up at once for what the resampler holds back, so that a frame in is
// a frame out from the first one on.
func (t *transcoder) prime(e *ears) {
	probe := int(rtp.Units(longestFrame, e.info.SampleRate))
	t.pcm = grow(t.pcm, probe)
	clear(t.pcm[:probe])
	e.resample.Reset()
	before := len(t.ready)
	t.ready = e.resample.Process(t.ready, t.pcm[:probe])
	held := int(rtp.Units(longestFrame, t.speaker.info.SampleRate)) - (len(t.ready) - before)
	e.resample.Reset()
	t.ready = t.ready[:before+max(held, 0)]
	clear(t.ready[before:])
}
