package dtmf

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/codectest"
)

const all = "0123456789*#ABCD"

// pair is the two frequencies of a key.
func pair(key byte) (low, high float64) {
	i := strings.IndexByte("123A456B789C*0#D", key)
	return []float64{697, 770, 852, 941}[i/4], []float64{1209, 1336, 1477, 1633}[i%4]
}

// press is how a key is pressed.
type press struct {
	rate     int
	length   time.Duration
	low      float64 // level of each tone, dB of full scale
	high     float64
	off      float64 // of both frequencies, as a part
	noise    float64 // amplitude
	gap      time.Duration
	gapAfter time.Duration
}

// sound is a key in its surroundings of silence.
func (p press) sound(key byte, r *rand.Rand) []int16 {
	low, high := pair(key)
	lead := time.Duration(60+r.IntN(20)) * time.Millisecond
	out := make([]int16, int((2*lead+p.length)*time.Duration(p.rate)/time.Second))
	begin := int(lead * time.Duration(p.rate) / time.Second)
	n := int(p.length * time.Duration(p.rate) / time.Second)
	phase := r.Float64()
	for i := range out {
		v := p.noise * (2*r.Float64() - 1)
		at := time.Duration(i-begin) * time.Second / time.Duration(p.rate)
		if i >= begin && i < begin+n && (p.gap == 0 || at < p.gapAfter || at >= p.gapAfter+p.gap) {
			t := 2 * math.Pi * (1 + p.off) * (float64(i) + phase) / float64(p.rate)
			v += math.Pow(10, p.low/20)*math.Sin(low*t) + math.Pow(10, p.high/20)*math.Sin(high*t)
		}
		out[i] = int16(math.Round(v * math.MaxInt16))
	}
	return out
}

// hear feeds a sound in frames of 20 ms.
func hear(d *Detector, rate int, pcm []int16) string {
	var got string
	for n := rate / 50; len(pcm) > 0; {
		frame := pcm[:min(n, len(pcm))]
		pcm = pcm[len(frame):]
		if key, ok := d.Feed(frame); ok {
			got += string(key)
		}
	}
	return got
}

// What ITU-T Q.24 and the North American limits ask of a receiver: 40 ms are enough,
// 1.5 % off, the low tone 8 dB over the high one or 4 dB under it, 15 dB of noise, an
// interruption of 10 ms. 20 ms, 3.5 % off or one tone alone are no key.
func TestTolerance(t *testing.T) {
	base := press{rate: 16000, length: 40 * time.Millisecond, low: -10, high: -10}
	vary := func(change func(*press)) press { p := base; change(&p); return p }
	for name, c := range map[string]struct {
		press
		none bool
	}{
		"40 ms":          {press: base},
		"8 kHz":          {press: vary(func(p *press) { p.rate = 8000 })},
		"1.5 % high":     {press: vary(func(p *press) { p.off = 0.015 })},
		"1.5 % low":      {press: vary(func(p *press) { p.off = -0.015 })},
		"8 dB of twist":  {press: vary(func(p *press) { p.low, p.high = -8, -16 })},
		"-4 dB of twist": {press: vary(func(p *press) { p.low, p.high = -12, -8 })},
		"quiet":          {press: vary(func(p *press) { p.low, p.high = -34, -34 })},
		"loud":           {press: vary(func(p *press) { p.low, p.high = -6.1, -6.1 })},
		"noise":          {press: vary(func(p *press) { p.noise = 0.1 })},
		"long":           {press: vary(func(p *press) { p.length = 3 * time.Second })},
		"interrupted": {press: vary(func(p *press) {
			p.length, p.gap, p.gapAfter = 100*time.Millisecond, 10*time.Millisecond, 45*time.Millisecond
		})},
		"20 ms":          {press: vary(func(p *press) { p.length = 20 * time.Millisecond }), none: true},
		"3.5 % off":      {press: vary(func(p *press) { p.off, p.length = 0.035, 200*time.Millisecond }), none: true},
		"14 dB of twist": {press: vary(func(p *press) { p.low, p.high = -6, -20 }), none: true},
		"one tone":       {press: vary(func(p *press) { p.high = -200 }), none: true},
		"silence":        {press: vary(func(p *press) { p.low, p.high = -200, -200 }), none: true},
		"too quiet":      {press: vary(func(p *press) { p.low, p.high = -60, -60 }), none: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			d := New(c.rate)
			for _, key := range []byte(all) {
				for range 10 { // at other places in the windows
					want := string(key)
					if c.none {
						want = ""
					}
					if got := hear(d, c.rate, c.sound(key, r)); got != want {
						t.Errorf("%q was heard as %q", key, got)
					}
				}
			}
		})
	}
}

// The same key twice is two keys, 40 ms after each other.
func TestTheSameKeyAgain(t *testing.T) {
	keys := make([]int16, 4*880) // 60 ms of the key and 50 ms of pause, four times
	for i := range keys {
		if t := 2 * math.Pi * float64(i) / 8000; i%880 < 480 {
			keys[i] = int16(6000 * (math.Sin(770*t) + math.Sin(1336*t)))
		}
	}
	if got := hear(New(8000), 8000, keys); got != "5555" {
		t.Errorf("%q", got)
	}
	d := New(8000)
	hear(d, 8000, keys[:400])
	d.Reset()
	if got := hear(d, 8000, keys[:800]); got != "5" {
		t.Errorf("after Reset: %q", got)
	}
}

// Minutes of speech, of voices higher and lower, louder and softer, hold no key.
func TestSpeechIsNoKey(t *testing.T) {
	speech := codectest.Speech()
	var total time.Duration
	for total < time.Minute {
		// Read at another rate, it is a voice of another height.
		i := int(total / time.Second)
		higher := 11000 + 97*i%9000
		clip := &audio.Clip{Rate: higher, Samples: speech}
		pcm := clip.At(16000).Samples
		loud := []float64{1, 0.3, 2.5}[i%3]
		for k, v := range pcm {
			pcm[k] = int16(min(max(float64(v)*loud, math.MinInt16), math.MaxInt16))
		}
		if got := hear(New(16000), 16000, pcm); got != "" {
			t.Errorf("speech read at %d Hz, %v times as loud, holds %q", higher, loud, got)
		}
		total += clip.Duration()
	}
}

func TestNoiseIsNoKey(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pcm := make([]int16, 60*8000)
	for i := range pcm {
		pcm[i] = int16(r.NormFloat64() * 4000)
	}
	if got := hear(New(8000), 8000, pcm); got != "" {
		t.Errorf("noise holds %q", got)
	}
}

func TestFeedAllocatesNothing(t *testing.T) {
	d := New(16000)
	frame := codectest.Speech()[:320]
	if got := testing.AllocsPerRun(100, func() { d.Feed(frame) }); got != 0 {
		t.Errorf("%v allocations a frame", got)
	}
}

func BenchmarkFeed(b *testing.B) {
	d := New(16000)
	frame := codectest.Speech()[:320]
	b.ReportAllocs()
	for b.Loop() {
		d.Feed(frame)
	}
}
