package media

import (
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/jitter"
	"tapedeck/internal/rtp"
)

// ears decode one format of a leg and bring it to the rate of what is sent. They are
// known by the format, because a payload type may come to mean something else while
// packets of it wait in the buffer.
type ears struct {
	info     codec.Info
	decoder  codec.Decoder // nil until it is needed
	hiss     hiss
	noisy    bool
	resample *audio.Resampler
}

// longestFrame is the longest packet that is decoded, RFC 3551 §4.5.
const longestFrame = 200 * time.Millisecond

// pull brings one item of the buffer into what is ready to be sent. At is when it
// will be heard.
func (t *transcoder) pull(at time.Duration) {
	it := t.buffer.Pop(at)
	switch it.Kind {
	case jitter.Frame:
		t.decode(&it)
	case jitter.Comfort:
		if e := t.ear; e != nil {
			e.hiss.describe(it.Payload, t.ears[it.PT].info.ClockRate, e.info.SampleRate)
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
	if r, ok := e.decoder.(codec.Recoverer); ok && len(it.Next) > 0 && t.ears[it.PT] == e {
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

// place finds the ears of a format among the transcoder's, or a place for them.
// There are no more than we have formats.
func (t *transcoder) place(f codec.Info) uint8 {
	for i, e := range t.ears {
		if e.info == f {
			return uint8(i)
		}
	}
	t.ears = append(t.ears, &ears{info: f})
	return uint8(len(t.ears) - 1)
}

// earsOf finds the decoder at a place, and makes it for the first packet of its
// format. Where none can be made, it is the one in use, which may be nil.
func (t *transcoder) earsOf(place uint8) *ears {
	e := t.ears[place]
	if e == t.ear {
		return e
	}
	if e.decoder == nil {
		decoder, err := codec.NewDecoder(mono(e.info))
		if err != nil {
			return t.ear
		}
		e.decoder = decoder
		e.resample = audio.NewResampler(e.info.SampleRate, t.speaker.info.SampleRate)
	}
	if t.ear != nil { // another decoder goes on: what this one holds back comes first
		t.ready = t.ear.resample.Flush(t.ready)
	}
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
