package jitter_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/jitter"
	"tapedeck/internal/testkit"
)

const ms = time.Millisecond

// network is a simulated sender and what lies between: everything is a function
// of the packet's number.
type network struct {
	frame  time.Duration
	rate   int
	drift  float64                           // of the sender's clock, ppm
	fate   func(n int) []time.Duration       // delays of the copies; nil = {0}
	sends  func(n int) bool                  // false: DTX, neither packet nor number
	time   func(n int, t uint64) uint64      // changes the RTP time; nil = as it is
	number func(n int, seq uint64) uint64    // changes the sequence; nil = as it is
	class  func(n int) jitter.Class          // nil = Audio
	before func(n int, b *jitter.Buffer)     // called when packet n arrives
	length time.Duration                     // of the call; 0 = 20 s
	tick   time.Duration                     // of the listener; 0 = frame
	path   time.Duration                     // constant part of the way
	late   func(tick int) time.Duration      // how late a tick runs
	moment func(n int) (time.Duration, bool) // when a packet is sent, instead of on the grid

	came map[int]time.Duration // arrival of the packets that were put, by number
	put  uint64
}

type arrival struct {
	at time.Duration
	n  int
	p  jitter.Packet
}

// heard is one item as the listener got it.
type heard struct {
	jitter.Item
	at time.Duration // when it is heard
	n  int           // number of the packet, for Frame
}

// arrivals is everything that comes, in the order of arrival.
func (w *network) arrivals() []arrival {
	var out []arrival
	seq := uint64(1<<16 | 100)
	for n := 0; time.Duration(n)*w.frame < w.length; n++ {
		if w.sends != nil && !w.sends(n) {
			continue
		}
		sent := time.Duration(float64(n) * float64(w.frame) / (1 + w.drift*1e-6))
		if w.moment != nil {
			if at, ok := w.moment(n); ok {
				sent = at
			}
		}
		p := jitter.Packet{
			Seq: seq, Time: 1<<32 + uint64(n)*uint64(w.frame)*uint64(w.rate)/uint64(time.Second),
			ClockRate: w.rate, Length: w.frame, Payload: binary.BigEndian.AppendUint32(nil, uint32(n)),
		}
		seq++
		if w.time != nil {
			p.Time = w.time(n, p.Time)
		}
		if w.number != nil {
			p.Seq = w.number(n, p.Seq)
		}
		if w.class != nil {
			p.Class = w.class(n)
		}
		copies := []time.Duration{0}
		if w.fate != nil {
			copies = w.fate(n)
		}
		for _, d := range copies {
			p.Arrival = sent + w.path + d
			out = append(out, arrival{at: p.Arrival, n: n, p: p})
		}
	}
	slices.SortStableFunc(out, func(a, b arrival) int { return int(a.at - b.at) })
	return out
}

// run lets a listener with a packet time of its own hear the stream.
func (w *network) run(b *jitter.Buffer) []heard {
	if w.length == 0 {
		w.length = 20 * time.Second
	}
	if w.tick == 0 {
		w.tick = w.frame
	}
	b.SetLead(w.tick)
	w.came = map[int]time.Duration{}
	queue := w.arrivals()
	var out []heard
	have := time.Duration(0) // what the listener has in hand beyond the tick
	for k := 0; ; k++ {
		tick := 3*ms + time.Duration(k)*w.tick
		if tick > w.length {
			return out
		}
		now := tick
		if w.late != nil {
			now += w.late(k)
		}
		for len(queue) > 0 && queue[0].at <= now {
			if w.before != nil {
				w.before(queue[0].n, b)
			}
			b.Put(queue[0].p)
			w.put++
			if _, again := w.came[queue[0].n]; !again {
				w.came[queue[0].n] = queue[0].at
			}
			queue = queue[1:]
		}
		for have < w.tick {
			it := b.Pop(tick + have)
			h := heard{Item: it, at: tick + have, n: -1}
			if it.Kind == jitter.Frame {
				h.n = int(binary.BigEndian.Uint32(it.Payload))
			}
			if len(it.Next) > 0 {
				h.n = int(binary.BigEndian.Uint32(it.Next)) - 1
			}
			h.Payload, h.Next = nil, slices.Clone(it.Next)
			out = append(out, h)
			if it.Kind == jitter.Nothing {
				have = w.tick
			}
			have += it.Length + time.Duration(it.Slew)*it.Length/jitter.SlewPart
		}
		have -= w.tick
	}
}

// story sums up what was heard.
type story struct {
	frames        int
	lost, silence time.Duration
	worst, last   time.Duration // latency of frames against the undisturbed way
	order         bool
	slews         int
}

func tell(w *network, items []heard) story {
	s := story{order: true}
	newest := -1
	for _, h := range items {
		switch h.Kind {
		case jitter.Frame:
			s.frames++
			s.order = s.order && h.n > newest
			newest = h.n
			sent := time.Duration(float64(h.n) * float64(w.frame) / (1 + w.drift*1e-6))
			if w.moment != nil {
				if at, ok := w.moment(h.n); ok {
					sent = at
				}
			}
			s.last = h.at - sent - w.path
			s.worst = max(s.worst, s.last)
			if h.Slew != 0 {
				s.slews++
			}
		case jitter.Loss:
			s.lost += h.Length
		case jitter.Silence:
			s.silence += h.Length
		}
	}
	return s
}

// seeded makes fates that are the same in every run.
func seeded(seed uint64, loss float64, jitter time.Duration) func(int) []time.Duration {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(int) []time.Duration {
		d, lost := time.Duration(r.Int64N(int64(jitter)+1)), r.Float64() < loss
		if lost {
			return nil
		}
		return []time.Duration{d}
	}
}

// What listeners hear of streams that the network treats in all ways: nothing
// twice, nothing out of order, no more latency than needed.
func TestStreams(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	frames := int(20 * time.Second / (20 * ms))
	for name, c := range map[string]struct {
		w           network
		frames      [2]int           // least and most frames heard
		lost        [2]time.Duration // least and most concealed
		silence     time.Duration    // at most, besides that of the start
		worst, last time.Duration    // latency at most
	}{
		"undisturbed": {
			network{}, [2]int{frames - 4, frames}, [2]time.Duration{0, 0}, 0, 45 * ms, 45 * ms,
		},
		"ten milliseconds in, sixty out": {
			network{frame: 10 * ms, tick: 60 * ms}, [2]int{2*frames - 12, 2 * frames}, [2]time.Duration{0, 60 * ms}, 0, 90 * ms, 90 * ms,
		},
		"sixty in, ten out": {
			network{frame: 60 * ms, tick: 10 * ms}, [2]int{frames/3 - 3, frames / 3}, [2]time.Duration{0, 60 * ms}, 0, 60 * ms, 40 * ms,
		},
		"opus clock": {
			network{rate: 48000}, [2]int{frames - 4, frames}, [2]time.Duration{0, 0}, 0, 45 * ms, 45 * ms,
		},
		"jitter of 40 ms": {
			network{fate: seeded(1, 0, 40*ms)}, [2]int{frames - 12, frames}, [2]time.Duration{0, 150 * ms}, 0, 120 * ms, 90 * ms,
		},
		"jitter of 100 ms": {
			network{fate: seeded(2, 0, 100*ms)}, [2]int{frames - 20, frames}, [2]time.Duration{0, 300 * ms}, 0, 190 * ms, 150 * ms,
		},
		"loss of 5 % and jitter of 40 ms": {
			network{fate: seeded(3, 0.05, 40*ms)}, [2]int{frames * 93 / 100, frames * 97 / 100}, [2]time.Duration{700 * ms, 1400 * ms}, 0, 120 * ms, 95 * ms,
		},
		"loss of 30 %": {
			network{fate: seeded(4, 0.3, 0)}, [2]int{frames * 65 / 100, frames * 75 / 100}, [2]time.Duration{4 * time.Second, 7 * time.Second}, time.Second, 60 * ms, 45 * ms,
		},
		"everything twice": {
			network{fate: func(int) []time.Duration { return []time.Duration{0, 12 * ms} }},
			[2]int{frames - 4, frames}, [2]time.Duration{0, 40 * ms}, 0, 60 * ms, 60 * ms,
		},
		"every fourth is overtaken": {
			network{fate: func(n int) []time.Duration { return []time.Duration{time.Duration(n%4/3) * 30 * ms} }},
			[2]int{frames - 6, frames}, [2]time.Duration{0, 100 * ms}, 0, 100 * ms, 80 * ms,
		},
		"one packet is late by 150 ms, then the delay falls again": {
			network{fate: func(n int) []time.Duration {
				return []time.Duration{time.Duration(boolean(n == 100)) * 150 * ms}
			}},
			[2]int{frames - 12, frames}, [2]time.Duration{20 * ms, 300 * ms}, 0, 200 * ms, 160 * ms,
		},
		"the sender is fast by 300 ppm": {
			network{drift: 300, length: 10 * time.Minute}, [2]int{30*frames - 4, 30*frames + 10}, [2]time.Duration{0, 60 * ms}, 180 * ms, 50 * ms, 50 * ms, // it has said all before the end
		},
		"the sender is slow by 300 ppm": {
			network{drift: -300, length: 10 * time.Minute}, [2]int{30*frames - 14, 30 * frames}, [2]time.Duration{0, 40 * ms}, 0, 50 * ms, 50 * ms,
		},
		"half a second of silence every two, numbers go on": {
			network{sends: func(n int) bool { return n%100 < 75 }}, [2]int{frames*3/4 - 12, frames * 3 / 4},
			[2]time.Duration{300 * ms, 700 * ms}, 5 * time.Second, 60 * ms, 50 * ms,
		},
		"the path becomes longer by 80 ms": {
			network{fate: after(500, 80*ms)}, [2]int{frames - 12, frames}, [2]time.Duration{40 * ms, 200 * ms}, 0, 190 * ms, 140 * ms,
		},
		"the path becomes longer by 400 ms": {
			network{fate: after(500, 400*ms)}, [2]int{frames - 60, frames}, [2]time.Duration{40 * ms, 300 * ms}, 1500 * ms, 700 * ms, 480 * ms,
		},
		"a stall of 300 ms, then all at once": {
			network{fate: burst(500, 515)}, [2]int{frames - 16, frames}, [2]time.Duration{20 * ms, 100 * ms}, 400 * ms, 300 * ms, 230 * ms,
		},
		"RTP time jumps by an hour": {
			network{time: func(n int, t uint64) uint64 { return t + uint64(n/500)*3600*8000 }},
			[2]int{frames - 6, frames}, [2]time.Duration{0, 40 * ms}, 40 * ms, 60 * ms, 50 * ms,
		},
		"RTP time falls back by an hour": {
			network{time: func(n int, t uint64) uint64 { return t + uint64(1-min(n/500, 1))*3600*8000 }},
			[2]int{frames - 6, frames}, [2]time.Duration{0, 40 * ms}, 40 * ms, 60 * ms, 50 * ms,
		},
		"the sender stood still for 5 s, and so did its clock": {
			network{moment: func(n int) (time.Duration, bool) {
				return time.Duration(n)*20*ms + time.Duration(n/500)*5*time.Second, n >= 500
			}},
			[2]int{frames - 256, frames - 245}, [2]time.Duration{40 * ms, 80 * ms}, 5 * time.Second, 60 * ms, 50 * ms,
		},
		"another stream begins": {
			network{
				number: func(n int, seq uint64) uint64 { return seq + uint64(n/500)*7777 },
				time:   func(n int, t uint64) uint64 { return t + uint64(n/500)*77777 },
				before: func(n int, b *jitter.Buffer) {
					if n == 500 {
						b.Restart()
					}
				},
			}, [2]int{frames - 6, frames}, [2]time.Duration{0, 20 * ms}, 20 * ms, 60 * ms, 50 * ms,
		},
		"the listener is late by up to 15 ms": {
			network{late: func(k int) time.Duration { return time.Duration(k*7%16) * ms }},
			[2]int{frames - 4, frames}, [2]time.Duration{0, 0}, 0, 60 * ms, 50 * ms,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.w
			if w.frame == 0 {
				w.frame = 20 * ms
			}
			if w.rate == 0 {
				w.rate = 8000
			}
			w.path = 30 * ms
			b := jitter.New(jitter.Options{})
			s := tell(&w, w.run(b))
			t.Logf("%+v, delay %v, %+v", s, b.Delay(), b.Counts())
			if s.frames < c.frames[0] || s.frames > c.frames[1] {
				t.Errorf("%d frames, want %v", s.frames, c.frames)
			}
			if s.lost < c.lost[0] || s.lost > c.lost[1] {
				t.Errorf("%v concealed, want %v", s.lost, c.lost)
			}
			if most := c.silence + 40*ms; s.silence > most {
				t.Errorf("%v of silence, want at most %v", s.silence, most)
			}
			if s.worst > c.worst || s.last > c.last {
				t.Errorf("latency %v at worst and %v at the end, want at most %v and %v", s.worst, s.last, c.worst, c.last)
			}
			if !s.order {
				t.Error("out of order")
			}
		})
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// after holds everything back from a packet on.
func after(n int, d time.Duration) func(int) []time.Duration {
	return func(k int) []time.Duration {
		if k < n {
			return []time.Duration{0}
		}
		return []time.Duration{d}
	}
}

// burst holds a run of packets back until the last one of it.
func burst(from, to int) func(int) []time.Duration {
	return func(k int) []time.Duration {
		if k < from || k > to {
			return []time.Duration{0}
		}
		return []time.Duration{time.Duration(to-k) * 20 * ms}
	}
}
