package media

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audiotest"
	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

const ms = time.Millisecond

// sent is one packet that a stage's worker sent.
type sent struct {
	at   time.Duration
	to   netip.AddrPort
	data []byte
}

// wire is a poller whose network is a list.
type wire struct {
	void
	now   *time.Duration
	keep  bool
	list  []sent
	taken int // of list
}

func (w *wire) send(_ socket, to netip.AddrPort, b []byte) {
	w.sent++
	if w.keep {
		w.list = append(w.list, sent{*w.now, to, b})
	}
}

// flush takes the bytes, as the system does: until then they may still change.
func (w *wire) flush() int {
	for ; w.taken < len(w.list); w.taken++ {
		w.list[w.taken].data = slices.Clone(w.list[w.taken].data)
	}
	return 0
}

// side is what one leg of a stage agreed on.
type side struct {
	codec string
	rate  int // clock rate; 0 = usual
	ptime time.Duration
	event int // clock rate; 0 = 8000
	noise bool
}

func (s side) negotiated(i int) sdp.Negotiated {
	send := codecOf(s.codec, s.rate, 0)
	send.PT = send.Info.PT
	event := codecOf(codec.Event, max(s.event, 8000), 101)
	n := sdp.Negotiated{
		Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(5000+2*i)),
		Send:   send, Receive: []sdp.Codec{send, event}, Event: &event, Ptime: s.ptime,
	}
	if s.noise {
		n.Receive = append(n.Receive, codecOf(codec.CN, 8000, 13))
	}
	return n
}

func (s side) String() string { return fmt.Sprintf("%s/%d %v", s.codec, s.rate, s.ptime) }

// stage is two bridged legs on a worker in simulated time. The first one's party
// speaks, the second one's listens.
type stage struct {
	t       testing.TB
	w       *worker
	wire    wire
	legs    [2]*Leg
	sides   [2]side
	encoder codec.Encoder
	said    []int16 // left to be said
	elapsed time.Duration
	next    time.Duration // when the next packet is sent
	seq     uint16
	time    uint32
	ssrc    uint32
	pending []flying
	payload [rtp.HeaderSize + 4096]byte
}

type flying struct {
	at   time.Duration
	data []byte
}

func newStage(t testing.TB, speaks, listens side) *stage {
	s := &stage{t: t, sides: [2]side{speaks, listens}, seq: 65500, time: 1<<32 - 5000, ssrc: 7}
	s.wire.now = &s.elapsed
	e := &Engine{now: func() time.Duration { return s.elapsed }, wall: time.Now()}
	s.w = newWorker(e, 0, &s.wire)
	for i := range s.legs {
		l := newLeg(e, fmt.Sprint(i))
		l.worker.Store(s.w)
		if err := l.arrive(s.w); err != nil {
			t.Fatal(err)
		}
		n := s.sides[i].negotiated(i)
		l.configure(&n, 0)
		s.legs[i] = l
	}
	if err := (&Bridge{a: s.legs[0], b: s.legs[1]}).link(0); err != nil {
		t.Fatal(err)
	}
	s.speak(speaks)
	return s
}

// speak lets the party go on with a codec.
func (s *stage) speak(with side) {
	s.t.Helper()
	s.sides[0] = with
	encoder, err := codec.NewEncoder(mono(codecOf(with.codec, with.rate, 0).Info))
	if err != nil {
		s.t.Fatal(err)
	}
	s.encoder = encoder
}

// packet makes the next packet of the party out of what it has to say.
func (s *stage) packet() []byte {
	info := codecOf(s.sides[0].codec, s.sides[0].rate, 0).Info
	n := int(rtp.Units(s.sides[0].ptime, info.SampleRate))
	pcm := s.said[:min(n, len(s.said))]
	s.said = s.said[len(pcm):]
	for len(pcm) < n {
		pcm = append(slices.Clip(pcm), make([]int16, n-len(pcm))...)
	}
	size, err := s.encoder.Encode(s.payload[rtp.HeaderSize:], pcm)
	if err != nil {
		s.t.Fatal(err)
	}
	b := s.header(s.payload[:rtp.HeaderSize+size], info.PT)
	s.time += uint32(rtp.Units(s.sides[0].ptime, info.ClockRate))
	return b
}

func (s *stage) header(b []byte, pt uint8) []byte {
	b[0], b[1] = 0x80, pt
	binary.BigEndian.PutUint16(b[2:], s.seq)
	binary.BigEndian.PutUint32(b[4:], s.time)
	binary.BigEndian.PutUint32(b[8:], s.ssrc)
	s.seq++
	return b
}

// receive lets a datagram of the party come in now.
func (s *stage) receive(b []byte) {
	s.w.receive(&s.legs[0].media, []datagram{{from: s.legs[0].agreed.Remote, data: b}}, 0)
}

// run lets the party speak for so long. Fate says how long a packet is under way,
// -1 that it is lost; nil = nothing happens.
func (s *stage) run(d time.Duration, fate func() time.Duration) {
	for end := s.elapsed + d; s.elapsed < end; s.elapsed += ms {
		for s.next <= s.elapsed {
			b, late := s.packet(), time.Duration(0)
			if fate != nil {
				late = fate()
			}
			if late >= 0 {
				s.pending = append(s.pending, flying{s.next + late, slices.Clone(b)})
			}
			s.next += s.sides[0].ptime
		}
		s.arrivals()
		s.w.wheel.advance(s.elapsed, s.w.fire)
	}
}

func (s *stage) arrivals() {
	slices.SortStableFunc(s.pending, func(a, b flying) int { return int(a.at - b.at) })
	for len(s.pending) > 0 && s.pending[0].at <= s.elapsed {
		s.receive(s.pending[0].data)
		s.pending = s.pending[1:]
	}
}

// heard is what the listener hears: PCM in the order of RTP time, at its codec's
// rate, with the time when its first sample was sent. It checks the numbers.
func (s *stage) heard() (pcm []int16, begin time.Duration) {
	s.t.Helper()
	side := s.sides[1]
	info := codecOf(side.codec, side.rate, 0).Info
	decoder, err := codec.NewDecoder(mono(info))
	if err != nil {
		s.t.Fatal(err)
	}
	frame := make([]int16, 48*120)
	var origin uint32
	var seq uint16
	first := true
	for _, k := range s.wire.list {
		if k.to != s.legs[1].agreed.Remote || k.data[1]&0x7f != info.PT {
			continue
		}
		at, number := binary.BigEndian.Uint32(k.data[4:]), binary.BigEndian.Uint16(k.data[2:])
		if first {
			origin, begin, first = at, k.at, false
			if k.data[1]&0x80 == 0 {
				s.t.Error("the first packet is not marked")
			}
		} else if number != seq+1 {
			s.t.Errorf("sequence %d after %d", number, seq)
		}
		seq = number
		n, err := decoder.Decode(frame, k.data[rtp.HeaderSize:])
		if err != nil {
			s.t.Fatal(err)
		}
		place := int(int64(at-origin) * int64(info.SampleRate) / int64(info.ClockRate))
		if place < len(pcm) {
			s.t.Fatalf("a packet overlaps the one before by %d samples", len(pcm)-place)
		}
		pcm = append(pcm, make([]int16, place-len(pcm))...)
		pcm = append(pcm, frame[:n]...)
	}
	return pcm, begin
}

// formats are all that this machine can encode. Only Opus may be missing.
func formats() []side {
	out := []side{{codec: codec.PCMU}, {codec: codec.PCMA}, {codec: codec.L16, rate: 8000}, {codec: codec.L16, rate: 16000}, {codec: codec.G722}}
	if opus, _ := codec.Lookup(codec.Opus, 0); codec.Encodable(opus) {
		out = append(out, side{codec: codec.Opus})
	}
	return out
}

// Whatever a party speaks, in whatever packets, the other one hears all of it, in
// its own codec and packets, once and in order.
func TestEveryoneHearsEveryone(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	ptimes := []time.Duration{10 * ms, 20 * ms, 30 * ms, 40 * ms, 60 * ms}
	for i, speaks := range formats() {
		for k, listens := range formats() {
			speaks.ptime, listens.ptime = ptimes[(i+2*k)%len(ptimes)], ptimes[(i+k)%len(ptimes)]
			speaks.ptime = packetTime(speaks.ptime, codecOf(speaks.codec, speaks.rate, 0).Info)
			t.Run(fmt.Sprintf("%v to %v", speaks, listens), func(t *testing.T) {
				s := newStage(t, speaks, listens)
				s.wire.keep = true
				rate := codecOf(speaks.codec, speaks.rate, 0).SampleRate
				v := audiotest.Voice{ID: 3, Rate: rate}
				s.said = v.Signal(4)
				s.run(1200*ms, nil)
				want := 4
				if listens.codec == codec.Opus {
					want = 2 // telephony's Opus does not keep every tone of a mark
				}
				judged(t, s, want, 2*ms)
			})
		}
	}
}

// judged checks how many marks the listener heard, and where; it returns how long
// after it was said the first one was heard.
func judged(t *testing.T, s *stage, marks int, worst time.Duration) time.Duration {
	t.Helper()
	pcm, begin := s.heard()
	// At 8 kHz, a place between two samples is hard to see.
	r := audio.NewResampler(codecOf(s.sides[1].codec, s.sides[1].rate, 0).SampleRate, 16000)
	v := audiotest.Voice{ID: 3, Rate: 16000}
	got := v.Judge(v.Find(r.Flush(r.Process(nil, pcm))))
	delay := begin + got.Begin
	t.Logf("%v, heard after %v, %s", got, delay, s.legs[0].describe())
	if got.Marks < marks || !got.Order || got.Worst > worst {
		t.Errorf("%v, want %d marks within %v", got, marks, worst)
	}
	return delay
}

// What transcoding costs in time: the buffer, one packet of the peer, the filter.
func TestTheDelayOfTranscodingIsBounded(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	for _, c := range []struct {
		speaks, listens time.Duration
		most            time.Duration
	}{
		{20 * ms, 20 * ms, 45 * ms}, {10 * ms, 10 * ms, 35 * ms}, {20 * ms, 60 * ms, 85 * ms}, {60 * ms, 20 * ms, 45 * ms},
	} {
		s := newStage(t, side{codec: codec.PCMU, ptime: c.speaks}, side{codec: codec.L16, rate: 16000, ptime: c.listens})
		s.wire.keep = true
		s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(8)
		s.run(3*time.Second, nil)
		if got := judged(t, s, 8, ms); got < 20*ms || got > c.most {
			t.Errorf("%v in, %v out: heard after %v, want at most %v", c.speaks, c.listens, got, c.most)
		}
		if h := s.legs[0].stats(); h.Transcoded == 0 || h.Missed != 0 || h.Concealed != 0 {
			t.Errorf("%+v", h)
		}
	}
}

// Loss and jitter of the speaker's network: what came is heard in its place.
func TestTranscodingOfABadNetwork(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	for seed := range uint64(2) {
		s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
		s.wire.keep = true
		s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(40)
		r := rand.New(rand.NewPCG(seed, 2))
		s.run(11*time.Second, func() time.Duration {
			if r.Float64() < 0.05 {
				return -1
			}
			return time.Duration(r.Int64N(int64(40 * ms)))
		})
		// A mark of 228 ms is 12 packets long, so that 46 of 100 are whole.
		if delay := judged(t, s, 10, 60*ms); delay > 120*ms {
			t.Errorf("seed %d: heard after %v", seed, delay)
		}
		h := s.legs[0].stats()
		t.Logf("%+v", h)
		if h.Concealed < 200*ms || h.Concealed > 1800*ms || h.Missed > 20 {
			t.Errorf("seed %d: %v concealed, %d missed", seed, h.Concealed, h.Missed)
		}
	}
}

// A re-INVITE may move the bridge between relay and transcoding, either way and
// more than once, by either leg: no packet is lost, and numbers go on.
func TestTheCodecChangesInTheMiddle(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	mu, wide := side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: codec.L16, rate: 8000, ptime: 20 * ms}
	s := newStage(t, mu, mu)
	s.wire.keep = true
	s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(24)
	s.run(1010*ms, nil)
	relayed := s.legs[1].stats().Sent
	if h := s.legs[0].stats(); h.Transcoded != 0 || relayed < 50 {
		t.Fatalf("%d packets were transcoded, %d sent", h.Transcoded, relayed)
	}
	configureSide := func(i int, with side) {
		n := with.negotiated(i)
		s.legs[i].configure(&n, s.elapsed)
		if i == 0 {
			s.speak(with)
		}
	}
	configureSide(0, wide)
	s.run(1500*ms, nil)
	made := s.legs[0].stats().Transcoded
	if made < 70 || !strings.Contains(s.legs[0].describe(), "jitter") {
		t.Errorf("%d packets were transcoded: %s", made, s.legs[0].describe())
	}
	configureSide(0, mu)
	s.run(1500*ms, nil)
	if h := s.legs[0].stats(); h.Transcoded > made+5 || strings.Contains(s.legs[0].describe(), "jitter") {
		t.Errorf("transcoding goes on: %+v", h)
	}
	s.run(3*time.Second, nil)
	// The way into transcoding costs the delay of the buffer, once: a mark is cut there.
	judged(t, s, 23, 80*ms)
	if s.legs[1].stats().Unsent != 0 {
		t.Errorf("%d packets were not sent", s.legs[1].stats().Unsent)
	}
}

// The listener's side may change too, to another rate.
func TestTheListenersCodecChanges(t *testing.T) {
	s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: codec.L16, rate: 8000, ptime: 20 * ms})
	s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(24)
	s.run(time.Second, nil)
	s.sides[1] = side{codec: codec.L16, rate: 16000, ptime: 40 * ms}
	n := s.sides[1].negotiated(1)
	s.legs[1].configure(&n, s.elapsed)
	s.wire.keep = true
	s.run(6*time.Second, nil)
	pcm, _ := s.heard()
	v := audiotest.Voice{ID: 3, Rate: 16000}
	if got := v.Judge(v.Find(pcm)); got.Marks < 19 || !got.Order || got.Worst > ms {
		t.Errorf("%v", got)
	}
}

// Digits pass at once, with the clock of the other side, once each; no audio is
// sent beside them, and it goes on after them.
func TestDigitsPassATranscoder(t *testing.T) {
	s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: codec.L16, rate: 16000, ptime: 20 * ms, event: 48000})
	s.wire.keep = true
	s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(4)
	s.run(500*ms, nil)
	start := s.time
	for step := range 5 {
		b := make([]byte, rtp.HeaderSize+4)
		end := byte(0)
		if step == 4 {
			end = 0x80
		}
		s.time = start
		s.header(b, 101)
		if step == 0 {
			b[1] |= 0x80
		}
		copy(b[rtp.HeaderSize:], []byte{5, 10 | end, 0, byte(160 * (step + 1) >> 8)})
		binary.BigEndian.PutUint16(b[rtp.HeaderSize+2:], uint16(160*(step+1)))
		s.receive(b)
		for range 20 {
			s.elapsed += ms
			s.w.wheel.advance(s.elapsed, s.w.fire)
		}
		s.next += 20 * ms
	}
	s.time = start + 5*160
	s.run(500*ms, nil)
	var events []sent
	between := 0
	for _, k := range s.wire.list {
		switch {
		case k.data[1]&0x7f == 101:
			events = append(events, k)
		case len(events) > 0 && len(events) < 5:
			between++
		}
	}
	if len(events) != 5 || between != 0 {
		t.Fatalf("%d packets of the digit, %d of audio between them", len(events), between)
	}
	for i, k := range events {
		payload := k.data[rtp.HeaderSize:]
		if got, want := binary.BigEndian.Uint16(payload[2:]), uint16(960*(i+1)); got != want || payload[0] != 5 {
			t.Errorf("packet %d: digit %d, duration %d, want %d", i, payload[0], got, want)
		}
		if marked := k.data[1]&0x80 != 0; marked != (i == 0) {
			t.Errorf("packet %d: marker %t", i, marked)
		}
		if at := binary.BigEndian.Uint32(k.data[4:]); at != binary.BigEndian.Uint32(events[0].data[4:]) {
			t.Errorf("packet %d: another time", i)
		}
	}
	last := s.wire.list[len(s.wire.list)-1]
	if last.data[1]&0x7f == 101 || last.at < s.elapsed-40*ms {
		t.Error("audio does not go on after the digit")
	}
}

// A party that sends comfort noise is heard as noise of its level by one that
// knows no such thing, and within the band that the packet describes: the clock rate
// of CN is 8 kHz, whatever the party speaks otherwise.
func TestComfortNoiseIsHeard(t *testing.T) {
	for _, speaks := range []side{
		{codec: codec.PCMU, ptime: 20 * ms, noise: true},
		{codec: codec.G722, ptime: 20 * ms, noise: true},
		{codec: codec.L16, rate: 48000, ptime: 10 * ms, noise: true},
	} {
		s := newStage(t, speaks, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
		s.said = audiotest.Voice{ID: 3, Rate: s.legs[0].agreed.Send.SampleRate}.Signal(2)
		s.run(500*ms, nil)
		b := append(s.header(make([]byte, rtp.HeaderSize), 13), 40)
		s.receive(b)
		s.next = 1 << 60
		s.run(200*ms, nil)
		s.wire.keep = true
		s.run(2*time.Second, nil)
		pcm := make([]int16, 0)
		for _, k := range s.wire.list {
			if k.to != s.legs[1].agreed.Remote {
				continue // a report
			}
			payload := k.data[rtp.HeaderSize:]
			for i := 0; i+1 < len(payload); i += 2 {
				pcm = append(pcm, int16(binary.BigEndian.Uint16(payload[i:])))
			}
		}
		level := audio.Measure(pcm).RMS
		if len(pcm) < 31000 || level < -43 || level > -38 {
			t.Errorf("%v: %d samples at %.1f dBov, want −40", speaks, len(pcm), level)
		}
		// At half the rate only what lies below 4 kHz is left: all of it.
		r := audio.NewResampler(16000, 8000)
		if low := audio.Measure(r.Flush(r.Process(nil, pcm))).RMS; low < level-1 {
			t.Errorf("%v: %.1f of %.1f dBov lie below 4 kHz", speaks, low, level)
		}
	}
}

// A hold of either side does no harm, and what was said before it is not heard
// after it.
func TestHoldWhileTranscoding(t *testing.T) {
	s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
	s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(12)
	s.run(time.Second, nil)
	n := s.sides[1].negotiated(1)
	n.Held = true
	s.legs[1].configure(&n, s.elapsed)
	before := s.legs[1].stats().Sent
	s.run(time.Second, nil)
	if got := s.legs[1].stats().Sent; got != before {
		t.Errorf("%d packets were sent to who holds", got-before)
	}
	n.Held = false
	s.legs[1].configure(&n, s.elapsed)
	s.wire.keep = true
	s.run(2*time.Second, nil)
	pcm, _ := s.heard()
	v := audiotest.Voice{ID: 3, Rate: 16000}
	if got := v.Judge(v.Find(pcm)); got.Marks < 3 || !got.Order || got.Worst > ms {
		t.Errorf("%v", got)
	}
}

func TestAPacketOfATranscoderAllocatesNothing(t *testing.T) {
	for _, listens := range formats()[2:] {
		s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, side{codec: listens.codec, rate: listens.rate, ptime: 20 * ms})
		turn := s.steady()
		for range 500 {
			turn()
		}
		if got := testing.AllocsPerRun(1000, turn); got != 0 {
			t.Errorf("%s: %v allocations a packet", listens.codec, got)
		}
		if s.legs[0].stats().Transcoded < 1000 {
			t.Errorf("only %d packets were transcoded", s.legs[0].stats().Transcoded)
		}
	}
}

// steady lets one packet in, and what is due out.
func (s *stage) steady() func() {
	b := slices.Clone(s.packet())
	batch := []datagram{{from: s.legs[0].agreed.Remote, data: b}}
	units := uint32(rtp.Units(s.sides[0].ptime, codecOf(s.sides[0].codec, s.sides[0].rate, 0).ClockRate))
	return func() {
		s.elapsed += s.sides[0].ptime
		s.time += units
		s.header(b, b[1]&0x7f)
		s.w.receive(&s.legs[0].media, batch, 0)
		// Reports allocate; they are not what is measured.
		s.w.wheel.cancel(&s.legs[0].timers[controlTimer])
		s.w.wheel.cancel(&s.legs[1].timers[controlTimer])
		s.w.wheel.advance(s.elapsed, s.w.fire)
	}
}

func BenchmarkTranscode(b *testing.B) {
	for _, speaks := range formats() {
		for _, listens := range formats() {
			speaks.ptime, listens.ptime = 20*ms, 20*ms
			b.Run(fmt.Sprintf("%s-%d to %s-%d", speaks.codec, speaks.rate, listens.codec, listens.rate), func(b *testing.B) {
				turn := newStage(b, speaks, listens).steady()
				b.ReportAllocs()
				for b.Loop() {
					turn()
				}
			})
		}
	}
}
