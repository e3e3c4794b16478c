package media

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"tapedeck/internal/rtp"
	"tapedeck/internal/tone"
)

// A key is pressed for so long, and so long is the pause after it. Both are more than
// any receiver needs (ITU-T Q.24: 40 ms each).
const (
	keyPress = 100 * time.Millisecond
	keyPause = 100 * time.Millisecond
)

// keyVolume is what our keys are said to be as loud as: -10 dBm0.
const keyVolume = 10

// eventCodes are the keys in the order of their event codes (RFC 4733 §3.2).
const eventCodes = "0123456789*#ABCD"

// SendKeys presses keys, '0' to '9', '*', '#' and 'A' to 'D': as telephone-events where
// that is agreed on, else as tones. It takes the place of what is played, and ends with
// Played as Play does, with the same errors.
func (l *Leg) SendKeys(id uint64, keys string) error {
	if i := strings.IndexFunc(keys, func(r rune) bool { return !strings.ContainsRune(eventCodes, r) }); i >= 0 {
		return fmt.Errorf("send keys on leg %s: %q is no key", l.name, keys[i])
	}
	var events bool
	err := l.do(func(*worker) error {
		events = l.agreed.Event != nil
		return l.mayPlay()
	})
	if err == nil {
		p := newPlayer(Play{ID: id, Sounds: []Sound{{Clip: tone.Keys(keys, keyPress, keyPause)}}})
		if events && keys != "" {
			p.keys = []byte(keys)
		}
		err = l.begin(p)
	}
	if err != nil {
		return fmt.Errorf("send keys on leg %s: %w", l.name, err)
	}
	return nil
}

// pressKeys sends what is due of the key that is pressed. It reports false after the
// last one.
func (l *Leg) pressKeys(p *player, units int, at time.Duration) bool {
	if p.press >= keyPress+keyPause {
		p.keys, p.press = p.keys[1:], 0
	}
	event := l.agreed.Event
	if len(p.keys) == 0 || event == nil { // a new agreement may have taken the events away
		l.endPlay(at, len(p.keys) > 0)
		return false
	}
	first := p.press == 0
	pressed := p.press < keyPress
	p.press += l.ptime
	// Audio gives way to the event, so that the key is not heard twice (RFC 4733
	// §2.5.1.1).
	l.out.Pass(units, at)
	target := l.in.Target()
	if !pressed || !l.sends || !target.IsValid() {
		return true
	}
	payload := p.packet[rtp.HeaderSize : rtp.HeaderSize+4]
	payload[0], payload[1] = byte(strings.IndexByte(eventCodes, p.keys[0])), keyVolume
	binary.BigEndian.PutUint16(payload[2:], uint16(rtp.Units(p.press, event.ClockRate)))
	copies := 1
	if p.press >= keyPress { // RFC 4733 §2.5.1.4: the end is sent three times
		payload[1] |= 0x80
		copies = 3
	}
	for i := range copies {
		begins := first && i == 0
		packet := l.out.Event(p.packet[:rtp.HeaderSize+4], event.PT, begins, begins, at)
		l.w.poller.send(l.media.socket, target, packet)
		l.w.flush() // the next packet uses the same bytes
	}
	return true
}
