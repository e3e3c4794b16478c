package jitter_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"tapedeck/internal/jitter"
)

// Events beside the audio, of another clock: the audio stays in its place, without a
// gap, on a network with jitter.
func TestMarksOfAnotherClock(t *testing.T) {
	b := jitter.New(jitter.Options{})
	r := rand.New(rand.NewPCG(1, 2))
	type packet struct {
		at   time.Duration
		mark bool
		seq  uint64
		time uint64
	}
	var way []packet
	seq := uint64(1 << 16)
	for i := range 400 {
		sent := time.Duration(i) * 20 * time.Millisecond
		way = append(way, packet{sent + time.Duration(r.IntN(30))*time.Millisecond, false, seq, 1<<32 + uint64(i)*160})
		seq++
		if i >= 200 {
			way = append(way, packet{sent + time.Duration(r.IntN(30))*time.Millisecond, true, seq, 1 << 33})
			seq++
		}
	}
	pop, gaps := time.Duration(0), 0
	for now := time.Duration(0); now < 8*time.Second; now += time.Millisecond {
		for _, p := range way {
			if p.at != now {
				continue
			}
			k := jitter.Packet{Seq: p.seq, Time: p.time, Arrival: now, ClockRate: 8000, Length: 20 * time.Millisecond, Payload: []byte{1}}
			if p.mark {
				k.Class, k.ClockRate, k.Payload = jitter.Mark, 48000, nil
			}
			b.Put(k)
		}
		for pop <= now {
			it := b.Pop(now)
			if it.Length == 0 {
				break
			}
			if now > 4*time.Second && it.Kind != jitter.Frame {
				gaps++
			}
			pop += it.Length
		}
		if pop < now-time.Second {
			pop = now
		}
	}
	if c := b.Counts(); gaps > 2 || c.Late+c.Skipped > 0 {
		t.Errorf("%d gaps, %+v", gaps, c)
	}
}
