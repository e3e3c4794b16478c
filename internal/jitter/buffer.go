package jitter

import "time"

// Bounds of a buffer.
const (
	slots = 64 // packets; 640 ms of the shortest
	// MaxPayload is the longest payload that is kept, in bytes.
	MaxPayload = 2048
)

// Limits of the playout.
const (
	slack       = time.Millisecond      // a packet after a gap is played when it is this early
	crumb       = 5 * time.Millisecond  // nothing shorter is filled in by itself
	hold        = 10 * time.Millisecond // one that follows another is played this early, the listener slews
	skip        = 40 * time.Millisecond // a packet this late is skipped
	still       = 2 * time.Millisecond  // no slewing below
	concealable = 60 * time.Millisecond // of a stream that stops; after it, silence
	usualFrame  = 20 * time.Millisecond
	longest     = 200 * time.Millisecond // of one packet (RFC 3551 §4.5; Opus has 120 ms, RFC 6716 §2.1.4)
	tie         = time.Millisecond       // media times this near to each other are the same
)

// SlewPart is which part of a frame it becomes longer or shorter by when it is
// slewed: 0.6 %, a tenth of a semitone.
const SlewPart = 160

// Class says what a packet is to the listener.
type Class uint8

// The classes.
const (
	Audio Class = iota
	Noise       // comfort noise: what follows is silence of this kind (RFC 3389)
	Mark        // nothing to hear (an RTP event), but its sequence number is no loss
)

// Packet is one RTP packet. Seq and Time are extended, so that they do not wrap.
type Packet struct {
	Seq, Time uint64
	Arrival   time.Duration // monotonic, since any epoch
	ClockRate int           // of Time, Hz
	Length    time.Duration // of the audio; 0 = not known
	PT        uint8
	Class     Class
	Payload   []byte // copied
}

// Kind says what Pop gives.
type Kind uint8

// The kinds.
const (
	Nothing Kind = iota // no packet came yet
	Frame               // decode the payload
	Comfort             // comfort noise parameters; takes no time by itself
	Loss                // conceal so much
	Silence             // the sender is silent for so much
)

// Item is what is to be heard next.
type Item struct {
	Kind    Kind
	PT      uint8
	Slew    int           // +1: make the frame 1/SlewPart longer; -1: shorter
	Length  time.Duration // of Frame (0 = not known), Loss, Silence
	Payload []byte        // of Frame and Comfort; valid until the next Put or Pop
	// Next is, with Loss, the packet right after what is lost, when that is here:
	// it may carry the lost frame once more. Its payload type is PT.
	Next []byte
}

// Counts are the packets of a buffer by fate.
type Counts struct {
	Played    uint64
	Late      uint64 // came when their time was over
	Skipped   uint64 // were in time, but would have made the listener lag
	Duplicate uint64
	Overflow  uint64        // no room, or longer than MaxPayload
	Lost      time.Duration // of Loss
}

// Options of a Buffer.
type Options struct {
	Min, Max time.Duration // of the delay; 0 = 20 ms and 200 ms
	// Lead is how far ahead of the time of hearing Pop is called at most: the packet
	// time of what is made out of it.
	Lead time.Duration
}

// slot keeps one packet. Its memory stays with it.
type slot struct {
	full   bool
	seq    uint64
	media  time.Duration
	length time.Duration
	pt     uint8
	class  Class
	data   []byte
}

// Buffer is a jitter buffer of one stream.
type Buffer struct {
	o     Options
	clock clock
	ring  [slots]slot

	begun  bool
	last   uint64        // sequence number of the newest packet that was played or given up
	newest uint64        // of the newest packet that came
	pos    time.Duration // media time where what was played ends
	frame  time.Duration // length of the newest frame

	starved time.Duration // filled in since the last packet that was played
	quiet   bool          // the sender said that it is silent
	counts  Counts
}

// New makes an empty buffer.
func New(o Options) *Buffer {
	if o.Min <= 0 {
		o.Min = 20 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = 200 * time.Millisecond
	}
	o.Max = max(o.Max, o.Min)
	return &Buffer{o: o, frame: usualFrame, quiet: true}
}

// SetLead changes Options.Lead.
func (b *Buffer) SetLead(d time.Duration) { b.o.Lead = d }

// Restart says that the packets that follow are of another stream, or of another
// numbering of the same one. What is in the buffer is still played, and they come
// after it.
func (b *Buffer) Restart() { b.clock.anchored = false }

// Delay is the delay that the buffer aims at, Lead included.
func (b *Buffer) Delay() time.Duration {
	return max(b.o.Min, b.clock.target+b.o.Lead)
}

// Counts returns the counters so far.
func (b *Buffer) Counts() Counts { return b.counts }

// Len is how much media is in the buffer, from the end of what was played. Marks
// are none: 0 means that Pop has nothing more to give.
func (b *Buffer) Len() time.Duration {
	for seq := b.newest; b.begun && seq > b.last; seq-- {
		if s, ok := b.find(seq); ok && s.class != Mark {
			return max(s.media+s.length-b.pos, tie)
		}
	}
	return 0
}

// Clear makes the buffer as new, but for its memory and its counts.
func (b *Buffer) Clear() {
	for i := range b.ring {
		b.ring[i].full = false
	}
	b.clock, b.begun, b.last, b.newest, b.pos = clock{}, false, 0, 0, 0
	b.frame, b.starved, b.quiet = usualFrame, 0, true
}

// Put takes a packet.
func (b *Buffer) Put(p Packet) {
	if len(p.Payload) > MaxPayload || p.ClockRate <= 0 && p.Class != Mark {
		b.counts.Overflow++
		return
	}
	seq, media := b.clock.place(&p, b.newest, b.frame, b.begun)
	if !b.begun {
		b.begun, b.last, b.pos = true, seq-1, media
		b.newest = seq - 1
	}
	s := &b.ring[seq%slots]
	if s.full && s.seq == seq {
		b.counts.Duplicate++
		return
	}
	if p.Class != Mark {
		b.clock.note(p.Arrival-media, p.Arrival, b.o.Max)
	}
	if seq <= b.last {
		b.counts.Late++
		return
	}
	b.makeRoom(seq)
	s.full, s.seq, s.media, s.pt, s.class = true, seq, media, p.PT, p.Class
	s.length = min(p.Length, longest)
	s.data = append(s.data[:0], p.Payload...)
	b.newest = max(b.newest, seq)
}

// makeRoom gives up the oldest packets when a new one is so far ahead that it
// needs a slot of theirs.
func (b *Buffer) makeRoom(seq uint64) {
	if seq-b.last <= slots {
		return
	}
	upTo := seq - slots
	for at := b.last + 1; at <= upTo && at <= b.newest; at++ {
		if s, ok := b.find(at); ok {
			s.full = false
			b.counts.Overflow++
		}
	}
	b.last = upTo
}

func (b *Buffer) find(seq uint64) (*slot, bool) {
	s := &b.ring[seq%slots]
	return s, s.full && s.seq == seq
}

// head is the oldest packet that has something to hear.
func (b *Buffer) head() *slot {
	for seq := b.last + 1; seq <= b.newest; seq++ {
		s, ok := b.find(seq)
		if !ok {
			continue
		}
		if s.class != Mark || seq != b.last+1 {
			if s.class == Mark {
				continue // a packet before it may still come
			}
			return s
		}
		// While an event lasts, there is no audio (RFC 4733 §2.5.1.1 lets both be sent;
		// then the next frame ends the quiet).
		s.full, b.last, b.quiet = false, seq, true
	}
	return nil
}

// Pop gives what is to be heard at a time. Its Length is over when Pop is called
// again.
func (b *Buffer) Pop(at time.Duration) Item {
	if !b.begun {
		return Item{Kind: Nothing}
	}
	for {
		h := b.head()
		if h == nil {
			return b.starve()
		}
		early := b.clock.base() + h.media + b.Delay() - at
		if early < -skip && h.class == Audio {
			b.pass(h)
			b.counts.Skipped++
			continue
		}
		inLine := b.inLine(h)
		if wait := b.patience(inLine && b.starved == 0 && !b.quiet && b.near(h)); early > wait {
			return b.fill(h, inLine, early)
		}
		return b.play(h, early)
	}
}

// inLine reports whether no packet with something to hear is missing before h.
func (b *Buffer) inLine(h *slot) bool {
	for seq := b.last + 1; seq < h.seq; seq++ {
		if s, ok := b.find(seq); !ok || s.class != Mark {
			return false
		}
	}
	return true
}

// near reports whether h begins where what was played ends.
func (b *Buffer) near(h *slot) bool { return (h.media - b.pos).Abs() <= tie }

// patience is how early a packet may be played.
func (b *Buffer) patience(follows bool) time.Duration {
	if follows {
		return hold
	}
	return slack
}

// fill bridges the time until a packet is due.
func (b *Buffer) fill(h *slot, inLine bool, early time.Duration) Item {
	n := min(early, b.frame)
	if early-n < crumb {
		n = early
	}
	if b.quiet || inLine && !b.near(h) {
		return Item{Kind: Silence, Length: n}
	}
	b.starved += n
	b.counts.Lost += n
	it := Item{Kind: Loss, Length: n}
	if n == early && n >= b.frame/2 && !inLine {
		if _, ok := b.find(h.seq - 1); !ok {
			it.Next, it.PT = h.data, h.pt
		}
	}
	return it
}

// starve is what is heard when there is no packet.
func (b *Buffer) starve() Item {
	b.starved += b.frame
	if b.quiet || b.starved > concealable {
		return Item{Kind: Silence, Length: b.frame}
	}
	b.counts.Lost += b.frame
	return Item{Kind: Loss, Length: b.frame}
}

// play gives a packet to the listener.
func (b *Buffer) play(h *slot, early time.Duration) Item {
	b.pass(h)
	b.quiet, b.starved = h.class == Noise, 0
	if h.class == Noise {
		return Item{Kind: Comfort, PT: h.pt, Payload: h.data}
	}
	b.counts.Played++
	it := Item{Kind: Frame, PT: h.pt, Length: h.length, Payload: h.data}
	switch {
	case early > still:
		it.Slew = 1
	case early < -still:
		it.Slew = -1
	}
	return it
}

// pass moves the place of playing behind a packet.
func (b *Buffer) pass(h *slot) {
	h.full, b.last, b.pos = false, h.seq, h.media
	if h.class == Audio {
		if h.length > 0 {
			b.frame = h.length
		}
		b.pos += b.frame
	}
}
