package timeline

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawWire is a party with a clock of its own, behind a network.
func drawWire(t *rapid.T) wire {
	return wire{
		jitter: time.Duration(rapid.IntRange(0, 100).Draw(t, "jitter ms")) * time.Millisecond,
		loss:   rapid.Float64Range(0, 0.3).Draw(t, "loss"),
		ppm:    float64(rapid.IntRange(-300, 300).Draw(t, "ppm")),
		seed:   rapid.Uint64().Draw(t, "seed"),
		first:  rapid.Uint16().Draw(t, "seq"),
		time:   rapid.Uint32().Draw(t, "time"),
	}
}

// In the order in which they were sent, packets are placed one after another:
// what was sent next to each other touches to the sample, whatever order they
// came in.
func TestPlacesFollowTheOrderOfSending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWire(t)
		_, _, got, at := place(w.speak(rapid.IntRange(100, 1500).Draw(t, "packets")))
		order := make([]int, len(got))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return int(got[a].truth - got[b].truth) })
		for i := 1; i < len(order); i++ {
			a, b := order[i-1], order[i]
			end := at[a].Start + at[a].Length
			if next := got[b].Seq == got[a].Seq+1; next && at[b].Start != end || at[b].Start < end {
				t.Fatalf("packet %d ends at %d, packet %d begins at %d", got[a].Seq, end, got[b].Seq, at[b].Start)
			}
		}
	})
}

// Repetitions change nothing, wherever they arrive.
func TestRepetitionsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWire(t)
		packets := w.speak(rapid.IntRange(50, 400).Draw(t, "packets"))
		_, _, got, at := place(packets)
		again := slices.Clone(packets)
		for range rapid.IntRange(1, 50).Draw(t, "repetitions") {
			p := packets[rapid.IntRange(0, len(packets)-1).Draw(t, "which")]
			p.Arrival += time.Duration(rapid.IntRange(1, 400).Draw(t, "later ms")) * time.Millisecond
			if !p.lost {
				again = append(again, p)
			}
		}
		_, _, gotAgain, atAgain := place(again)
		want := map[uint16]Placement{}
		for i := range got {
			want[got[i].Seq] = at[i]
		}
		for i := range gotAgain {
			p, ok := want[gotAgain[i].Seq]
			if atAgain[i].Verdict == Duplicate {
				continue
			}
			if !ok || p.Start != atAgain[i].Start || p.Length != atAgain[i].Length {
				t.Fatalf("packet %d was at %+v, with repetitions it is at %+v", gotAgain[i].Seq, p, atAgain[i])
			}
			delete(want, gotAgain[i].Seq)
		}
		if len(want) > 0 {
			t.Fatalf("%d packets were taken for repetitions", len(want))
		}
	})
}

// A sender whose reports say that its clock went on did not stand still: the
// network held its packets back, and RTP time is right.
func TestReportsTellAStallFromACongestion(t *testing.T) {
	for _, stood := range []bool{true, false} {
		packets := (&wire{jitter: 30 * time.Millisecond, seed: 4}).speak(3000)
		const from, by = 1500, 100 * time.Millisecond
		for i := from; i < len(packets); i++ {
			packets[i].Arrival += by
		}
		slices.SortStableFunc(packets, func(a, b sent) int { return int(a.Arrival - b.Arrival) })
		s := NewSurvey()
		next := time.Second
		for _, p := range packets {
			s.Add(p.Packet)
			if p.Arrival < next {
				continue
			}
			next += 5 * time.Second
			ntp := p.truth + 20*time.Millisecond
			if stood && p.truth >= packets[0].truth+from*20*time.Millisecond {
				ntp += by
			}
			s.Report(Report{Arrival: p.Arrival, NTP: uint64(ntp/time.Second+1000)<<32 | uint64(ntp%time.Second)<<32/uint64(time.Second), Time: p.Time + 160})
		}
		m := s.Finish()
		segments := m.Streams[0].Segments
		if want := map[bool]int{true: 2, false: 1}[stood]; len(segments) != want {
			t.Errorf("stood still %t: %+v", stood, segments)
			continue
		}
		if stood && (segments[1].First < from-3 || segments[1].First > from+3) {
			t.Errorf("the step is at packet %d, not %d", segments[1].First, from)
		}
	}
}
