package plc_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/codec/plc"
)

const frames = 50 // per second

// speech is the test's voices at a rate.
func speech(rate int) []int16 {
	r := audio.NewResampler(codectest.SpeechRate, rate)
	return r.Flush(r.Process(nil, codectest.Speech()))
}

// losses says which frames of n are lost, in runs of one to three: about so many
// of a hundred.
func losses(n, percent int, seed uint64) []bool {
	random := rand.New(rand.NewPCG(seed, 1))
	lost := make([]bool, n)
	for i := 2; i < n; i++ {
		if random.IntN(200) < percent {
			for end := min(i+1+random.IntN(3), n); i < end; i++ {
				lost[i] = true
			}
		}
	}
	return lost
}

// frame is the i-th 20 ms.
func frame(pcm []int16, rate, i int) []int16 { return pcm[i*rate/frames : (i+1)*rate/frames] }

// impaired sends frames through a concealer.
func impaired(pcm []int16, rate int, lost []bool) []int16 {
	c := plc.New(rate, 1)
	out := slices.Clone(pcm)
	for i, gone := range lost {
		if gone {
			c.Conceal(frame(out, rate, i))
		} else {
			c.Good(frame(out, rate, i))
		}
	}
	return out
}

// TestSpeech: of the lost frames of speech, the first after a good one is like what
// was lost, and going on from there for 60 ms is better than silence. spandsp 0.0.6
// (G.711 Appendix I) has 1.3 dB and 0.46 for the first frame of this very case.
func TestSpeech(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for _, percent := range []int{5, 10} {
			t.Run(fmt.Sprintf("%d Hz, %d%%", rate, percent), func(t *testing.T) {
				var q [3]quality
				pcm := speech(rate)
				for seed := range uint64(10) {
					measure(pcm, rate, percent, seed, &q)
				}
				first := q[0].mean()
				t.Logf("frame 1: %v, 2: %v, 3: %v", first, q[1].mean(), q[2].mean())
				if first.snr < 2 || first.likeness < 0.5 || q[1].mean().likeness < 0.15 || q[2].mean().likeness < 0 {
					t.Error("too little of it is like what was lost")
				}
			})
		}
	}
}

// quality is how alike lost frames and those in their place are. Silence has an
// SNR of 0 dB and no likeness.
type quality struct {
	snr      float64 // dB
	likeness float64 // correlation
	frames   float64
}

func (q quality) mean() quality {
	return quality{snr: q.snr / q.frames, likeness: q.likeness / q.frames, frames: q.frames}
}

func (q quality) String() string {
	return fmt.Sprintf("%.1f dB, likeness %.2f (%.0f frames)", q.snr, q.likeness, q.frames)
}

// measure adds the quality of the first, second and third frame of each loss.
func measure(pcm []int16, rate, percent int, seed uint64, q *[3]quality) {
	lost := losses(len(pcm)*frames/rate, percent, seed)
	out := impaired(pcm, rate, lost)
	run := 0
	for i, gone := range lost {
		was, is := frame(pcm, rate, i), frame(out, rate, i)
		switch {
		case !gone:
			run = 0
			continue
		case run < len(q) && audio.Measure(was).RMS > -40: // somebody speaks
			var signal, noise float64
			for k, v := range was {
				d := float64(v) - float64(is[k])
				signal, noise = signal+float64(v)*float64(v), noise+d*d
			}
			q[run].snr += 10 * math.Log10(signal/max(noise, 1))
			q[run].likeness += audio.Correlation(was, is)
			q[run].frames++
		}
		run++
	}
}

// TestVowel: a steady voice goes on as it was.
func TestVowel(t *testing.T) {
	for _, pitch := range []float64{80, 120, 210, 330} {
		pcm := vowel(8000, pitch, 8000)
		lost := make([]bool, 50)
		for i := 5; i < 50; i += 7 {
			lost[i] = true
		}
		out := impaired(pcm, 8000, lost)
		var signal, noise float64
		for i := range pcm {
			d := float64(pcm[i]) - float64(out[i])
			if lost[i/160] {
				signal, noise = signal+float64(pcm[i])*float64(pcm[i]), noise+d*d
			}
		}
		if snr := 10 * math.Log10(signal/noise); snr < 5 {
			t.Errorf("pitch of %.0f Hz: %.1f dB", pitch, snr)
		}
	}
}

// vowel is a sum of harmonics with two formants.
func vowel(n int, pitch float64, rate int) []int16 {
	out := make([]int16, n)
	for h := 1.0; h*pitch < 3400; h++ {
		f := h * pitch
		level := 6000/(1+math.Pow((f-600)/200, 2)) + 2000/(1+math.Pow((f-1800)/300, 2)) + 100
		for i := range out {
			out[i] += int16(level * math.Sin(2*math.Pi*f*float64(i)/float64(rate)+h*h))
		}
	}
	return out
}

// TestNoClicks: where concealment begins and ends, the sound moves no faster than
// it does around there anyway.
func TestNoClicks(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		pcm := speech(rate)
		for seed := range uint64(20) {
			lost := losses(len(pcm)*frames/rate, 10, seed)
			out := impaired(pcm, rate, lost)
			for i := 2; i < len(lost)-1; i++ {
				if lost[i] == lost[i-1] {
					continue
				}
				seam, around := i*rate/frames, rate/100
				usual := max(fastest(out[seam-around:seam]), fastest(out[seam:seam+around]), fastest(pcm[seam-around:seam+around]))
				if jump := fastest(out[seam-1 : seam+1]); jump > usual+100 {
					t.Errorf("%d Hz, seed %d, frame %d: a step of %d amid steps of %d", rate, seed, i, jump, usual)
				}
			}
		}
	}
}

// fastest is the largest step between two samples.
func fastest(pcm []int16) int {
	most := 0
	for i := 1; i < len(pcm); i++ {
		most = max(most, max(int(pcm[i])-int(pcm[i-1]), int(pcm[i-1])-int(pcm[i])))
	}
	return most
}

func TestSilentBy60ms(t *testing.T) {
	for _, rate := range []int{8000, 16000, 44100, 48000} {
		c := plc.New(rate, 1)
		out := make([]int16, rate)
		c.Conceal(out)
		if audio.Measure(out).Peak > math.Inf(-1) {
			t.Errorf("%d Hz: sound before the first frame", rate)
		}
		c.Good(speech(rate)[rate/2 : rate/2+rate/10])
		c.Conceal(out[:rate/100])
		c.Conceal(out[rate/100:])
		if end := rate * 60 / 1000; audio.Measure(out[end:]).Peak > math.Inf(-1) || audio.Measure(out[end-rate/100:end]).RMS < -80 {
			t.Errorf("%d Hz: not faded out by 60 ms, or long before", rate)
		}
	}
}

// TestPiecesAreTheWhole: it makes no difference how long the calls are.
func TestPiecesAreTheWhole(t *testing.T) {
	pcm := speech(8000)[4000:]
	whole, parts := make([]int16, 700), make([]int16, 700)
	a, b := plc.New(8000, 1), plc.New(8000, 1)
	for range 2 {
		a.Good(slices.Clone(pcm[:801]))
		b.Good(slices.Clone(pcm[:800]))
		b.Good(slices.Clone(pcm[800:801]))
		a.Conceal(whole)
		for from, n := 0, 1; from < len(parts); n += 13 {
			to := min(from+n, len(parts))
			b.Conceal(parts[from:to])
			from = to
		}
		if !slices.Equal(whole, parts) {
			t.Fatal("pieces differ from the whole")
		}
		a.Reset()
		b.Reset()
	}
}

func TestChannelsAreApart(t *testing.T) {
	left := speech(8000)
	right := left[8000:]
	n := 8000
	both := make([]int16, 2*n)
	for i := range n {
		both[2*i], both[2*i+1] = left[i], right[i]
	}
	lost := losses(n/160, 10, 3)
	c := plc.New(8000, 2)
	for i, gone := range lost {
		if f := both[i*320 : (i+1)*320]; gone {
			c.Conceal(f)
		} else {
			c.Good(f)
		}
	}
	for k, mono := range [][]int16{left[:n], right[:n]} {
		for i, want := range impaired(mono, 8000, lost) {
			if both[2*i+k] != want {
				t.Fatalf("channel %d, sample %d: %d, want %d", k, i, both[2*i+k], want)
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	pcm := speech(8000)[4000:4160]
	c, buf := plc.New(8000, 1), make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, pcm)
		c.Good(buf)
		c.Conceal(buf)
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// FuzzConceal: whatever was heard and however it is cut, concealment ends, and is
// not much louder than what was heard.
func FuzzConceal(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 200, 100, 0, 128}, uint8(1), uint16(8000))
	f.Add(make([]byte, 900), uint8(2), uint16(48000))
	f.Fuzz(func(t *testing.T, sound []byte, channels uint8, rate uint16) {
		width := int(channels%2) + 1
		c := plc.New(int(rate), width)
		peak := 0
		pcm := make([]int16, len(sound)/2/width*width)
		for i := range pcm {
			pcm[i] = int16(sound[2*i]) | int16(sound[2*i+1])<<8
			peak = max(peak, int(pcm[i]), -int(pcm[i]))
		}
		c.Good(pcm)
		out := make([]int16, max(int(rate), 1000)/10*width)
		c.Conceal(out)
		for i, v := range out {
			if max(int(v), -int(v)) > peak*5/4+1 || i > len(out)*2/3 && v != 0 {
				t.Fatalf("value %d of %d is %d, the loudest was %d", i, len(out), v, peak)
			}
		}
		c.Good(pcm)
	})
}

func BenchmarkGood(b *testing.B) {
	c, pcm := plc.New(8000, 1), speech(8000)[4000:4160]
	b.ReportAllocs()
	for b.Loop() {
		c.Good(pcm)
	}
}

func BenchmarkLoss(b *testing.B) {
	c, pcm := plc.New(8000, 1), speech(8000)
	b.ReportAllocs()
	for b.Loop() {
		c.Good(pcm[4000:4160])
		c.Conceal(pcm[:160])
	}
}
