package tone

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/voice"
)

// power is the mean square of the samples at a frequency, of a full-scale tone 0.5.
func power(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
		re, im = re+float64(v)*cos, im+float64(v)*sin
	}
	n := float64(len(pcm)) * math.MaxInt16
	return 2 * (re*re + im*im) / (n * n)
}

// Every country of the API has its ringing tone, which sounds and pauses as it should.
func TestRing(t *testing.T) {
	for _, country := range voice.RingTones() {
		c, ok := Ring(string(country))
		if !ok || c.Rate != Rate {
			t.Fatalf("%s has no ringing tone", country)
		}
		if long := c.Duration(); long < 3*time.Second || long > 6*time.Second {
			t.Errorf("%s: one turn takes %v", country, long)
		}
		if level := audio.Measure(c.Samples[:Rate/4]); level.RMS < -20 || level.RMS > -8 || level.Peak > -3 {
			t.Errorf("%s sounds with %+v", country, level)
		}
		for _, v := range c.Samples[len(c.Samples)-Rate/2:] {
			if v != 0 {
				t.Fatalf("%s does not end with a pause", country)
			}
		}
	}
	if _, ok := Ring("xx"); ok {
		t.Error("xx is a country")
	}
	uk, _ := Ring("uk")
	for at, sounds := range map[time.Duration]bool{200 * time.Millisecond: true, 500 * time.Millisecond: false, 800 * time.Millisecond: true, 1100 * time.Millisecond: false} {
		pcm := uk.Samples[count(at):][:count(50*time.Millisecond)]
		if got := power(pcm, 400) > 0.01 && power(pcm, 450) > 0.01; got != sounds {
			t.Errorf("uk at %v: sounds is %t", at, got)
		}
	}
}

func TestBeep(t *testing.T) {
	c := Beep()
	if c.Duration() != 500*time.Millisecond || power(c.Samples, 1000) < 0.015 || power(c.Samples, 800) > 0.0001 {
		t.Errorf("%v, %.4f at 1000 Hz", c.Duration(), power(c.Samples, 1000))
	}
}

func TestKeys(t *testing.T) {
	const all = "123A456B789C*0#D"
	c := Keys(all+"x", 100*time.Millisecond, 50*time.Millisecond)
	if c.Duration() != 16*150*time.Millisecond {
		t.Fatalf("16 keys take %v", c.Duration())
	}
	for i, key := range []byte(all) {
		low, high, ok := Pair(key)
		pcm := c.Samples[i*Rate*150/1000:][:Rate/10]
		if !ok || power(pcm, low) < 0.01 || power(pcm, high) < 0.01 {
			t.Errorf("%c: %.4f at %v Hz, %.4f at %v Hz", key, power(pcm, low), low, power(pcm, high), high)
		}
	}
	if _, _, ok := Pair('x'); ok {
		t.Error("x is a key")
	}
}
