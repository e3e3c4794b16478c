package callgen

import (
	"errors"
	"testing"
	"time"
)

// TestAudit: a file with a frame that is lost, one that is stretched, one of
// another call and one that is a sample late.
func TestAudit(t *testing.T) {
	r := &LoadReport{Legs: []LegReport{
		{Call: 0, Leg: 0, Sent: 9}, {Call: 0, Leg: 1, Sent: 9},
		{Call: 1, Leg: 0, Sent: 10}, {Call: 1, Leg: 1, Sent: 9},
	}}
	file := func() [][]int16 {
		sides := [][]int16{make([]int16, 4000), make([]int16, 4000)}
		for leg, pcm := range sides {
			for c := 1; c <= 9; c++ {
				Stamp{Call: 1, Leg: uint8(leg), Counter: uint32(c)}.Put(pcm[700+c*loadFrame:])
			}
		}
		return sides
	}
	sides := file()
	left := sides[0][700:]
	clear(left[2*loadFrame : 3*loadFrame])                            // lost
	left[3*loadFrame+1] = 300                                         // its mark is damaged
	Stamp{Call: 0, Counter: 3}.Put(left[5*loadFrame:])                // of another call, in the place of ours
	copy(left[6*loadFrame+1:7*loadFrame], sides[0][700+6*loadFrame:]) // a sample late
	clear(left[10*loadFrame:])                                        // the tenth never came
	a, err := r.Audit(sides)
	want := Audit{Call: 1, Kept: 15, Blurred: 2, Lost: 2, Misplaced: 1, Moved: time.Second / Rate}
	if err != nil || a != want {
		t.Errorf("%+v, %v; want %+v", a, err, want)
	}
	if _, err := r.Audit([][]int16{make([]int16, 900), sides[1]}); !errors.Is(err, ErrUnmarked) {
		t.Errorf("a silent side: %v", err)
	}
	if _, err := r.Audit(sides[:1]); err == nil {
		t.Error("one side: no error")
	}
	if _, err := (&LoadReport{}).Audit(sides); !errors.Is(err, ErrUnmarked) {
		t.Errorf("a call that nobody made: %v", err)
	}
}
