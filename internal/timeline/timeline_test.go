package timeline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const rate = 8000

// sent is a packet with the time at which its audio really began.
type sent struct {
	Packet
	truth time.Duration
	lost  bool
}

// wire is a simulated party and network. The zero value is perfect.
type wire struct {
	ppm     float64 // how fast the sender's clock is
	jitter  time.Duration
	loss    float64
	dup     float64
	seed    uint64
	ssrc    uint32
	first   uint16
	time    uint32
	begin   time.Duration
	ptime   time.Duration
	latency time.Duration
}

// speak makes the packets of so many frames.
func (w *wire) speak(frames int) []sent {
	if w.ptime == 0 {
		w.ptime = 20 * time.Millisecond
	}
	rnd := rand.New(rand.NewPCG(w.seed, 1))
	ticks := int(w.ptime * rate / time.Second)
	var out []sent
	for i := range frames {
		begin := w.begin + time.Duration(float64(i)*float64(w.ptime)/(1+w.ppm/1e6))
		p := sent{truth: begin, Packet: Packet{
			SSRC: w.ssrc, Seq: w.first + uint16(i), Time: w.time + uint32(i*ticks), Rate: rate, Ticks: ticks,
			Arrival: begin + w.ptime + w.latency,
		}}
		if w.jitter > 0 {
			p.Arrival += time.Duration(rnd.Int64N(int64(w.jitter)))
		}
		p.lost = rnd.Float64() < w.loss
		out = append(out, p)
		if rnd.Float64() < w.dup {
			p.Arrival += time.Duration(rnd.Int64N(int64(50 * time.Millisecond)))
			out = append(out, p)
		}
	}
	return out
}

// place runs both passes and returns the placements of what arrived, in the
// order of arrival, with the packets.
func place(packets []sent) (*Map, *Placer, []sent, []Placement) {
	var got []sent
	for _, p := range packets {
		if !p.lost {
			got = append(got, p)
		}
	}
	slices.SortStableFunc(got, func(a, b sent) int { return int(a.Arrival - b.Arrival) })
	s := NewSurvey()
	for _, p := range got {
		s.Add(p.Packet)
	}
	m := s.Finish()
	placer := m.Placer(rate)
	var out []Placement
	for _, p := range got {
		out = append(out, placer.Place(p.Packet))
	}
	return m, placer, got, out
}

func toSamples(d time.Duration) int64 { return int64(math.Round(d.Seconds() * rate)) }

// errors returns by how many samples each placed packet is off its truth.
func offsets(got []sent, at []Placement) (out []int64) {
	for i := range got {
		if at[i].Verdict == Placed || at[i].Verdict == Late {
			out = append(out, at[i].Start-toSamples(got[i].truth))
		}
	}
	return out
}

func worst(offsets []int64) (most int64) {
	for _, o := range offsets {
		most = max(most, abs(o))
	}
	return most
}

func TestNothingMovesUnderLossJitterReorderAndRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wire{
			jitter: time.Duration(rapid.IntRange(0, 200).Draw(t, "jitter ms")) * time.Millisecond,
			loss:   rapid.Float64Range(0, 0.3).Draw(t, "loss"),
			dup:    rapid.Float64Range(0, 0.2).Draw(t, "dup"),
			seed:   rapid.Uint64().Draw(t, "seed"),
			first:  rapid.Uint16().Draw(t, "seq"),
			time:   rapid.Uint32().Draw(t, "time"),
			begin:  time.Duration(rapid.IntRange(0, 1000).Draw(t, "begin ms")) * time.Millisecond,
		}
		packets := w.speak(1500)
		// DTX: some spurts are not sent, RTP time goes on, sequence numbers do not.
		if rapid.Bool().Draw(t, "dtx") {
			packets = dtx(packets, rapid.IntRange(10, 400).Draw(t, "spurt"))
		}
		_, placer, got, at := place(packets)
		seen := map[uint16]bool{}
		var unique []int64
		for i := range got {
			switch at[i].Verdict {
			case Duplicate:
				if !seen[got[i].Seq] {
					t.Fatalf("packet %d is no duplicate", got[i].Seq)
				}
			case Stray, Silent:
				t.Fatalf("packet %d became %d", got[i].Seq, at[i].Verdict)
			default:
				if seen[got[i].Seq] {
					t.Fatalf("packet %d was placed twice", got[i].Seq)
				}
				unique = append(unique, at[i].Start-toSamples(got[i].truth))
			}
			seen[got[i].Seq] = true
		}
		// All move by the same amount, and by less than 5 ms.
		if lo, hi := slices.Min(unique), slices.Max(unique); hi-lo > 3*rate/1000 || worst(unique) > 5*rate/1000 {
			t.Fatalf("offsets %d to %d samples", lo, hi)
		}
		sentSeqs := map[uint16]bool{}
		var low, high uint16 = got[0].Seq, got[0].Seq
		for _, p := range got {
			sentSeqs[p.Seq] = true
			if int16(p.Seq-high) > 0 {
				high = p.Seq
			}
			if int16(p.Seq-low) < 0 {
				low = p.Seq
			}
		}
		if want := int64(high-low) + 1 - int64(len(sentSeqs)); placer.Lost() != want && got[0].Seq == low {
			t.Fatalf("%d packets counted as lost, %d were", placer.Lost(), want)
		}
	})
}

// dtx drops every other spurt of so many packets, and numbers the rest on.
func dtx(packets []sent, spurt int) []sent {
	var out []sent
	var gone uint16
	at, last, quiet := 0, uint16(0), false
	for i, p := range packets {
		if i == 0 || p.Seq != last { // no repetition
			if quiet = (at/spurt)%2 == 1; quiet {
				gone++
			}
			at++
		}
		if last = p.Seq; !quiet {
			p.Seq -= gone
			out = append(out, p)
		}
	}
	return out
}

func TestAudioEndsAtArrival(t *testing.T) {
	w := wire{begin: 30 * time.Millisecond}
	_, _, got, at := place(w.speak(50))
	for i := range got {
		if end := at[i].Start + at[i].Length; end != toSamples(got[i].Arrival) {
			t.Fatalf("packet %d ends at %d, arrived at %d", i, end, toSamples(got[i].Arrival))
		}
	}
}

func TestDriftIsFollowed(t *testing.T) {
	for ppm, hours := range map[float64]int{-300: 8, 300: 8, -40: 2, 15: 2} {
		w := wire{ppm: ppm, jitter: 60 * time.Millisecond, loss: 0.02, seed: 7, ptime: 60 * time.Millisecond}
		m, _, got, at := place(w.speak(hours * 60000))
		if off := worst(offsets(got, at)); off > 5*rate/1000 {
			t.Errorf("%+.0f ppm over %d h: worst offset %d samples", ppm, hours, off)
		}
		if d := m.DriftPPM(); math.Abs(d-ppm) > 0.5 {
			t.Errorf("%+.0f ppm was taken for %+.2f", ppm, d)
		}
		for i := 1; i < len(at); i++ {
			if at[i].Verdict == Placed && abs(at[i].Length-480) > 1 {
				t.Fatalf("packet of %d samples", at[i].Length)
			}
		}
	}
}

// In half a minute of much jitter the earliest packets can lie as those of a sound
// card do that is slow by 150 ppm. A minute of a clock that really is off tells.
func TestJitterIsNoDrift(t *testing.T) {
	jitter := wire{jitter: 157 * time.Millisecond, loss: 0.125, dup: 0.09375, seed: 0x59aad2fd39a6}
	if m, _, _, _ := place(jitter.speak(1500)); m.DriftPPM() != 0 {
		t.Errorf("jitter was taken for a drift of %+.0f ppm", m.DriftPPM())
	}
	jitter.ppm = 300
	m, _, got, at := place(jitter.speak(3000))
	if d := m.DriftPPM(); math.Abs(d-jitter.ppm) > 50 {
		t.Errorf("%+.0f ppm was taken for %+.2f", jitter.ppm, d)
	}
	if off := worst(offsets(got, at)); off > 5*rate/1000 {
		t.Errorf("worst offset %d samples", off)
	}
}

func TestNeighboursTouchWhileDriftIsCorrected(t *testing.T) {
	w := wire{ppm: 300}
	_, _, _, at := place(w.speak(10 * 60 * 50))
	for i := 1; i < len(at); i++ {
		if at[i].Start != at[i-1].Start+at[i-1].Length {
			t.Fatalf("packet %d begins at %d, the one before ends at %d", i, at[i].Start, at[i-1].Start+at[i-1].Length)
		}
	}
}

func TestFrozenClockInsertsSilence(t *testing.T) {
	for _, stall := range []time.Duration{400 * time.Millisecond, 3 * time.Second, 244 * time.Second} {
		for _, jitter := range []time.Duration{0, 80 * time.Millisecond} {
			packets := (&wire{jitter: jitter, seed: 3}).speak(2000)
			for i := 1000; i < len(packets); i++ {
				packets[i].truth += stall
				packets[i].Arrival += stall
			}
			m, _, got, at := place(packets)
			if off := worst(offsets(got, at)); off > 5*rate/1000 {
				t.Errorf("stall %s, jitter %s: worst offset %d samples; %+v", stall, jitter, off, m)
			}
		}
	}
}

// A short stall is told from jitter by what comes long after it.
func TestShortStallIsFound(t *testing.T) {
	packets := (&wire{jitter: 10 * time.Millisecond, seed: 3}).speak(3000)
	for i := 1500; i < len(packets); i++ {
		packets[i].truth += 120 * time.Millisecond
		packets[i].Arrival += 120 * time.Millisecond
	}
	m, _, got, at := place(packets)
	if off := worst(offsets(got, at)); off > 5*rate/1000 {
		t.Errorf("worst offset %d samples; %+v", off, m)
	}
}

// A congested network holds packets back and then delivers them: RTP time wins.
func TestCongestionMovesNothing(t *testing.T) {
	for _, held := range []int{20, 100, 200} { // packets held back
		packets := (&wire{jitter: 5 * time.Millisecond, seed: 5}).speak(4000)
		free := packets[1000+held].Arrival
		for i := 1000; i < 1000+held; i++ {
			packets[i].Arrival = free
		}
		_, _, got, at := place(packets)
		if off := worst(offsets(got, at)); off > 5*rate/1000 {
			t.Errorf("%d packets held: worst offset %d samples", held, off)
		}
	}
}

// A call may begin in a congested network, which gets better: what was said then stays
// before what was said next, and none of it is laid over the other.
func TestCongestionAtTheStartMovesNothing(t *testing.T) {
	for _, delay := range []time.Duration{30 * time.Millisecond, 136 * time.Millisecond, 240 * time.Millisecond, 800 * time.Millisecond} {
		for _, lasts := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 7 * time.Second, 80 * time.Second} {
			for _, jitter := range []time.Duration{0, 20 * time.Millisecond} {
				packets := (&wire{jitter: jitter, seed: 11}).speak(int((lasts + 10*time.Second) / (20 * time.Millisecond)))
				for i := range packets {
					// It lasts, and is worked off within half a second.
					easing := min(max(0, lasts-packets[i].truth), 500*time.Millisecond)
					packets[i].Arrival += delay * easing / (500 * time.Millisecond)
				}
				m, _, got, at := place(packets)
				if off := worst(offsets(got, at)); off > 5*rate/1000 {
					t.Errorf("%s for %s, jitter %s: worst offset %d samples; %+v", delay, lasts, jitter, off, m)
				}
			}
		}
	}
}

func TestBurstAtStartIsPlacedByItsTime(t *testing.T) {
	packets := (&wire{}).speak(1000)
	for i := range 60 { // 1.2 s buffered by the sender
		packets[i].Arrival = packets[60].Arrival
	}
	_, _, got, at := place(packets)
	if off := worst(offsets(got, at)); off > 0 {
		t.Errorf("worst offset %d samples", off)
	}
}

func TestJumpsAnchorAnew(t *testing.T) {
	jumps := map[string]func(*Packet){
		"time ahead":        func(p *Packet) { p.Time += 90000 },
		"time back":         func(p *Packet) { p.Time -= 123456 },
		"time far":          func(p *Packet) { p.Time += 1 << 31 },
		"sequence":          func(p *Packet) { p.Seq += 20000 },
		"sequence and time": func(p *Packet) { p.Seq -= 5000; p.Time += 777777 },
		"SSRC":              func(p *Packet) { p.SSRC = 99; p.Time += 4711; p.Seq = p.Seq*3 + 7 - p.Seq*2 },
	}
	for name, jump := range jumps {
		for _, jitter := range []time.Duration{0, 60 * time.Millisecond} {
			packets := (&wire{jitter: jitter, seed: 9}).speak(1500)
			for i := 700; i < len(packets); i++ {
				jump(&packets[i].Packet)
			}
			m, placer, got, at := place(packets)
			if off := worst(offsets(got, at)); off > 20*rate/1000 || len(offsets(got, at)) != 1500 {
				t.Errorf("%s, jitter %s: worst offset %d samples, %d placed; %+v", name, jitter, off, len(offsets(got, at)), m)
			}
			if placer.Lost() != 0 {
				t.Errorf("%s: %d packets counted as lost", name, placer.Lost())
			}
		}
	}
}

func TestStraysAreDropped(t *testing.T) {
	packets := (&wire{seed: 2}).speak(500)
	old := packets[250]
	old.SSRC = 0xdead
	wild := packets[300]
	wild.Time += 1 << 30
	wild.Seq += 7000
	packets = append(packets, old, wild)
	_, _, got, at := place(packets)
	strays := 0
	for i := range at {
		if at[i].Verdict == Stray {
			strays++
		}
	}
	if off := worst(offsets(got, at)); off > 0 || strays != 2 {
		t.Errorf("worst offset %d samples, %d strays", off, strays)
	}
}

func TestAFewPacketsAreKeptWhenTheyAreAll(t *testing.T) {
	_, _, got, at := place((&wire{}).speak(1))
	if len(offsets(got, at)) != 1 {
		t.Error("the only packet was dropped")
	}
}

func TestHoldKeepsItsLength(t *testing.T) {
	packets := (&wire{}).speak(1000)
	hold := 4 * time.Hour
	for i := 500; i < len(packets); i++ { // RTP time goes on during the hold
		packets[i].truth += hold
		packets[i].Arrival += hold
		packets[i].Time += uint32(hold.Seconds() * rate)
	}
	_, placer, got, at := place(packets)
	if off := worst(offsets(got, at)); off > 0 || placer.Lost() != 0 {
		t.Errorf("worst offset %d samples, %d lost", off, placer.Lost())
	}
}

func TestPacketTimeAndClockRateMayChange(t *testing.T) {
	a := (&wire{}).speak(200)
	b := (&wire{ptime: 30 * time.Millisecond, first: 200, time: 200 * 160, begin: 4 * time.Second}).speak(200)
	c := (&wire{first: 400, begin: 10 * time.Second}).speak(200)
	for i := range c {
		c[i].Rate, c[i].Ticks, c[i].Time = 48000, 960, uint32(9999+i*960)
	}
	_, _, got, at := place(append(append(a, b...), c...))
	if off := worst(offsets(got, at)); off > 0 || len(offsets(got, at)) != 600 {
		t.Errorf("worst offset %d samples of %d packets", off, len(offsets(got, at)))
	}
}

// What was sent before a change of the codec, and arrives after it, belongs where it
// was spoken, and moves nothing else.
func TestLatePacketsOfTheClockRateBefore(t *testing.T) {
	const late = 130 * time.Millisecond
	const changes, back = 50, 60 // frames at which the codec changes
	for name, at := range map[string]map[int]bool{
		"the last before the change":   {49: true},
		"several before the change":    {45: true, 47: true, 48: true, 49: true},
		"the first behind it":          {50: true, 51: true},
		"around both changes":          {48: true, 49: true, 50: true, 58: true, 59: true, 60: true, 61: true},
		"all but one of the short one": {50: true, 51: true, 52: true, 53: true, 55: true, 56: true, 57: true, 58: true, 59: true},
		"beyond both changes":          {57: true, 58: true, 59: true, 62: true},
	} {
		a := (&wire{}).speak(changes)
		b := (&wire{first: changes, begin: time.Second}).speak(back - changes)
		c := (&wire{first: back, begin: 1200 * time.Millisecond}).speak(50)
		for i := range b {
			b[i].Rate, b[i].Ticks, b[i].Time = 16000, 320, uint32(changes*160+i*320)
		}
		for i := range c {
			c[i].Time = uint32(changes*160 + (back-changes)*320 + i*160)
		}
		all := slices.Concat(a, b, c)
		for i := range all {
			if at[i] {
				all[i].Arrival += late
			}
		}
		_, placer, got, places := place(all)
		off := offsets(got, places)
		if len(off) != len(all) || worst(off) != 0 || placer.Lost() != 0 {
			t.Errorf("%s: %d of %d packets are placed, worst offset %d samples", name, len(off), len(all), worst(off))
		}
	}
}

func TestDigitsCountButAreNotPlaced(t *testing.T) {
	packets := (&wire{}).speak(100)
	for i := 40; i < 50; i++ {
		packets[i].Ticks, packets[i].Time = 0, packets[40].Time
	}
	_, placer, got, at := place(packets)
	if off := worst(offsets(got, at)); off > 0 || len(offsets(got, at)) != 90 || placer.Lost() != 0 {
		t.Errorf("worst offset %d, %d placed, %d lost", off, len(offsets(got, at)), placer.Lost())
	}
}

func TestMemoryOfADay(t *testing.T) {
	s := NewSurvey()
	for _, p := range (&wire{}).speak(3600 * 50) {
		s.Add(p.Packet)
	}
	for _, st := range s.streams {
		if n := len(st.runs[0].points); n > 3601 {
			t.Errorf("%d points for an hour", n)
		}
	}
}

func TestWildPacketsNeverPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		var packets []sent
		now := time.Duration(0)
		for range n {
			now += time.Duration(rapid.Int64Range(-int64(time.Second), int64(time.Minute)).Draw(t, "dt"))
			packets = append(packets, sent{Packet: Packet{
				Arrival: now, SSRC: rapid.Uint32Range(0, 2).Draw(t, "ssrc"), Seq: rapid.Uint16().Draw(t, "seq"),
				Time: rapid.Uint32().Draw(t, "time"), Rate: rapid.SampledFrom([]int{0, 8000, 48000}).Draw(t, "rate"),
				Ticks: rapid.IntRange(0, 5760).Draw(t, "ticks"),
			}})
		}
		_, _, got, at := place(packets)
		for i := range got {
			if at[i].Verdict > Late {
				continue
			}
			late := toSamples(got[i].Arrival) - at[i].Start - at[i].Length
			if late > int64(MaxLate/time.Second)*rate+rate || late < -rate {
				t.Fatalf("packet that arrived at %s is %d samples late", got[i].Arrival, late)
			}
		}
	})
}

func TestPlaceAllocatesNothing(t *testing.T) {
	placer, next := placing600(t)
	if got := testing.AllocsPerRun(1000, func() { placer.Place(next()) }); got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}

// placing600 returns a placer of a stream of ten minutes, and its packets.
func placing600(t testing.TB) (*Placer, func() Packet) {
	t.Helper()
	m, _, got, _ := place((&wire{jitter: 20 * time.Millisecond, loss: 0.01}).speak(50 * 600))
	if len(m.Streams) != 1 {
		t.Fatalf("%d streams", len(m.Streams))
	}
	i := 0
	return m.Placer(rate), func() Packet {
		p := got[i%len(got)].Packet
		i++
		return p
	}
}

// BenchmarkSurvey is a packet of the first pass, with its part of the fit at the
// end.
func BenchmarkSurvey(b *testing.B) {
	_, next := placing600(b)
	s := NewSurvey()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if s.Add(next()); i%(50*590) == 50*590-1 {
			s.Finish()
			s = NewSurvey()
		}
	}
}

// BenchmarkPlace is a packet of the second pass.
func BenchmarkPlace(b *testing.B) {
	placer, next := placing600(b)
	b.ReportAllocs()
	for b.Loop() {
		placer.Place(next())
	}
}
