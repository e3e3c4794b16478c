package callgen

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/testkit"
)

// Keys by INFO and as tones come to the other party, which offers no events.
func TestKeysWithoutEvents(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a := party(t, e, PartyOptions{User: "a", Codecs: []string{codec.PCMU}, NoEvents: true})
	b := party(t, e, PartyOptions{User: "b"})
	if _, err := a.DigitsInBand("1"); err == nil {
		t.Error("a key without a call")
	}
	if err := a.DigitsByInfo("1"); err == nil {
		t.Error("a key without a call")
	}
	connect(t, a, b)
	if agreed, _ := b.Agreed(); agreed.Event != nil {
		t.Error("telephone-events are agreed on")
	}
	if err := b.Digits("1"); err == nil {
		t.Error("an event that nobody takes")
	}
	if err := a.DigitsByInfo("1*D"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() bool { return b.Told() == "1*D" })
	if err := a.DigitsByInfo("x"); err == nil {
		t.Error("x is a key")
	}
	if _, err := a.DigitsInBand("x"); err == nil {
		t.Error("x is a key")
	}
	if _, err := a.DigitsInBand("5"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() bool {
		pcm := Assemble(b.Heard())
		return toneIn(pcm, 770) && toneIn(pcm, 1336) && !toneIn(pcm, 697) && !toneIn(pcm, 1477)
	})
	if err := a.Hangup(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ended(limit(t)); err != nil {
		t.Fatal(err)
	}
}

// toneIn reports whether 100 ms somewhere in the audio hold the tone.
func toneIn(pcm []int16, hz float64) bool {
	const n = Rate / 10
	for from := 0; from+n <= len(pcm); from += n / 10 {
		var re, im float64
		for i, v := range pcm[from : from+n] {
			sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
			re, im = re+float64(v)*cos, im+float64(v)*sin
		}
		if math.Hypot(re, im)*2/n > 4000 {
			return true
		}
	}
	return false
}
