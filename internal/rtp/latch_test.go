package rtp_test

import (
	"net/netip"
	"testing"

	"tapedeck/internal/rtp"
)

const moved = "192.0.2.1:5006" // another port of peer

// talk lets the peer say n packets of stream 7 and returns the next number.
func (e *ear) talk(n uint16) uint16 {
	e.t.Helper()
	for i := range n {
		e.want(rtp.Audio, peer, pcmu, 1000+i, uint32(i)*160, 7)
	}
	return n
}

// A peer whose port or host changes without a word is lost for as long as it takes to
// know that it does not speak from the old place any more, and not for seconds.
func TestAPeerThatMovesIsHeardSoon(t *testing.T) {
	for name, test := range map[string]struct {
		to   string
		lost uint16 // packets of 20 ms
	}{
		"to another port": {moved, 9},
		"to another host": {nat, 24},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEar(t, peer)
			n := e.talk(50)
			epoch := e.Epoch()
			for range test.lost {
				e.want(rtp.Foreign, test.to, pcmu, 1000+n, uint32(n)*160, 7)
				n++
			}
			e.want(rtp.Held, test.to, pcmu, 1000+n, uint32(n)*160, 7)
			e.want(rtp.Audio, test.to, pcmu, 1001+n, uint32(n+1)*160, 7)
			first := e.Released()
			if first == nil || uint16(first.Seq) != 1000+n || e.Target() != addr(test.to) {
				t.Fatalf("released %+v, target %s", first, e.Target())
			}
			if e.Epoch() != epoch || e.Lost() != uint64(test.lost) {
				t.Errorf("epoch changed by %d, %d packets lost, want %d", e.Epoch()-epoch, e.Lost(), test.lost)
			}
			e.want(rtp.Audio, test.to, pcmu, 1002+n, uint32(n+2)*160, 7)
		})
	}
}

// Nobody takes over a stream that is quiet for a moment without knowing how it goes on.
func TestAMomentOfSilenceIsNotEnoughForAThief(t *testing.T) {
	const pause = 1200 * ms // below QuietAfter, also at the end
	next := uint32(50 + pause/(20*ms))
	for name, attack := range map[string]struct {
		seq  uint16 // of the first packet
		time uint32
		step uint32 // of the time, from packet to packet
		ssrc uint32
		pt   uint8
	}{
		"all right but the SSRC":       {1000 + uint16(next), next * 160, 160, 8, pcmu},
		"SSRC guessed, number wrong":   {31000, next * 160, 160, 7, pcmu},
		"SSRC guessed, number too far": {1000 + uint16(next) + 300, next * 160, 160, 7, pcmu},
		"the last packet again":        {1049, 49 * 160, 160, 7, pcmu},
		"old packets again":            {1010, 10 * 160, 160, 7, pcmu},
		"number right, time wrong":     {1000 + uint16(next), next*160 + 1<<20, 160, 7, pcmu},
		"number right, time stands":    {1000 + uint16(next), 49 * 160, 0, 7, pcmu},
		"number right, time back":      {1000 + uint16(next), 0, 160, 7, pcmu},
		"events have no time":          {1000 + uint16(next), next * 160, 0, 7, event},
		"unknown payload type":         {1000 + uint16(next), next * 160, 160, 7, 96},
	} {
		for who, from := range map[string]string{"port": moved, "host": thief} {
			t.Run(name+", another "+who, func(t *testing.T) {
				e := newEar(t, peer)
				e.talk(50)
				e.at += pause
				for i := range uint16(20) {
					e.want(rtp.Foreign, from, attack.pt, attack.seq+i, attack.time+uint32(i)*attack.step, attack.ssrc)
				}
				n := next + 20
				e.want(rtp.Audio, peer, pcmu, 1000+uint16(n), n*160, 7)
				if e.Target() != addr(peer) {
					t.Errorf("target %s", e.Target())
				}
			})
		}
	}
}

// One packet that goes on with the stream is no run, and a source that speaks keeps its
// latch whatever others know of the stream.
func TestAThiefThatHearsTheStreamDoesNotOvertakeIt(t *testing.T) {
	e := newEar(t, peer)
	n := uint32(e.talk(50))
	for ; n < 250; n++ {
		e.want(rtp.Foreign, moved, pcmu, 1000+uint16(n), n*160, 7)
		e.want(rtp.Audio, peer, pcmu, 1000+uint16(n), n*160, 7)
	}
	e.at += 300 * ms
	n += 17
	e.want(rtp.Held, moved, pcmu, 1000+uint16(n), n*160, 7)
	e.want(rtp.Audio, peer, pcmu, 1001+uint16(n), n*160+160, 7)
	e.want(rtp.Foreign, moved, pcmu, 1002+uint16(n), n*160+320, 7)
	if e.Target() != addr(peer) {
		t.Errorf("target %s", e.Target())
	}
}

// After the stated silence anybody may come, as before.
func TestAfterLongSilenceTheStreamNeedNotGoOn(t *testing.T) {
	e := newEar(t, peer)
	e.talk(5)
	e.at += rtp.QuietAfter
	for i, want := range []rtp.Verdict{rtp.Held, rtp.Audio} {
		e.want(want, another, pcmu, uint16(i), uint32(i)*160, 99)
	}
	if got := e.Source(); got != netip.MustParseAddrPort(another) || e.Counts().Foreign != 0 {
		t.Errorf("source %s, %+v", got, e.Counts())
	}
}
