package callgen

import (
	"errors"
	"math"
	"time"
)

// A key that is no telephone-event lasts so long, and so long is the pause after it.
const (
	tonePress = 120 * time.Millisecond
	tonePause = 80 * time.Millisecond
)

// DigitsByInfo tells the far side by INFO which keys are pressed, in order.
func (p *Party) DigitsByInfo(digits string) error {
	p.mu.Lock()
	d := p.dialog
	p.mu.Unlock()
	if d == nil {
		return errors.New("callgen: there is no call to press keys in")
	}
	for _, key := range []byte(digits) {
		if err := d.SendKey(key, tonePress); err != nil {
			return err
		}
	}
	return nil
}

// Told is the keys that the far side told by INFO.
func (p *Party) Told() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.told)
}

// DigitsInBand presses keys as tones in the audio (ITU-T Q.23), in place of what is
// being said.
func (p *Party) DigitsInBand(digits string) (*Playback, error) {
	agreed, live := p.Agreed()
	if !live {
		return nil, errors.New("callgen: there is no call to press keys in")
	}
	rate := agreed.Send.SampleRate
	var pcm []int16
	for _, key := range []byte(digits) {
		code := eventOf(key)
		if code < 0 {
			return nil, errors.New("callgen: a digit is one of 0-9 * # A-D")
		}
		pcm = append(pcm, keyTone(code, rate)...)
	}
	return p.Play(PCM(pcm)), nil
}

// keyTone is the sound of the key with an event code, and the pause after it. It is
// written out here, so that a peer of the server does not share the server's mistakes.
func keyTone(code, rate int) []int16 {
	const order = "123A456B789C*0#D"
	place := 0
	for i := range order {
		if eventOf(order[i]) == code {
			place = i
		}
	}
	low, high := []float64{697, 770, 852, 941}[place/4], []float64{1209, 1336, 1477, 1633}[place%4]
	out := make([]int16, int((tonePress+tonePause).Seconds()*float64(rate)))
	for i := range int(tonePress.Seconds() * float64(rate)) {
		t := 2 * math.Pi * float64(i) / float64(rate)
		out[i] = int16(6000 * (math.Sin(low*t) + math.Sin(high*t)))
	}
	return out
}
