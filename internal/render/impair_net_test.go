package render

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audiotest"
	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// This file simulates calls for the table of impairments: two parties with
// clocks of their own say marks, a network does its worst, and a journal is
// written of what arrives. All time is simulated.

// tick is the unit of a party's own clock: all sample rates divide 48 kHz.
const (
	tick   = 48000
	period = int64(audiotest.Period * tick)
)

// jitterShape is how delays are distributed.
type jitterShape int

const (
	evenly   jitterShape = iota // each packet by itself, all delays alike
	rarely                      // mostly little, now and then much
	inSpells                    // a queue that grows and shrinks
	jitterShapes
)

// network is what lies between a party and the recorder. The zero value is
// perfect.
type network struct {
	loss    float64 // share of the packets
	burst   float64 // mean length of a loss, packets; up to 1 = each by itself
	jitter  time.Duration
	shape   jitterShape
	ordered bool    // no packet overtakes another, as in a queue
	dup     float64 // share of the packets that arrive again
	swap    float64 // share of the packets that are overtaken
	down    []Span  // nothing arrives of what is sent then
	held    []Span  // what is sent then arrives at the end of it

	losing bool
	queue  float64
	last   float64
}

func (n *network) lose(r *rand.Rand) bool {
	if n.burst <= 1 {
		return r.Float64() < n.loss
	}
	if n.losing {
		n.losing = r.Float64() >= 1/n.burst
	} else {
		n.losing = r.Float64() < n.loss/(1-n.loss)/n.burst
	}
	return n.losing
}

// arrive is when a packet that is sent then arrives, in nanoseconds.
func (n *network) arrive(r *rand.Rand, sent float64) float64 {
	j := float64(n.jitter)
	at := sent
	switch n.shape {
	case rarely:
		u := r.Float64()
		at += j * u * u * u * u
	case inSpells:
		n.queue = math.Abs(n.queue + r.NormFloat64()*j/10)
		if n.queue > j {
			n.queue = max(0, 2*j-n.queue)
		}
		at += n.queue
	default:
		at += j * r.Float64()
	}
	if n.swap > 0 && r.Float64() < n.swap {
		at += (0.06 + 0.14*r.Float64()) * 1e9
	}
	for _, h := range n.held {
		if sent >= float64(h.From) && at < float64(h.To) {
			at = float64(h.To)
		}
	}
	if n.ordered {
		at = max(at, n.last)
	}
	n.last = at
	return at
}

func (n *network) isDown(sent float64) bool {
	return slices.ContainsFunc(n.down, func(s Span) bool { return sent >= float64(s.From) && sent < float64(s.To) })
}

// arrival is a packet or a report that reaches the recorder.
type arrival struct {
	at     float64 // ns since the journal's start
	packet journal.Packet
	report *journal.SenderReport
}

// said is a mark that a party said.
type said struct {
	counter uint16
	at      float64 // when its first sample was spoken: the truth, ns
	chirp   float64 // when the last packet of its chirp arrived; +Inf = never
	word    float64 // when the last packet of it all arrived
	torn    bool    // the sender's clock jumped within it
}

// phone is a party.
type phone struct {
	call    *call
	rnd     *rand.Rand
	id      uint8
	net     network
	ppm     float64 // how fast its clock is
	ptime   time.Duration
	every   int64 // one of so many marks is said, for calls of hours
	reports bool  // it sends sender reports
	gain    float64

	codec   codec.Info
	encoder codec.Encoder
	ssrc    uint32
	seq     uint16
	time    uint32

	now      float64 // when the next sample is spoken, ns
	content  int64   // of the party's own clock, ticks
	reportAt float64

	arrivals []arrival
	marks    []said
	open     int // the first mark that may still go on
	quiets   []Span
	sounds   map[[2]int64][]int16
	pcm      []int16
	silent   map[int][]byte
}

// call is a simulated call of two parties that are recorded in stereo.
type call struct {
	seed  uint64
	rnd   *rand.Rand
	begin time.Duration // of capture
	stop  time.Duration
	cause voice.EndCause
	left  *phone
	right *phone

	controls []journal.Entry
	rate     int // header
}

func newCall(seed uint64, length time.Duration) *call {
	c := &call{seed: seed, rnd: rand.New(rand.NewPCG(seed, 11)), cause: voice.EndCallEnded, rate: 8000}
	c.begin = time.Duration(c.rnd.Int64N(int64(300 * ms)))
	c.stop = c.begin + length
	together := float64(c.begin) + c.rnd.Float64()*50e6
	c.left, c.right = c.phone(2, together), c.phone(3, together)
	return c
}

func (c *call) phone(id uint8, begin float64) *phone {
	p := &phone{
		call: c, id: id, rnd: rand.New(rand.NewPCG(c.seed, uint64(id)+100)), ptime: 20 * ms, every: 1, gain: 1, now: begin,
		sounds: map[[2]int64][]int16{}, silent: map[int][]byte{},
	}
	p.ssrc, p.seq, p.time = p.rnd.Uint32(), uint16(p.rnd.Uint32()), p.rnd.Uint32()
	p.use(codec.PCMU, 0)
	return p
}

// both does the same with both parties.
func (c *call) both(do func(p *phone)) {
	do(c.left)
	do(c.right)
}

// use changes the codec from the next packet on.
func (p *phone) use(name string, clockRate int) {
	info, ok := codec.Lookup(name, clockRate)
	if !ok {
		panic("no codec " + name)
	}
	enc, err := codec.NewEncoder(info)
	if err != nil {
		panic(err)
	}
	p.codec, p.encoder = info, enc
	clear(p.silent)
}

func (p *phone) clock() float64 { return 1 + p.ppm/1e6 }

// frames is how many packets there are until then, by the party's clock.
func (p *phone) frames(until time.Duration) int64 {
	return int64(math.Ceil((float64(until)-p.now)*p.clock()/float64(p.ptime) - 1e-9))
}

// talk speaks until then.
func (p *phone) talk(until time.Duration) {
	for range p.frames(until) {
		p.send()
	}
}

// quiet is silent until then and sends nothing; RTP time goes on, sequence
// numbers do not.
func (p *phone) quiet(until time.Duration) {
	n := p.frames(until)
	if n <= 0 {
		return
	}
	from := p.now
	p.now += float64(n) * float64(p.ptime) / p.clock()
	p.time += uint32(n * p.ticks())
	p.quiets = append(p.quiets, Span{time.Duration(from), time.Duration(p.now)})
	p.nextMark()
}

// stall stands still, with a frozen RTP clock.
func (p *phone) stall(d time.Duration) {
	p.quiets = append(p.quiets, Span{time.Duration(p.now), time.Duration(p.now) + d})
	p.now += float64(d)
	p.nextMark()
	// No mark in the first two packets: which frame is the first one behind the
	// step may be off by one.
	p.content += period*p.every - 2*int64(p.ptime)*tick/1e9
}

// jump changes the numbers in the packets, while the party talks on.
func (p *phone) jump(time uint32, seq uint16) {
	p.time, p.seq = p.time+time, p.seq+seq
	p.tear()
}

// renew begins a new stream, as after a re-INVITE.
func (p *phone) renew() {
	p.ssrc, p.seq, p.time = p.rnd.Uint32(), uint16(p.rnd.Uint32()), p.rnd.Uint32()
	p.tear()
}

func (p *phone) tear() {
	for i := p.open; i < len(p.marks); i++ {
		p.marks[i].torn = true
	}
}

// nextMark goes on with the beginning of a mark, so that no mark is cut in two.
func (p *phone) nextMark() {
	p.tear()
	p.open = len(p.marks)
	step := period * p.every
	p.content = (p.content + step - 1) / step * step
}

func (p *phone) ticks() int64 { return int64(p.ptime) * int64(p.codec.ClockRate) / 1e9 }

// send speaks one packet.
func (p *phone) send() {
	length := int64(p.ptime) * tick / 1e9
	from, to := p.content, p.content+length
	step := period * p.every
	for k := (from + step - 1) / step * step; k < to; k += step {
		p.marks = append(p.marks, said{counter: uint16(k / period), at: p.now + float64(k-from)/tick*1e9/p.clock()})
	}
	payload := p.payload(from, length)
	sent := p.now + float64(p.ptime)/p.clock()
	at := math.Inf(1)
	if !p.net.lose(p.rnd) && !p.net.isDown(sent) {
		at = p.net.arrive(p.rnd, sent)
	}
	for i := p.open; i < len(p.marks); i++ {
		m := &p.marks[i]
		begin := from - int64((p.now-m.at)*p.clock()*tick/1e9+0.5)
		if from < begin+int64(audiotest.ChirpLength)*tick/1e9 {
			m.chirp = max(m.chirp, at)
		}
		if end := begin + int64(audiotest.MarkLength)*tick/1e9; from < end {
			m.word = max(m.word, at)
		} else {
			p.open = i + 1
		}
	}
	if !math.IsInf(at, 1) {
		a := arrival{at: at, packet: journal.Packet{Seq: p.seq, Time: p.time, SSRC: p.ssrc, PT: p.codec.PT, Payload: payload}}
		p.arrivals = append(p.arrivals, a)
		if p.rnd.Float64() < p.net.dup {
			a.at += p.rnd.Float64() * 200e6
			p.arrivals = append(p.arrivals, a)
		}
	}
	p.seq++
	p.time += uint32(p.ticks())
	p.content, p.now = to, sent
	if p.reports && p.now >= p.reportAt {
		p.report()
	}
}

// report sends a sender report, by a wall clock that is an hour off.
func (p *phone) report() {
	ntp := p.now + 3600e9
	p.arrivals = append(p.arrivals, arrival{at: p.net.arrive(p.rnd, p.now), report: &journal.SenderReport{
		SSRC: p.ssrc, NTP: uint64(ntp/1e9)<<32 | uint64(math.Mod(ntp, 1e9)/1e9*(1<<32)), RTPTime: p.time,
	}})
	p.reportAt = p.now + (2.5+5*p.rnd.Float64())*1e9 // RFC 3550 §6.3.1
}

// payload encodes so many ticks of what the party says.
func (p *phone) payload(from, length int64) []byte {
	rate := int64(p.codec.SampleRate)
	first, n := from*rate/tick, int(length*rate/tick)
	p.pcm = p.pcm[:0]
	said := false
	for len(p.pcm) < n {
		at := first + int64(len(p.pcm))
		size := period * rate / tick
		sound := p.sound(at/size, rate)
		said = said || sound != nil
		left := min(n-len(p.pcm), int(size-at%size))
		if sound == nil {
			p.pcm = append(p.pcm, make([]int16, left)...)
			continue
		}
		p.pcm = append(p.pcm, sound[at%size:at%size+int64(left)]...)
	}
	if !said && p.silent[n] != nil {
		return p.silent[n]
	}
	pcm := p.pcm
	if p.codec.Channels == 2 {
		pcm = make([]int16, 2*n)
		for i, v := range p.pcm {
			pcm[2*i], pcm[2*i+1] = v, v
		}
	}
	out := make([]byte, 2*len(pcm)+16)
	size, err := p.encoder.Encode(out, pcm)
	if err != nil {
		panic(err)
	}
	if out = slices.Clip(out[:size]); !said && (p.codec.Is(codec.PCMU) || p.codec.Is(codec.PCMA)) {
		p.silent[n] = out
	}
	return out
}

// sound is what the party says in a period, nil for nothing.
func (p *phone) sound(k, rate int64) []int16 {
	if k%p.every != 0 {
		return nil
	}
	key := [2]int64{k & 0xffff, rate}
	if s, ok := p.sounds[key]; ok {
		return s
	}
	if len(p.sounds) > 64 {
		clear(p.sounds)
	}
	s := audiotest.Voice{ID: p.id, Rate: int(rate)}.Mark(uint16(k))
	p.sounds[key] = s
	return s
}

// control adds a control entry.
func (c *call) control(at time.Duration, e journal.Entry) {
	e.At = at
	c.controls = append(c.controls, e)
}

// codecs lists what the journal says of a track's payload types.
func codecs(of ...codec.Info) []journal.Codec {
	var out []journal.Codec
	for _, i := range of {
		out = append(out, journal.Codec{PT: i.PT, Name: i.Name, ClockRate: i.ClockRate, SampleRate: i.SampleRate, Channels: i.Channels})
	}
	return out
}

// known is every codec that can be sent here.
func known() []journal.Codec {
	var out []codec.Info
	for _, of := range []struct {
		name string
		rate int
	}{{codec.PCMU, 0}, {codec.PCMA, 0}, {codec.CN, 0}, {codec.L16, 8000}, {codec.Event, 0}} {
		if i, ok := codec.Lookup(of.name, of.rate); ok {
			out = append(out, i)
		}
	}
	return codecs(out...)
}

// wide adds the codecs with more than telephone bandwidth.
func wide() []journal.Codec {
	out := known()
	for _, name := range []string{codec.L16, codec.G722, codec.Opus} {
		clock := 0
		if name == codec.L16 {
			clock = 16000
		}
		if i, ok := codec.Lookup(name, clock); ok && codec.Encodable(i) {
			out = append(out, codecs(i)...)
		}
	}
	return out
}

// write makes the journal.
func (c *call) write(t testing.TB, list []journal.Codec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "call.journal")
	w, err := journal.Create(path, journal.Header{
		Recording: "0190e2f4-0000-7000-8000-000000000001", Call: "A", Stereo: true, SampleRate: c.rate, Wall: time.Unix(1800000000, 0).UTC(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	controls := slices.Concat([]journal.Entry{
		{Kind: journal.KindTrackOpened, Track: 0, Detail: journal.Detail{Call: "A", Party: "a", Role: "caller", Codecs: list}},
		{Kind: journal.KindTrackOpened, Track: 1, Detail: journal.Detail{Call: "B", Party: "b", Role: "callee", Codecs: list}},
		{Kind: journal.KindJoined, Detail: journal.Detail{Call: "A", Other: "B"}},
		{Kind: journal.KindBegin, At: c.begin, Detail: journal.Detail{Wall: time.Unix(1800000000, 0).UTC()}},
	}, c.controls, []journal.Entry{
		{Kind: journal.KindStop, At: c.stop, Detail: journal.Detail{Cause: string(c.cause), Offset: c.stop - c.begin}},
	})
	queues := [2][]arrival{c.left.arrivals, c.right.arrivals}
	for _, q := range queues {
		slices.SortStableFunc(q, func(a, b arrival) int {
			if a.at < b.at {
				return -1
			}
			return int(min(1, math.Ceil(a.at-b.at)))
		})
	}
	for _, e := range controls {
		for {
			k := 0
			if len(queues[0]) == 0 || len(queues[1]) > 0 && queues[1][0].at < queues[0][0].at {
				k = 1
			}
			if len(queues[k]) == 0 || time.Duration(queues[k][0].at) >= e.At {
				break
			}
			a := &queues[k][0]
			queues[k] = queues[k][1:]
			at := time.Duration(a.at)
			switch {
			case at < c.begin: // capture has not begun
			case a.report != nil:
				err = w.Report(at, uint16(k), a.report)
			default:
				err = w.Packet(at, uint16(k), &a.packet)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Control(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
