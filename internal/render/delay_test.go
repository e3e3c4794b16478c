package render

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/voice"
)

// word is a voice that sounds for a while at every half second, different in
// each place, and has nothing above 1.5 kHz.
func word(at float64) float64 {
	v := 0.0
	for k := 1.0; k < 10; k++ {
		v += math.Sin(2*math.Pi*(130+7*math.Sin(3*at))*k*at+k*k) / (k + 1)
	}
	return v / 3 * math.Pow(math.Sin(2*math.Pi*at), 2)
}

// lag is by how many samples b is later than a around a sample, by likeness, and
// how like they are.
func lag(a, b []int16, at, window, within int) (late int, fit float64) {
	for k := -within; k <= within; k++ {
		if c := correlate(a[at:at+window], b[at+k:at+k+window]); c > fit {
			late, fit = k, c
		}
	}
	return late, fit
}

// Codecs that look ahead or filter give their audio late. In the file it is where
// it was spoken, whoever speaks with what.
func TestCodecsAreNotLate(t *testing.T) {
	names := []string{"PCMU", "G722", "L16/16", opusOr(t, "L16/44")}
	for i, one := range names {
		for _, two := range names[i:] {
			s := talking(agreed(t, one), agreed(t, two)).
				talk(t, talker{track: 0, wave: word, legs: []leg{{one, 150}}}).
				talk(t, talker{track: 1, wave: word, legs: []leg{{two, 150}}, lost: func(f int) bool { return f == 99 }}).
				stop(3*time.Second, voice.EndCallEnded)
			r := render(t, s.write(t), Layout{Stereo: true})
			hz := r.receipt.SampleRate
			check := func(who string, a, b []int16, at int) {
				if late, fit := lag(a, b, at, hz/20, hz/200); fit < 0.7 || late > hz/2000 || late < -hz/2000 {
					t.Errorf("%s: %.2f ms apart at %d ms, %.2f alike", who, float64(late*1000)/float64(hz), at*1000/hz, fit)
				}
			}
			for _, at := range []int{hz / 5, 12 * hz / 10, 22 * hz / 10} {
				check(one+" and "+two, r.sides[0], r.sides[1], at)
				if i == 0 { // against what was said
					mine := make([]int16, at+hz/10)
					for k := at; k < len(mine); k++ {
						mine[k] = int16(10000 * word(float64(k)/float64(hz)))
					}
					check(two, mine, r.sides[1], at)
				}
			}
			for _, a := range r.receipt.Tracks {
				if len(a.Silence) != 0 || a.AudioMs != 3000 || a.ConcealedMs != 20*a.Lost {
					t.Errorf("%s and %s: %+v", one, two, a)
				}
			}
		}
	}
}

// What a late codec's packets cover is what the file has of them: nothing before
// the first, and no hole behind the last, in packets of whatever length.
func TestLateCodecsCoverTheirPackets(t *testing.T) {
	const delay, step = 6, 4
	for _, pieces := range [][]int{{step, step, step}, {20, 20}, {2}, {5, 1}, {6}, {7}, {40}} {
		l := newLane(256, 1000)
		f := flow{lane: l, rate: 1000}
		pcm, start := []int16{}, int64(10)
		for _, n := range pieces {
			piece := make([]int16, n)
			for i := range piece {
				piece[i] = int16(1 + len(pcm) + i)
			}
			pcm = append(pcm, piece...)
			f.put(piece, source{1000, delay * time.Millisecond}, start, int64(n), speech)
			start += int64(n)
		}
		if !f.owes(start) {
			t.Errorf("%v: nothing is owed", pieces)
		}
		f.finish()
		if f.owes(start + 100) {
			t.Errorf("%v: something is owed", pieces)
		}
		got := make([]int16, 60)
		l.take(got, false, func(int64, int64, kind) {})
		want := make([]int16, 10, 60)
		want = append(want, pcm[min(delay, len(pcm)):]...)
		for i := range min(delay, len(pcm)) {
			want = append(want, pcm[len(pcm)-1-i])
		}
		if want = append(want, make([]int16, 60-len(want))...); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", fmt.Sprint(pieces), got, want)
		}
	}
}
