package media

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audiotest"
	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
)

// both agrees that the party may speak two formats, as most peers' offers do.
func (s *stage) both(speaks, too side) {
	n, more := speaks.negotiated(0), too.negotiated(0)
	n.Receive = append(n.Receive, more.Receive[0])
	s.legs[0].configure(&n, s.elapsed)
}

// silentFor lets time go by in which the party sends nothing.
func (s *stage) silentFor(d time.Duration) {
	for end := s.elapsed + d; s.elapsed < end; s.elapsed += ms {
		s.w.wheel.advance(s.elapsed, s.w.fire)
	}
	s.next = s.elapsed
}

// event makes one packet of a digit.
func (s *stage) event(duration uint16) []byte {
	b := s.header(make([]byte, rtp.HeaderSize+4), 101)
	b[rtp.HeaderSize] = 5
	binary.BigEndian.PutUint16(b[rtp.HeaderSize+2:], duration)
	return b
}

// A packet is lost, the next one is that of a digit, and what follows can be
// relayed: the digit's place in the buffer is nothing to wait for.
func TestADigitBehindALossEndsTranscoding(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	wide, mu := side{codec: codec.L16, rate: 16000, ptime: 20 * ms}, side{codec: codec.PCMU, ptime: 20 * ms}
	s := newStage(t, wide, mu)
	s.both(wide, mu)
	s.said = audiotest.Voice{ID: 3, Rate: 16000}.Signal(4)
	s.run(500*ms, nil)
	made := s.legs[0].stats().Transcoded
	if made == 0 {
		t.Fatal("nothing was transcoded")
	}
	s.packet() // lost
	s.time += 16000
	s.receive(s.event(160))
	s.speak(mu)
	s.receive(s.packet())
	got := s.legs[0].stats()
	if s.legs[0].through.running || got.Transcoded > made+10 {
		t.Errorf("transcoding goes on: %d packets more", got.Transcoded-made)
	}
}

// What was counted stays counted when transcoding ends and begins again.
func TestCountsOfTranscodingOnlyGrow(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	wide, mu := side{codec: codec.L16, rate: 16000, ptime: 20 * ms}, side{codec: codec.PCMU, ptime: 20 * ms}
	s := newStage(t, wide, mu)
	s.both(wide, mu)
	i := 0
	s.run(time.Second, func() time.Duration {
		if i++; i%10 == 0 {
			return -1
		}
		return 0
	})
	before := s.legs[0].stats()
	if before.Concealed < 60*ms {
		t.Fatalf("%v concealed", before.Concealed)
	}
	s.speak(mu)
	s.run(100*ms, nil)
	if got := s.legs[0].stats(); s.legs[0].through.running || got.Concealed < before.Concealed || got.Missed < before.Missed {
		t.Errorf("%v concealed and %d missed, before it was %v and %d", got.Concealed, got.Missed, before.Concealed, before.Missed)
	}
}

// A party that changes its payload type with every packet, between one that can be
// relayed and one that cannot: nothing is made anew for each, and nobody gets more
// packets than there is time for.
func TestThePayloadTypeFlips(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	wide, mu := side{codec: codec.L16, rate: 16000, ptime: 20 * ms}, side{codec: codec.PCMU, ptime: 20 * ms}
	s := newStage(t, wide, mu)
	s.both(wide, mu)
	i := 0
	flip := func() {
		s.speak([]side{wide, mu}[i&1])
		i++
		s.run(20*ms, nil)
	}
	for range 100 {
		flip()
	}
	before := s.legs[1].stats().Sent
	for range 250 { // 5 s
		flip()
	}
	// A second of transcoding begins with the delay of its buffer, and ends with it.
	if got := s.legs[1].stats().Sent - before; got < 225 || got > 275 {
		t.Errorf("%d packets were sent in the time of 250", got)
	}
	batches := [2][]datagram{}
	for k, with := range []side{wide, mu} {
		s.speak(with)
		batches[k] = []datagram{{from: s.legs[0].agreed.Remote, data: slices.Clone(s.packet())}}
	}
	k := 0
	turn := func() {
		s.elapsed += ms / 10 // a flood
		b := batches[k&1][0].data
		k++
		s.time += 160
		s.header(b, b[1]&0x7f)
		s.w.receive(&s.legs[0].media, batches[k&1^1], 0)
	}
	for range 100 {
		turn()
	}
	if got := testing.AllocsPerRun(2000, turn); got > 0.01 {
		t.Errorf("%v allocations a packet", got)
	}
}

// RFC 3551 §4.5: a receiver should accept packets of up to 200 ms.
func TestLongPacketsAreHeard(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	for _, ptime := range []time.Duration{160 * ms, 200 * ms} {
		s := newStage(t, side{codec: codec.PCMU, ptime: ptime}, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
		s.wire.keep = true
		s.said = audiotest.Voice{ID: 3, Rate: 8000}.Signal(8)
		s.run(3*time.Second, nil)
		if delay := judged(t, s, 8, ms); delay > 60*ms {
			t.Errorf("packets of %v: heard %v after they came", ptime, delay)
		}
		if h := s.legs[0].stats(); h.Missed != 0 || h.Concealed != 0 {
			t.Errorf("packets of %v: %+v", ptime, h)
		}
	}
}

// A payload type that a re-INVITE gives to another format: what still waits to be
// heard was said in the former one. Read as the other, it would be a loud noise.
func TestAPayloadTypeGetsAnotherMeaning(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	wide := side{codec: codec.L16, rate: 16000, ptime: 20 * ms}
	s := newStage(t, side{codec: codec.PCMA, ptime: 20 * ms}, wide)
	s.wire.keep = true
	s.run(time.Second, nil) // silence, 0xd5 in PCMA: -10795 in L16
	n := s.sides[0].negotiated(0)
	l16 := codecOf(codec.L16, 8000, 0)
	l16.PT = n.Receive[0].PT
	n.Receive[0], n.Send = l16, l16
	s.legs[0].configure(&n, s.elapsed)
	s.silentFor(200 * ms)
	for _, k := range s.wire.list {
		if k.to != s.legs[1].agreed.Remote || k.data[1]&0x7f != wide.negotiated(1).Send.PT {
			continue
		}
		var pcm []int16
		for b := k.data[rtp.HeaderSize:]; len(b) > 1; b = b[2:] {
			pcm = append(pcm, int16(binary.BigEndian.Uint16(b)))
		}
		if peak := audio.Measure(pcm).Peak; peak > -60 {
			t.Fatalf("after %v: %v dB of noise", k.at, peak)
		}
	}
}

// Whatever comes, nothing breaks, and the listener gets packets in step: payloads of
// no or odd length, times that jump, other sources, floods.
func TestHostilePackets(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	for _, speaks := range formats()[2:] { // G.711 is not decoded for G.711
		speaks.ptime = 20 * ms
		t.Run(fmt.Sprint(speaks), func(t *testing.T) {
			s := newStage(t, speaks, side{codec: codec.PCMU, ptime: 20 * ms})
			s.run(400*ms, nil)
			before := s.legs[1].stats().Sent
			random := uint32(1)
			draw := func(n int) int {
				random = random*1664525 + 1013904223
				return int(uint64(random) * uint64(n) >> 32)
			}
			pt := s.sides[0].negotiated(0).Send.PT
			for i := range 1600 { // 0.8 s
				s.elapsed += ms / 2
				for range 5 { // 10,000 packets a second
					b := make([]byte, rtp.HeaderSize+draw(8)*draw(200))
					for k := rtp.HeaderSize; k < len(b); k++ {
						b[k] = byte(draw(256))
					}
					switch draw(12) {
					case 0:
						s.time += uint32(draw(1<<16)) << 15
					case 1:
						s.seq += uint16(draw(1 << 16))
					case 2:
						s.ssrc = uint32(draw(8))
					case 3:
						s.receive(s.header(b, 101))
						continue
					}
					s.time += 160
					s.receive(s.header(b, pt))
				}
				if i%2 == 0 {
					s.w.wheel.advance(s.elapsed, s.w.fire)
				}
			}
			if s.w.faults != 0 {
				t.Errorf("%d faults", s.w.faults)
			}
			t.Logf("%d packets, %v", s.legs[1].stats().Sent-before, s.legs[0].describe())
			s.next = s.elapsed
			s.run(2*time.Second, nil)
			s.wire.keep = true
			s.legs[1].out.Break() // heard wants a marked one
			s.said = audiotest.Voice{ID: 3, Rate: codecOf(speaks.codec, speaks.rate, 0).SampleRate}.Signal(4)
			s.run(1200*ms, nil)
			judged(t, s, 4, 5*ms)
		})
	}
}

// Events that the other side does not take are not lost packets to the buffer.
func TestEventsThatNobodyTakesAreNoLoss(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	s := newStage(t, side{codec: codec.G722, ptime: 20 * ms}, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
	n := s.sides[1].negotiated(1)
	n.Event = nil
	s.legs[1].configure(&n, 0)
	s.run(time.Second, nil)
	for i := range 10 { // instead of audio, as a key that is held for 200 ms
		s.receive(s.event(uint16(160 * i)))
		s.time += 160
		s.silentFor(20 * ms)
	}
	s.run(time.Second, nil)
	if h := s.legs[0].stats(); h.Concealed > 40*ms || h.Missed != 0 || s.legs[1].stats().Unsent != 10 {
		t.Errorf("%v concealed, %d missed, %d not sent", h.Concealed, h.Missed, s.legs[1].stats().Unsent)
	}
}

// Packets of one batch: the second one of a new source lets the first one out, and a
// third source has to wait in its place. What is on its way out stays as it is.
func TestAPacketThatWaitedGoesOutWhole(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	mu := side{codec: codec.PCMU, ptime: 20 * ms}
	s := newStage(t, mu, mu)
	s.run(100*ms, nil)
	s.wire.keep = true
	batch := make([]datagram, 0, 3)
	for i, ssrc := range []uint32{100, 100, 200} {
		b := make([]byte, rtp.HeaderSize+160)
		for k := range b {
			b[k] = byte(0x10 * (i + 1))
		}
		s.ssrc = ssrc
		batch = append(batch, datagram{from: s.legs[0].agreed.Remote, data: s.header(b, 0)})
	}
	s.w.receive(&s.legs[0].media, batch, 0)
	if len(s.wire.list) != 2 {
		t.Fatalf("%d packets went out, want those of the second source", len(s.wire.list))
	}
	for i, k := range s.wire.list {
		if ssrc := binary.BigEndian.Uint32(k.data[8:]); ssrc != s.legs[1].out.SSRC() || k.data[rtp.HeaderSize] != byte(0x10*(i+1)) {
			t.Errorf("packet %d: source %d, payload %#x", i, ssrc, k.data[rtp.HeaderSize])
		}
	}
}
