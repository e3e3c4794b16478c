package rtp_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/rtp"
)

const (
	pcmu  = 0
	event = 101
	noise = 13
	ms    = time.Millisecond
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func formats() []rtp.Format {
	return []rtp.Format{
		{PT: pcmu, Kind: rtp.Audio, ClockRate: 8000},
		{PT: event, Kind: rtp.Event, ClockRate: 8000},
		{PT: noise, Kind: rtp.Noise, ClockRate: 8000},
	}
}

// datagram makes an RTP packet; the payload is the sequence number, repeated.
func datagram(pt uint8, seq uint16, ts, ssrc uint32) []byte {
	b := make([]byte, 12+160)
	b[0], b[1] = 0x80, pt
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	for i := 12; i < len(b); i += 2 {
		binary.BigEndian.PutUint16(b[i:], seq)
	}
	return b
}

// ear is a receiver with a clock: 20 ms pass before every packet.
type ear struct {
	t testing.TB
	rtp.Receiver
	at   time.Duration
	last rtp.Received
}

func newEar(t testing.TB, remote string) *ear {
	e := &ear{t: t, at: time.Second}
	e.SetFormats(formats(), e.at)
	if remote != "" {
		e.SetRemote(addr(remote), e.at)
	}
	return e
}

func (e *ear) hear(from string, pt uint8, seq uint16, ts, ssrc uint32) rtp.Verdict {
	e.at += 20 * ms
	return e.Receive(&e.last, datagram(pt, seq, ts, ssrc), addr(from), e.at)
}

// want hears a packet and checks the verdict.
func (e *ear) want(v rtp.Verdict, from string, pt uint8, seq uint16, ts, ssrc uint32) {
	e.t.Helper()
	if got := e.hear(from, pt, seq, ts, ssrc); got != v {
		e.t.Fatalf("packet %d of %#x from %s is %s, want %s", seq, ssrc, from, got, v)
	}
}

const (
	peer    = "192.0.2.1:5004"
	nat     = "203.0.113.9:61000"
	thief   = "198.51.100.7:40000"
	another = "192.0.2.2:7000"
)

func TestTheNegotiatedAddressIsTrustedAtOnce(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	if e.Source() != addr(peer) || e.Released() != nil {
		t.Errorf("source %s", e.Source())
	}
}

func TestAnotherAddressIsLatchedAfterARun(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Held, nat, pcmu, 1, 0, 7)
	if e.Target() != addr(peer) {
		t.Errorf("target %s after one packet", e.Target())
	}
	e.want(rtp.Audio, nat, pcmu, 2, 160, 7)
	first := e.Released()
	if first == nil || uint16(first.Seq) != 1 || first.Verdict != rtp.Audio || first.Arrival != e.at-20*ms {
		t.Fatalf("the first packet is lost: %+v", first)
	}
	if e.Target() != addr(nat) {
		t.Errorf("target %s, want the latched source", e.Target())
	}
	e.want(rtp.Audio, nat, pcmu, 3, 320, 7)
	if e.Released() != nil {
		t.Error("a packet is released twice")
	}
	if c := e.Counts(); c.Received != 3 || c.Foreign != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAPacketThatWaitedTooLongIsNotReleased(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Held, nat, pcmu, 1, 0, 7)
	e.at += time.Second
	e.want(rtp.Audio, nat, pcmu, 2, 8160, 7)
	if e.Released() != nil || e.Counts().Foreign != 1 || e.Counts().Received != 1 {
		t.Errorf("released %+v, %+v", e.Released(), e.Counts())
	}
}

func TestAStrangerDoesNotStealALatch(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	for i := range uint16(200) {
		e.want(rtp.Foreign, thief, pcmu, 100+i, uint32(i)*160, 7)
		e.want(rtp.Audio, peer, pcmu, 2+i, uint32(i)*160, 7)
	}
	if e.Target() != addr(peer) || e.Counts().Foreign != 200 {
		t.Errorf("target %s, %+v", e.Target(), e.Counts())
	}
}

func TestAQuietSourceIsReplacedByARun(t *testing.T) {
	e := newEar(t, "")
	e.want(rtp.Held, nat, pcmu, 1, 0, 7)
	e.want(rtp.Audio, nat, pcmu, 2, 160, 7)
	e.at += rtp.QuietAfter - 40*ms
	e.want(rtp.Foreign, thief, pcmu, 1, 0, 8) // quiet for less
	e.want(rtp.Held, another, pcmu, 1, 0, 9)  // quiet long enough
	e.want(rtp.Held, thief, pcmu, 9, 0, 8)    // one packet each is no run
	e.want(rtp.Held, another, pcmu, 2, 160, 9)
	e.want(rtp.Audio, another, pcmu, 3, 320, 9)
	if e.Source() != addr(another) {
		t.Errorf("source %s", e.Source())
	}
	e.want(rtp.Foreign, nat, pcmu, 3, 320, 7) // the former one is a stranger now
}

func TestTheNegotiatedAddressTakesOverFromAnyone(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Held, thief, pcmu, 1, 0, 8)
	e.want(rtp.Audio, thief, pcmu, 2, 160, 8)
	e.want(rtp.Held, peer, pcmu, 1, 0, 7) // a new SSRC waits for the next packet
	e.want(rtp.Audio, peer, pcmu, 2, 160, 7)
	if e.Released() == nil || e.Source() != addr(peer) {
		t.Errorf("source %s", e.Source())
	}
	e.want(rtp.Foreign, thief, pcmu, 3, 320, 8)
}

func TestRenegotiationFreesTheLatch(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.SetRemote(addr(another), e.at)
	if e.Target() != addr(another) {
		t.Errorf("target %s, want the new address", e.Target())
	}
	e.want(rtp.Audio, peer, pcmu, 2, 160, 7) // still heard until the new one comes
	e.want(rtp.Held, another, pcmu, 50, 0, 9)
	e.want(rtp.Audio, another, pcmu, 51, 160, 9)
	e.want(rtp.Foreign, peer, pcmu, 3, 320, 7)
	if e.Source() != addr(another) {
		t.Errorf("source %s", e.Source())
	}
}

func TestRenegotiationBehindNAT(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.SetRemote(addr(another), e.at)
	e.want(rtp.Held, nat, pcmu, 2, 160, 7) // the same stream, from elsewhere
	e.want(rtp.Audio, nat, pcmu, 3, 320, 7)
	e.want(rtp.Foreign, peer, pcmu, 4, 480, 7)
	if e.Target() != addr(nat) {
		t.Errorf("target %s", e.Target())
	}
}

func TestAPeerThatStaysWhereItIsKeepsItsLatch(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.SetRemote(addr(another), e.at)
	for i := range uint16(150) { // 3 s
		e.want(rtp.Audio, peer, pcmu, 2+i, 160, 7)
	}
	e.want(rtp.Foreign, thief, pcmu, 1, 0, 8)
	if e.Target() != addr(peer) {
		t.Errorf("target %s", e.Target())
	}
}

func TestHoldWithoutAddressKeepsTheLatch(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.SetRemote(netip.AddrPort{}, e.at)
	e.SetRemote(addr(peer), e.at)
	e.want(rtp.Foreign, thief, pcmu, 1, 0, 8)
	e.want(rtp.Audio, peer, pcmu, 2, 160, 7)
}

func TestUnknownPayloadTypes(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Unknown, peer, 3, 1, 0, 7)
	e.want(rtp.Foreign, thief, 3, 1, 0, 7)
	e.want(rtp.Audio, peer, pcmu, 2, 0, 7)
	if c := e.Counts(); c.Unknown != 1 || c.Foreign != 1 || c.Received != 1 {
		t.Errorf("%+v", c)
	}
}

func TestFormerPayloadTypesAreUnderstoodALittleLonger(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.SetFormats([]rtp.Format{{PT: 8, Kind: rtp.Audio, ClockRate: 8000}}, e.at)
	e.want(rtp.Audio, peer, pcmu, 2, 160, 7)
	e.want(rtp.Audio, peer, 8, 3, 320, 7)
	if got := len(e.Formats()); got != 4 {
		t.Errorf("%d formats", got)
	}
	e.at += 3 * time.Second
	e.want(rtp.Unknown, peer, pcmu, 4, 480, 7)
	e.SetFormats([]rtp.Format{{PT: 8, Kind: rtp.Audio, ClockRate: 8000}}, e.at)
	if got := len(e.Formats()); got != 1 {
		t.Errorf("%d formats, the former ones should be forgotten", got)
	}
}

func TestSequenceWrapsAndExtends(t *testing.T) {
	const wrapped = 0xffffff00 // 256 before the wrap
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 65534, wrapped, 7)
	first := e.last
	if first.Seq != 1<<16|65534 || first.Time != 1<<32|wrapped {
		t.Fatalf("the first packet is %d/%d", first.Seq, first.Time)
	}
	e.want(rtp.Audio, peer, pcmu, 1, 224, 7)
	if e.last.Seq != first.Seq+3 || e.last.Time != first.Time+480 {
		t.Errorf("across the wrap: %d/%d", e.last.Seq-first.Seq, e.last.Time-first.Time)
	}
	e.want(rtp.Late, peer, pcmu, 65535, wrapped+160, 7)
	if e.last.Seq != first.Seq+1 || e.last.Time != first.Time+160 {
		t.Errorf("late across the wrap: %d/%d", e.last.Seq-first.Seq, e.last.Time-first.Time)
	}
	e.want(rtp.Duplicate, peer, pcmu, 65535, wrapped+160, 7)
	e.want(rtp.Late, peer, pcmu, 65533, wrapped-160, 7) // before the first
	if e.last.Seq != first.Seq-1 || e.last.Time != first.Time-160 {
		t.Errorf("before the first: %d/%d", e.last.Seq, e.last.Time)
	}
	if e.Lost() != 1 || e.Counts().Late != 2 || e.Counts().Duplicate != 1 {
		t.Errorf("lost %d, %+v", e.Lost(), e.Counts())
	}
}

func TestARestartedSequenceIsAnchoredAnew(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 20000, 1000, 7)
	before, epoch := e.last, e.Epoch()
	e.want(rtp.Held, peer, pcmu, 10, 500000, 7)
	e.want(rtp.Audio, peer, pcmu, 11, 500160, 7)
	first := e.Released()
	if first == nil || uint16(first.Seq) != 10 || first.Seq <= before.Seq || e.last.Seq != first.Seq+1 {
		t.Fatalf("released %+v, then %d after %d", first, e.last.Seq, before.Seq)
	}
	if e.Epoch() == epoch {
		t.Error("the epoch did not change")
	}
	if e.Lost() != 0 {
		t.Errorf("a restart counts as %d lost", e.Lost())
	}
}

func TestAStrayPacketOfAnotherSSRCIsDropped(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	epoch := e.Epoch()
	e.want(rtp.Held, peer, pcmu, 900, 0, 99)
	e.want(rtp.Audio, peer, pcmu, 2, 160, 7)
	e.want(rtp.Audio, peer, pcmu, 3, 320, 7)
	e.want(rtp.Held, peer, pcmu, 500, 0, 98)
	if e.Epoch() != epoch || e.Counts().Foreign != 1 {
		t.Errorf("epoch %d, %+v", e.Epoch()-epoch, e.Counts())
	}
}

func TestAnotherSSRCTakesOverAndBack(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	e.want(rtp.Held, peer, pcmu, 500, 0, 8)
	e.want(rtp.Audio, peer, pcmu, 501, 160, 8)
	if ssrc, _ := e.SSRC(); ssrc != 8 {
		t.Fatalf("%d plays", ssrc)
	}
	e.want(rtp.Late, peer, pcmu, 2, 160, 7) // a straggler of the old stream
	e.want(rtp.Audio, peer, pcmu, 502, 320, 8)
	e.want(rtp.Late, peer, pcmu, 3, 320, 7)
	e.want(rtp.Audio, peer, pcmu, 4, 480, 7) // two in a row: it is back
	if ssrc, _ := e.SSRC(); ssrc != 7 || e.last.Seq != 1<<16|4 {
		t.Errorf("%d plays, at %d", ssrc, e.last.Seq)
	}
}

func TestManySSRCsDoNotGrowTheReceiver(t *testing.T) {
	e := newEar(t, peer)
	for ssrc := range uint32(50) {
		for i := range uint16(3) {
			e.hear(peer, pcmu, i, uint32(i)*160, ssrc)
		}
	}
	if c := e.Counts(); c.Received != 150 || e.Lost() != 0 {
		t.Errorf("%+v, lost %d", c, e.Lost())
	}
}

func TestATimestampJumpChangesTheEpoch(t *testing.T) {
	for name, test := range map[string]struct {
		step int64
		jump bool
	}{
		"steady":        {160, false},
		"small gap":     {8000, false},
		"back":          {-160000, true},
		"half an hour":  {1800 * 8000, true},
		"half the wrap": {-1 << 31, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEar(t, peer)
			e.want(rtp.Audio, peer, pcmu, 1, 5000, 7)
			before, epoch := e.last.Time, e.Epoch()
			e.want(rtp.Audio, peer, pcmu, 2, uint32(5000+test.step), 7)
			if jumped := e.Epoch() != epoch; jumped != test.jump {
				t.Errorf("epoch changed: %t", jumped)
			}
			if uint32(e.last.Time) != uint32(5000+test.step) || int64(e.last.Time) < 0 {
				t.Errorf("%d after %d", e.last.Time, before)
			}
		})
	}
}

func TestSilenceOfTheSenderIsNoJump(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 0, 7)
	epoch := e.Epoch()
	e.at += time.Minute // DTX: time goes on, the sequence does not
	e.want(rtp.Audio, peer, pcmu, 2, 60*8000+160, 7)
	if e.Epoch() != epoch || e.Lost() != 0 {
		t.Errorf("epoch %d, lost %d", e.Epoch()-epoch, e.Lost())
	}
}

func TestEventsKeepTheirTime(t *testing.T) {
	e := newEar(t, peer)
	e.want(rtp.Audio, peer, pcmu, 1, 1000, 7)
	epoch := e.Epoch()
	for i := range uint16(5) {
		e.want(rtp.Event, peer, event, 2+i, 1160, 7)
		if e.last.Time != 1<<32|1160 {
			t.Fatalf("event at %d", e.last.Time)
		}
	}
	e.want(rtp.Audio, peer, pcmu, 7, 1160+5*160, 7)
	e.want(rtp.Noise, peer, noise, 8, 1160+6*160, 7)
	if e.Epoch() != epoch {
		t.Error("an event changed the epoch")
	}
}

func TestJitterAndReports(t *testing.T) {
	e := newEar(t, peer)
	if _, ok := e.Reception(e.at); ok {
		t.Error("a report about nothing")
	}
	for i := range uint16(100) {
		if i%2 == 1 {
			e.at += 10 * ms // every other packet 10 ms late
		} else if i > 0 {
			e.at -= 10 * ms
		}
		if i != 50 && i != 51 {
			e.hear(peer, pcmu, i, uint32(i)*160, 7)
		} else {
			e.at += 20 * ms
		}
	}
	if j := e.Jitter(); j < 8*ms || j > 10*ms {
		t.Errorf("jitter %s of packets that are 10 ms off by turns", j)
	}
	e.NoteReport(&rtp.SenderReport{Arrival: e.at, SSRC: 7, NTP: 0x1122334455667788})
	b, ok := e.Reception(e.at + 500*ms)
	if !ok || b.SSRC != 7 || b.Lost != 2 || b.Fraction != 2*256/100 || b.Highest != 99 {
		t.Errorf("%+v", b)
	}
	if b.LastSR != 0x33445566 || b.Delay != 1<<15 {
		t.Errorf("last report %#x, %d/65536 s ago", b.LastSR, b.Delay)
	}
	e.hear(peer, pcmu, 100, 16000, 7)
	if b, _ := e.Reception(e.at); b.Fraction != 0 || b.Lost != 2 {
		t.Errorf("the next interval lost nothing: %+v", b)
	}
}

// Whatever is lost, late or double, every packet that comes is told apart, and
// extended numbers are those of the sender.
func TestExtensionFollowsTheSender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &ear{at: time.Second}
		e.SetFormats(formats(), e.at)
		e.SetRemote(addr(peer), e.at)
		startSeq := rapid.Uint16().Draw(t, "seq")
		startTime := rapid.Uint32().Draw(t, "time")
		seen := map[int]bool{}
		highest := 0
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			i := max(0, highest+rapid.IntRange(-60, 70).Draw(t, "step"))
			if len(seen) == 0 {
				i = 0
			}
			v := e.hear(peer, pcmu, startSeq+uint16(i), startTime+uint32(i)*160, 7)
			want := rtp.Audio
			switch {
			case seen[i]:
				want = rtp.Duplicate
			case i < highest:
				want = rtp.Late
			}
			if v != want {
				t.Fatalf("packet %d after %d is %s, want %s", i, highest, v, want)
			}
			if e.last.Seq != 1<<16+uint64(startSeq)+uint64(i) {
				t.Fatalf("packet %d has number %d", i, e.last.Seq)
			}
			if e.last.Time != 1<<32+uint64(startTime)+uint64(i)*160 {
				t.Fatalf("packet %d has time %d", i, e.last.Time)
			}
			seen[i] = true
			highest = max(highest, i)
		}
		if want := uint64(highest + 1 - len(seen)); e.Lost() != want {
			t.Fatalf("lost %d, want %d", e.Lost(), want)
		}
	})
}

func TestUnitsDoNotOverflow(t *testing.T) {
	year := 365 * 24 * time.Hour
	if got := rtp.Units(year+time.Second/2, 48000); got != 365*24*3600*48000+24000 {
		t.Errorf("%d", got)
	}
	if got := rtp.Units(-time.Second-time.Second/2, 8000); got != -12000 {
		t.Errorf("%d", got)
	}
}

func TestReceiveAllocatesNothing(t *testing.T) {
	e := newEar(t, peer)
	d := datagram(pcmu, 0, 0, 7)
	seq := uint16(0)
	from, stranger := addr(peer), addr(thief)
	got := testing.AllocsPerRun(1000, func() {
		seq++
		binary.BigEndian.PutUint16(d[2:], seq)
		e.at += 20 * ms
		e.Receive(&e.last, d, from, e.at)
		e.Receive(&e.last, d, stranger, e.at)
	})
	if got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}

// BenchmarkClassify is a packet from the wire to its verdict.
func BenchmarkClassify(b *testing.B) {
	e := newEar(b, peer)
	d := datagram(pcmu, 0, 0, 7)
	from := addr(peer)
	seq := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		binary.BigEndian.PutUint16(d[2:], seq)
		binary.BigEndian.PutUint32(d[4:], uint32(seq)*160)
		e.at += 20 * ms
		e.Receive(&e.last, d, from, e.at)
	}
}
