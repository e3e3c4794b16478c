package audiotest

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Verdict is what the marks of one voice say about a recording.
type Verdict struct {
	Marks   int           // found
	Missing []uint16      // between the first and the last one
	Begin   time.Duration // place of the beginning of the voice's mark 0, the median over all marks
	Worst   time.Duration // by how much a mark was off that at most
	Order   bool          // the counters only rise
}

// Judge compares the places of marks with where they belong.
func (v Voice) Judge(marks []Mark) Verdict {
	out := Verdict{Marks: len(marks), Order: true}
	if len(marks) == 0 {
		return out
	}
	begins := make([]float64, len(marks))
	for i, m := range marks {
		begins[i] = m.At/float64(v.Rate) - float64(m.Counter)*Period
		if i == 0 {
			continue
		}
		last := marks[i-1].Counter
		if m.Counter <= last {
			out.Order = false
			continue
		}
		for c := last + 1; c < m.Counter; c++ {
			out.Missing = append(out.Missing, c)
		}
	}
	sorted := slices.Sorted(slices.Values(begins))
	middle := sorted[len(sorted)/2]
	out.Begin = seconds(middle)
	for _, b := range begins {
		out.Worst = max(out.Worst, seconds(math.Abs(b-middle)))
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// String is the verdict for a test's log.
func (v Verdict) String() string {
	return fmt.Sprintf("%d marks, %d missing, begins at %.3f ms, worst %.3f ms off, in order %t",
		v.Marks, len(v.Missing), float64(v.Begin)/1e6, float64(v.Worst)/1e6, v.Order)
}
