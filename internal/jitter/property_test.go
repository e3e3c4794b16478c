package jitter_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/jitter"
	"tapedeck/internal/testkit"
)

// Whatever the network does: every packet has one fate, nothing is played twice
// or out of order, what is heard is as long as the time that passed, and the
// latency keeps to its bound.
func TestAnyNetwork(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	rapid.Check(t, func(t *rapid.T) {
		w := &network{
			frame:  rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 30 * ms, 60 * ms}).Draw(t, "frame"),
			tick:   rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms}).Draw(t, "tick"),
			rate:   rapid.SampledFrom([]int{8000, 16000, 44100, 48000}).Draw(t, "rate"),
			drift:  rapid.Float64Range(-300, 300).Draw(t, "drift"),
			length: 5 * time.Second,
			path:   20 * ms,
		}
		loss := rapid.Float64Range(0, 0.5).Draw(t, "loss")
		spread := time.Duration(rapid.IntRange(0, 300).Draw(t, "jitter")) * ms
		single := seeded(rapid.Uint64().Draw(t, "seed"), loss, spread)
		double := rapid.Bool().Draw(t, "double")
		w.fate = func(n int) []time.Duration {
			out := single(n)
			if double && n%7 == 0 {
				out = append(out, 5*ms)
			}
			return out
		}
		quiet := rapid.IntRange(0, 50).Draw(t, "quiet")
		w.sends = func(n int) bool { return n%80 >= quiet }
		jump := rapid.Uint64Range(0, 1<<31).Draw(t, "jump")
		w.time = func(n int, at uint64) uint64 { return at + uint64(n/100)*jump }

		b := jitter.New(jitter.Options{})
		items := w.run(b)
		put, s := w.put, tell(w, items)
		c := b.Counts()
		in := uint64(64)
		if sum := c.Played + c.Late + c.Skipped + c.Duplicate + c.Overflow; sum > put || sum+in < put {
			t.Errorf("%d packets came, %+v has %d", put, c, sum)
		}
		if uint64(s.frames) != c.Played {
			t.Errorf("%d frames were heard, %d counted", s.frames, c.Played)
		}
		if !s.order {
			t.Error("out of order")
		}
		if b.Delay() < 20*ms || b.Delay() > 200*ms+w.tick {
			t.Errorf("delay %v", b.Delay())
		}
		for _, h := range items {
			if h.Kind == jitter.Frame && h.at-w.came[h.n] > 260*ms+w.tick {
				t.Errorf("frame %d waited for %v", h.n, h.at-w.came[h.n])
			}
		}
		for i := 1; i < len(items); i++ {
			if it := items[i]; it.Kind != jitter.Nothing && it.Kind != jitter.Comfort && it.Length <= 0 {
				t.Errorf("item %d has no length: %+v", i, it)
			}
		}
	})
}

// Whatever packets come, whatever their numbers: no panic, no item without end.
func TestAnyPackets(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	rapid.Check(t, func(t *rapid.T) {
		b := jitter.New(jitter.Options{Lead: 20 * ms})
		now := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 100).Draw(t, "pass")) * ms
			if rapid.Bool().Draw(t, "put") {
				b.Put(jitter.Packet{
					Seq: rapid.Uint64().Draw(t, "seq"), Time: rapid.Uint64().Draw(t, "time"), Arrival: now,
					ClockRate: rapid.SampledFrom([]int{0, 8000, 48000}).Draw(t, "rate"),
					Length:    time.Duration(rapid.IntRange(0, 200).Draw(t, "length")) * ms,
					Class:     jitter.Class(rapid.IntRange(0, 2).Draw(t, "class")),
					Payload:   make([]byte, rapid.IntRange(0, 3000).Draw(t, "size")),
				})
			}
			if rapid.IntRange(0, 20).Draw(t, "restart") == 0 {
				b.Restart()
			}
			if it := b.Pop(now); it.Kind != jitter.Nothing && it.Kind != jitter.Comfort && it.Kind != jitter.Frame && it.Length <= 0 {
				t.Fatalf("%+v", it)
			}
		}
	})
}

func TestComfortNoiseAndEvents(t *testing.T) {
	w := &network{
		frame: 20 * ms, rate: 8000, length: 4 * time.Second,
		// Speech, one comfort noise packet, nothing for 380 ms, and again.
		sends: func(n int) bool { return n%50 <= 30 },
		class: func(n int) jitter.Class {
			switch {
			case n%50 == 30:
				return jitter.Noise
			case n%50 >= 10 && n%50 < 15:
				return jitter.Mark
			}
			return jitter.Audio
		},
	}
	b := jitter.New(jitter.Options{})
	comfort := 0
	for _, h := range w.run(b) {
		switch h.Kind {
		case jitter.Loss:
			t.Errorf("a loss at %v: %+v", h.at, h)
		case jitter.Comfort:
			comfort++
		}
	}
	if c := b.Counts(); comfort != 4 || c.Lost != 0 || c.Late != 0 || c.Played < 4*25-3 {
		t.Errorf("%d times comfort noise, %+v", comfort, c)
	}
}

// The packet after a lost one is shown, once and for the frame before it.
func TestALossShowsWhatFollows(t *testing.T) {
	w := &network{
		frame: 20 * ms, rate: 48000, length: 4 * time.Second,
		fate: func(n int) []time.Duration {
			if n > 10 && n%10 == 0 || n%50 == 21 {
				return nil
			}
			return []time.Duration{0}
		},
	}
	shown := map[int]bool{}
	for _, h := range w.run(jitter.New(jitter.Options{})) {
		if h.Kind == jitter.Loss && h.Next != nil {
			if shown[h.n] || h.Length < 15*ms || h.n%10 > 1 {
				t.Errorf("frame %d, %v long, may be recovered (again: %t)", h.n, h.Length, shown[h.n])
			}
			shown[h.n] = true
		}
	}
	if len(shown) < 16 {
		t.Errorf("only %d frames may be recovered", len(shown))
	}
}

func TestAPacketAllocatesNothing(t *testing.T) {
	turn := packets()
	for range 200 {
		turn()
	}
	if got := testing.AllocsPerRun(1000, turn); got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}

// packets lets one packet in and one out.
func packets() func() {
	b := jitter.New(jitter.Options{Lead: 20 * ms})
	p := jitter.Packet{Seq: 1 << 16, Time: 1 << 32, ClockRate: 8000, Length: 20 * ms, Payload: make([]byte, 160)}
	return func() {
		b.Put(p)
		b.Pop(p.Arrival)
		p.Seq++
		p.Time += 160
		p.Arrival += 20 * ms
	}
}

func BenchmarkPacket(b *testing.B) {
	turn := packets()
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}
