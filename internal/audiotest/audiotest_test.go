package audiotest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/codec/g711"
)

// shifted is a signal that begins at a place between samples, made anew from
// the voice, not by filtering.
func shifted(v Voice, marks int, begin float64) []int16 {
	out := make([]int16, int(begin)+1+int(float64(marks)*Period*float64(v.Rate)))
	for i := range out {
		at := (float64(i) - begin) / float64(v.Rate)
		if at < 0 {
			continue
		}
		counter := int(at / Period)
		out[i] = int16(math.Round(v.sample(uint16(counter), at-float64(counter)*Period)))
	}
	return out
}

func TestEveryMarkIsFoundInItsPlace(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []int{8000, 16000, 48000} {
		for _, c := range []struct {
			name string
			way  func([]int16)
		}{
			{"as it is", func([]int16) {}},
			{"through µ-law", func(pcm []int16) {
				b := make([]byte, len(pcm))
				g711.EncodeMu(b, pcm)
				g711.DecodeMu(pcm, b)
			}},
			{"at a tenth, with noise 20 dB below", func(pcm []int16) {
				for i := range pcm {
					pcm[i] = int16(float64(pcm[i])/10 + 45*noise.NormFloat64())
				}
			}},
		} {
			t.Run(fmt.Sprint(c.name, " at ", rate), func(t *testing.T) {
				v := Voice{ID: 5, Rate: rate}
				const begin, all = 1234.3, 6
				pcm := shifted(v, all, begin)
				c.way(pcm)
				marks := v.Find(pcm)
				got := v.Judge(marks)
				want := time.Duration(begin / float64(rate) * float64(time.Second))
				if got.Marks != all || len(got.Missing) != 0 || !got.Order {
					t.Errorf("%s", got)
				}
				if d := (got.Begin - want).Abs(); d > 50*time.Microsecond || got.Worst > 200*time.Microsecond {
					t.Errorf("%s, the beginning is off by %s", got, d)
				}
				if other := (Voice{ID: 4, Rate: rate}).Find(pcm); len(other) != 0 {
					t.Errorf("%d marks of a voice that is not there", len(other))
				}
				if other := (Voice{ID: 7, Rate: rate}).Find(pcm); len(other) != 0 {
					t.Errorf("%d marks of a voice with the same chirp that is not there", len(other))
				}
			})
		}
	}
}

// TestTwoVoicesInTurns: each is found where it is, and not where the other is.
func TestTwoVoicesInTurns(t *testing.T) {
	a, b := Voice{ID: 2, Rate: 8000}, Voice{ID: 3, Rate: 8000}
	pcm := slices.Concat(a.Signal(4), b.Signal(4), a.Signal(2))
	if marks := a.Find(pcm); len(marks) != 6 || a.Judge(marks).Order {
		t.Errorf("the first voice: %s", a.Judge(marks))
	}
	if marks := b.Find(pcm); len(marks) != 4 || math.Abs(marks[0].At-8000) > 0.1 {
		t.Errorf("the second voice: %v", marks)
	}
}

func TestJudgeSeesWhatIsWrong(t *testing.T) {
	v := Voice{ID: 1, Rate: 8000}
	said := v.Signal(12)
	for _, c := range []struct {
		name    string
		pcm     []int16
		marks   int
		missing []uint16
		worst   time.Duration
	}{
		{"whole", said, 12, nil, 0},
		{"a mark is silent", slices.Concat(said[:8000], make([]int16, 2000), said[10000:]), 11, []uint16{4}, 0},
		{"20 ms are gone", slices.Concat(said[:9000], said[9160:]), 11, []uint16{4}, 20 * time.Millisecond},
		{"20 ms too much", slices.Concat(said[:15990], make([]int16, 160), said[15990:]), 12, nil, 20 * time.Millisecond},
		{"silence", make([]int16, 24000), 0, nil, 0},
		{"nothing", nil, 0, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := v.Judge(v.Find(c.pcm))
			if got.Marks != c.marks || !slices.Equal(got.Missing, c.missing) {
				t.Errorf("%s; missing %v", got, got.Missing)
			}
			if d := (got.Worst - c.worst).Abs(); d > 200*time.Microsecond {
				t.Errorf("%s; the worst is %s off", got, c.worst)
			}
		})
	}
}

func TestSpeechIsNoMark(t *testing.T) {
	noise := rand.New(rand.NewPCG(3, 4))
	pcm := make([]int16, 40000)
	for i := range pcm {
		pcm[i] = int16(3000 * noise.NormFloat64())
	}
	for id := range uint8(2) { // there are two chirps
		if marks := (Voice{ID: id, Rate: 8000}).Find(pcm); len(marks) != 0 {
			t.Errorf("%d marks of voice %d in noise", len(marks), id)
		}
	}
}

// TestAChirpIsFoundWithoutItsTones: as when the packets after it were lost.
func TestAChirpIsFoundWithoutItsTones(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		v := Voice{ID: 3, Rate: rate}
		pcm := slices.Concat(make([]int16, rate), v.Mark(77), v.Mark(78))
		whole := v.Near(pcm, float64(rate)+30, 100)
		if !whole.Found() || !whole.Mark || whole.ID != 3 || whole.Counter != 77 || math.Abs(whole.At-float64(rate)) > 0.1 {
			t.Errorf("at %d Hz: %+v", rate, whole)
		}
		clear(pcm[rate+rate/20 : rate+rate/5])
		if torn := v.Near(pcm, float64(rate)-30, 100); !torn.Found() || torn.Mark || math.Abs(torn.At-float64(rate)) > 0.1 {
			t.Errorf("at %d Hz, torn: %+v", rate, torn)
		}
		if none := v.Near(pcm, float64(rate)+float64(rate)/8, float64(rate)/50); none.Found() {
			t.Errorf("at %d Hz, between marks: %+v", rate, none)
		}
		if edge := v.Near(pcm, 0, 10); edge.Found() || v.Near(pcm, float64(len(pcm)), 10).Found() {
			t.Errorf("at %d Hz, at the edge: %+v", rate, edge)
		}
	}
}
