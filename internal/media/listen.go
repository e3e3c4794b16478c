package media

import (
	"slices"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/jitter"
	"tapedeck/internal/rtp"
)

// hearing makes what a party says audible, at one rate:
//
//	packet → jitter.Buffer → decoder → resampler → ready
type hearing struct {
	buffer *jitter.Buffer
	rate   int           // of what is ready, Hz
	usual  time.Duration // how much is silence where nothing came

	ears   []*ears // one per format met; a packet in the buffer has the place of its own as PT
	ear    *ears   // of the newest frame; nil before the first
	pcm    []int16 // scratch of one decoded frame
	slewed []int16
	warp   audio.Stretcher // follows the jitter buffer's clock
	ready  []int16         // mono, at the rate: to be sent, or heard

	concealed time.Duration // by decoding faults
}

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
func (h *hearing) pull(at time.Duration) {
	it := h.buffer.Pop(at)
	switch it.Kind {
	case jitter.Frame:
		h.decode(&it)
	case jitter.Comfort:
		if e := h.ear; e != nil {
			e.hiss.describe(it.Payload, h.ears[it.PT].info.ClockRate, e.info.SampleRate)
			e.noisy = true
		}
	case jitter.Loss:
		h.conceal(&it)
	case jitter.Silence:
		h.fill(it.Length)
	default: // nothing came yet
		h.fill(h.usual)
	}
}

// decode makes a packet audible.
func (h *hearing) decode(it *jitter.Item) {
	e := h.earsOf(it.PT)
	if e == nil {
		h.concealed += it.Length
		h.fill(max(it.Length, tick))
		return
	}
	h.pcm = grow(h.pcm, int(rtp.Units(longestFrame, e.info.SampleRate)))
	n, err := e.decoder.Decode(h.pcm, it.Payload)
	if err != nil || n == 0 { // not one of our codec's packets: as if it were lost
		n = int(rtp.Units(max(it.Length, tick), e.info.SampleRate))
		e.decoder.Conceal(h.pcm[:n])
		h.concealed += it.Length
	}
	e.noisy = false
	frame := h.pcm[:n]
	if it.Slew != 0 {
		longer := n + it.Slew*max(1, n/jitter.SlewPart)
		h.slewed = grow(h.slewed, longer)[:longer]
		h.warp.Stretch(h.slewed, frame, nil)
		frame = h.slewed
	}
	h.ready = e.resample.Process(h.ready, frame)
}

// conceal fills in for what was lost: from the packet after it where that holds it
// once more, else by what the decoder finds plausible.
func (h *hearing) conceal(it *jitter.Item) {
	e := h.ear
	if e == nil {
		h.fill(it.Length)
		return
	}
	n := int(rtp.Units(it.Length, e.info.SampleRate))
	h.pcm = grow(h.pcm, n)
	frame := h.pcm[:n]
	if r, ok := e.decoder.(codec.Recoverer); ok && len(it.Next) > 0 && h.ears[it.PT] == e {
		if got, err := r.Recover(frame, it.Next); err == nil && got == n {
			h.ready = e.resample.Process(h.ready, frame)
			return
		}
	}
	e.decoder.Conceal(frame)
	h.ready = e.resample.Process(h.ready, frame)
}

// fill is silence, or the noise that the party described.
func (h *hearing) fill(d time.Duration) {
	e := h.ear
	if e == nil {
		n := max(int(rtp.Units(d, h.rate)), 1)
		h.ready = slices.Grow(h.ready, n)[:len(h.ready)+n]
		clear(h.ready[len(h.ready)-n:])
		return
	}
	n := max(int(rtp.Units(d, e.info.SampleRate)), 1)
	h.pcm = grow(h.pcm, n)
	if e.noisy {
		e.hiss.fill(h.pcm[:n])
	} else {
		clear(h.pcm[:n])
	}
	h.ready = e.resample.Process(h.ready, h.pcm[:n])
}

func grow(b []int16, n int) []int16 {
	if len(b) < n {
		return make([]int16, n)
	}
	return b
}

// place finds the ears of a format among those that were met, or a place for them.
// There are no more than we have formats.
func (h *hearing) place(f codec.Info) uint8 {
	for i, e := range h.ears {
		if e.info == f {
			return uint8(i)
		}
	}
	h.ears = append(h.ears, &ears{info: f})
	return uint8(len(h.ears) - 1)
}

// earsOf finds the decoder at a place, and makes it for the first packet of its
// format. Where none can be made, it is the one in use, which may be nil.
func (h *hearing) earsOf(place uint8) *ears {
	e := h.ears[place]
	if e == h.ear {
		return e
	}
	if e.decoder == nil {
		decoder, err := codec.NewDecoder(mono(e.info))
		if err != nil {
			return h.ear
		}
		e.decoder = decoder
		e.resample = audio.NewResampler(e.info.SampleRate, h.rate)
	}
	if h.ear != nil { // another decoder goes on: what this one holds back comes first
		h.ready = h.ear.resample.Flush(h.ready)
	}
	e.decoder.Reset()
	e.noisy = false
	h.prime(e)
	h.ear = e
	return e
}

// prime makes up at once for what the resampler holds back, so that a frame in is
// a frame out from the first one on.
func (h *hearing) prime(e *ears) {
	probe := int(rtp.Units(longestFrame, e.info.SampleRate))
	h.pcm = grow(h.pcm, probe)
	clear(h.pcm[:probe])
	e.resample.Reset()
	before := len(h.ready)
	h.ready = e.resample.Process(h.ready, h.pcm[:probe])
	held := int(rtp.Units(longestFrame, h.rate)) - (len(h.ready) - before)
	e.resample.Reset()
	h.ready = h.ready[:before+max(held, 0)]
	clear(h.ready[before:])
}

// put takes a packet of audio or of comfort noise in a format.
func (h *hearing) put(k jitter.Packet, p *rtp.Received, f codec.Info) {
	k.PT = h.place(f)
	if f.Is(codec.CN) {
		k.Class = jitter.Noise
	} else {
		units, _ := f.Duration(p.Payload)
		k.Length = time.Duration(units) * time.Second / time.Duration(f.ClockRate)
	}
	h.buffer.Put(k)
}
