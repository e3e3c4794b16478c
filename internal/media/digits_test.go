package media

import (
	"testing"

	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

// press makes the packets of one digit: five while it lasts, three of its end.
func (p *party) press(code byte, pt uint8) []packet {
	var out []packet
	for i := range uint16(8) {
		duration := min(i+1, 6) * 160
		k := packet{pt: pt, marker: i == 0, seq: p.seq, time: p.time, ssrc: p.ssrc,
			payload: []byte{code, 10, byte(duration >> 8), byte(duration)}}
		if i >= 5 {
			k.payload[1] |= 0x80
		}
		p.seq++
		out = append(out, k)
	}
	p.time += 6 * 160
	return out
}

func TestDigitsAreRelayedAndReportedOnce(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, events := b.open(LegOptions{Name: "A"})
		a := newParty(t, la)
		configure(t, la, a.negotiated())
		lb, c := b.connect("B", func(n *sdp.Negotiated) {
			ev := *n.Event
			ev.PT = 96
			n.Event = &ev
		})
		b.join(la, lb)
		a.talk()
		before := c.hearVoice()
		if e := testkit.Receive(t, patience, events); e.Kind != Started {
			t.Fatalf("%+v", e)
		}
		for _, digit := range []struct {
			code byte
			name byte
		}{{5, '5'}, {11, '#'}, {11, '#'}} {
			var first packet
			for i, k := range a.press(digit.code, 101) {
				a.write(k.bytes())
				got := c.hear()
				if i == 0 {
					first = got
				}
				if got.pt != 96 || got.marker != k.marker || got.time != first.time || got.seq != before.seq+1 || string(got.payload) != string(k.payload) {
					t.Fatalf("packet %d of %c: %+v", i, digit.name, got)
				}
				before = got
			}
			if e := testkit.Receive(t, patience, events); e.Kind != Digit || e.Digit != digit.name {
				t.Fatalf("%+v", e)
			}
		}
		a.talk()
		got := c.hearVoice()
		if got.seq != before.seq+1 || got.marker || got.pt != 0 {
			t.Errorf("speech after digits: %+v", got)
		}
		if len(events) != 0 {
			t.Errorf("%d more events", len(events))
		}
	})
}

func TestDigitsDoNotGoWhereNobodyUnderstandsThem(t *testing.T) {
	b := start(t, Options{})
	la, events := b.open(LegOptions{Name: "A"})
	a := newParty(t, la)
	configure(t, la, a.negotiated())
	lb, c := b.connect("B", func(n *sdp.Negotiated) { n.Event = nil })
	b.join(la, lb)
	a.talk()
	before := c.hearVoice()
	for _, k := range a.press(7, 101) {
		a.write(k.bytes())
	}
	a.talk()
	got := c.hearVoice()
	if got.pt != 0 || got.seq != before.seq+1 || got.time != before.time+160+6*160 {
		t.Errorf("after the digit: %+v, before: %+v", got, before)
	}
	<-events // started
	if e := testkit.Receive(t, patience, events); e.Kind != Digit || e.Digit != '7' {
		t.Errorf("%+v", e)
	}
}
