package timeline

import (
	"testing"
	"time"
)

// Where the numbers jump, packets from before and from after the jump arrive
// among each other. Each is placed.
func TestPacketsMixedAroundAJumpAreAllPlaced(t *testing.T) {
	for name, jump := range map[string]uint32{
		"far": 1 << 30, "two seconds ahead": 2 * rate, "two seconds back": -2 * rate & (1<<32 - 1), "half a second back": -rate / 2 & (1<<32 - 1),
	} {
		for _, slow := range [][]int{{699}, {698}, {697, 699}, {690, 694, 699}} {
			packets := (&wire{ssrc: 1}).speak(1500)
			for i := 700; i < len(packets); i++ {
				packets[i].Time += jump
				packets[i].Seq += 5000
			}
			for k, i := range slow {
				packets[i].Arrival = packets[701+2*k].Arrival + time.Millisecond
			}
			m, _, got, at := place(packets)
			if off := offsets(got, at); len(off) != len(packets) || worst(off) > 1 {
				t.Errorf("%s, packets %d overtaken: %d of %d placed, at worst %d samples off; %+v", name, slow, len(off), len(packets), worst(off), m)
			}
		}
	}
}

// A jump soon after a stall does not hide the stall.
func TestJumpSoonAfterAStall(t *testing.T) {
	const still = 2 * time.Second
	for after := 60; after <= 400; after += 85 {
		packets := (&wire{ssrc: 1, jitter: 20 * time.Millisecond, seed: 4}).speak(2000)
		for i := 700; i < len(packets); i++ {
			packets[i].truth += still
			packets[i].Arrival += still
			if i >= 700+after {
				packets[i].Time += 1 << 30
			}
		}
		m, _, got, at := place(packets)
		if off := offsets(got, at); len(off) != len(packets) || worst(off) > 20*rate/1000 {
			t.Errorf("%d packets after the stall: %d of %d placed, at worst %d samples off; %+v", after, len(off), len(packets), worst(off), m)
		}
	}
}

// Stalls that follow each other soon are each found where they were, by sender
// reports: one does not hide the next.
func TestReportsFindStallsSoonAfterEachOther(t *testing.T) {
	for _, apart := range []int{300, 400, 650} { // packets between two stalls
		packets := (&wire{ssrc: 1, jitter: 15 * time.Millisecond, seed: 6}).speak(2500)
		stalls := map[int]time.Duration{500: 2400 * time.Millisecond, 500 + apart: 1900 * time.Millisecond, 500 + 2*apart: 1400 * time.Millisecond}
		s := NewSurvey()
		var by time.Duration
		for i := range packets {
			p := &packets[i]
			by += stalls[i]
			p.truth += by
			p.Arrival += by
			s.Add(p.Packet)
			if i%220 == 219 || stalls[i] > 0 {
				s.Report(Report{Arrival: p.Arrival, SSRC: 1, NTP: ntp(p.truth + 20*time.Millisecond), Time: p.Time + 160})
			}
		}
		m := s.Finish()
		placer := m.Placer(rate)
		for i := range packets {
			at := placer.Place(packets[i].Packet)
			if off := at.Start - toSamples(packets[i].truth); at.Verdict > Late || abs(off) > 20*rate/1000 {
				t.Fatalf("%d packets apart: packet %d became %d, %d samples off; %+v", apart, i, at.Verdict, off, m)
			}
		}
	}
}

// ntp is a sender's wall clock.
func ntp(d time.Duration) uint64 {
	return uint64(d/time.Second+1000)<<32 | uint64(d%time.Second)<<32/uint64(time.Second)
}

// Where packets became shorter between two stalls, the second is still found
// where it was.
func TestStallAfterShorterPackets(t *testing.T) {
	first := (&wire{ssrc: 1, jitter: 15 * time.Millisecond, seed: 8}).speak(1000)
	second := (&wire{
		ssrc: 1, jitter: 15 * time.Millisecond, seed: 9, ptime: 10 * time.Millisecond,
		first: 1000, time: 160 * 1000, begin: 20 * time.Second,
	}).speak(2000)
	packets := append(first, second...)
	for i := range packets {
		var by time.Duration
		if i >= 400 {
			by = 2 * time.Second
		}
		if i >= 2037 {
			by += 1500 * time.Millisecond
		}
		packets[i].truth += by
		packets[i].Arrival += by
	}
	m, _, got, at := place(packets)
	if off := offsets(got, at); len(off) != len(packets) || worst(off) > 20*rate/1000 {
		t.Errorf("%d of %d placed, at worst %d samples off; %+v", len(off), len(packets), worst(off), m)
	}
}

// A stall a little shorter than what makes a new run of itself is found by reports,
// though jitter leaves hardly a packet after it in the run.
func TestReportsFindAStallThatHidesItsPackets(t *testing.T) {
	for seed := range uint64(10) {
		packets := (&wire{ssrc: 1, jitter: 100 * time.Millisecond, seed: seed}).speak(2500)
		s := NewSurvey()
		for i := range packets {
			p := &packets[i]
			if i >= 1180 {
				p.truth += 245 * time.Millisecond
				p.Arrival += 245 * time.Millisecond
			}
			s.Add(p.Packet)
			if i%200 == 199 {
				s.Report(Report{Arrival: p.Arrival, SSRC: 1, NTP: ntp(p.truth + 20*time.Millisecond), Time: p.Time + 160})
			}
		}
		m := s.Finish()
		placer := m.Placer(rate)
		for i := range packets {
			at := placer.Place(packets[i].Packet)
			if off := at.Start - toSamples(packets[i].truth); at.Verdict > Late || i != 1180 && abs(off) > 20*rate/1000 {
				t.Fatalf("seed %d: packet %d became %d, %d samples off; %+v", seed, i, at.Verdict, off, m)
			}
		}
	}
}

// A network that is congested at the end of one talk spurt and at the beginning of
// the next, minutes later, was not congested all the time between: the delay is no
// step of the sender's clock.
func TestCongestionOnBothSidesOfAPauseIsNoStep(t *testing.T) {
	const talk, pause, spurts = 1500, 13500, 12 // packets: half a minute every five
	packets := (&wire{ssrc: 1, ppm: 300, jitter: 5 * time.Millisecond, seed: 3}).speak(spurts * (talk + pause))
	var said []sent
	for i, p := range packets {
		spurt, n := i/(talk+pause), i%(talk+pause)
		if n >= talk {
			continue
		}
		if spurt == 6 && n >= talk-400 || spurt == 7 && n < 60 {
			p.Arrival += 50 * time.Millisecond
		}
		p.Seq = uint16(len(said))
		said = append(said, p)
	}
	m, _, got, at := place(said)
	if off := offsets(got, at); len(off) != len(said) || worst(off) > 20*rate/1000 {
		t.Errorf("%d of %d placed, at worst %d samples off; %+v", len(off), len(said), worst(off), m)
	}
}

// A queue that grows at the end of a call is no step: a few seconds do not tell it
// from a sender that stood still, where the network's queue grows and shrinks.
func TestCongestionAtTheEndIsNoStep(t *testing.T) {
	packets := (&wire{ssrc: 1, jitter: time.Millisecond, seed: 3}).speak(64 * 50)
	queue := []int{0, 31, 2, 12, 30, 0, 23, 44, 10, 2, 0, 24, 2, 0, 12, 0} // ms, by the second
	for i := range packets {
		p := &packets[i]
		by := queue[i/50%len(queue)]
		if last := i/50 - 60; last >= 0 {
			by = []int{62, 61, 45, 49}[last]
		}
		p.Arrival += time.Duration(by) * time.Millisecond
	}
	m, _, got, at := place(packets)
	if off := offsets(got, at); len(off) != len(packets) || worst(off) > 20*rate/1000 {
		t.Errorf("%d of %d placed, at worst %d samples off; %+v", len(off), len(packets), worst(off), m)
	}
}

// A sender that was kept from sending catches up, and nothing moves. Its report
// from while it was behind tells of a clock that stood still, and is not believed:
// what it sends afterwards comes as early as before.
func TestReportOfASenderThatIsBehindIsNotBelieved(t *testing.T) {
	for _, last := range []bool{false, true} { // the report is the last one
		for _, behind := range []time.Duration{60 * time.Millisecond, 190 * time.Millisecond, 400 * time.Millisecond} {
			packets := (&wire{ssrc: 1, jitter: 2 * time.Millisecond, seed: 3}).speak(700)
			s := NewSurvey()
			const stopped = 487
			until := packets[stopped].Arrival + behind
			for i := range packets {
				p := &packets[i]
				if i >= stopped {
					p.Arrival = max(p.Arrival, until+time.Duration(i-stopped)*100*time.Microsecond)
				}
				s.Add(p.Packet)
				if i%250 == 0 || i == stopped+1 {
					if last && i > stopped+1 {
						continue
					}
					s.Report(Report{Arrival: p.Arrival, SSRC: 1, NTP: ntp(p.Arrival), Time: p.Time})
				}
			}
			m := s.Finish()
			placer := m.Placer(rate)
			for i := range packets {
				at := placer.Place(packets[i].Packet)
				if off := at.Start - toSamples(packets[i].truth); at.Verdict > Late || abs(off) > 5*rate/1000 {
					t.Fatalf("%s behind, last report %t: packet %d became %d, %d samples off; %+v", behind, last, i, at.Verdict, off, m)
				}
			}
		}
	}
}
