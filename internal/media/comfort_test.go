package media

import (
	"bytes"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

func TestComfortSilenceKeepsStep(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		for _, test := range []struct {
			name   string
			change func(*sdp.Negotiated)
			pt     uint8
			code   byte
			size   int
		}{
			{"PCMU", func(*sdp.Negotiated) {}, 0, 0xff, 160},
			{"PCMA", pcma, 8, 0xd5, 160},
			{"30 ms", func(n *sdp.Negotiated) { n.Ptime = 30 * time.Millisecond }, 0, 0xff, 240},
			{"no packet time", func(n *sdp.Negotiated) { n.Ptime = 0 }, 0, 0xff, 160},
		} {
			began := time.Now()
			_, p := b.connect(test.name, test.change)
			const frames = 25
			first := p.hear()
			before := first
			if !first.marker {
				t.Errorf("%s: the first packet is not marked", test.name)
			}
			for i := range frames {
				k := p.hear()
				if k.seq != before.seq+1 || k.ssrc != before.ssrc || k.pt != test.pt {
					t.Fatalf("%s: frame %d is %d of %#x, PT %d", test.name, i, k.seq, k.ssrc, k.pt)
				}
				// A machine that stands still for more than five frames makes a step that is
				// a whole talk spurt.
				if step := k.time - before.time; step != uint32(test.size) && !k.marker {
					t.Fatalf("%s: frame %d goes on by %d", test.name, i, step)
				}
				if !bytes.Equal(k.payload, bytes.Repeat([]byte{test.code}, test.size)) {
					t.Fatalf("%s: frame %d is not silence", test.name, i)
				}
				before = k
			}
			// Not faster than real time, counted from before the first one could be sent:
			// when it was read says nothing on a busy machine.
			want := time.Duration(frames*test.size/8) * time.Millisecond
			if took := before.at.Sub(began); took < want-tick {
				t.Errorf("%s: %d frames in %s, want %s", test.name, frames, took, want)
			}
		}
	})
}

func TestNoComfortSilenceWhereWeDoNotSend(t *testing.T) {
	b := start(t, Options{})
	unknown := codec.Info{Name: "unknown", ClockRate: 8000, SampleRate: 8000, Channels: 1}
	for name, change := range map[string]func(*sdp.Negotiated){
		"receive only": func(n *sdp.Negotiated) { n.Direction = sdp.RecvOnly },
		"inactive":     func(n *sdp.Negotiated) { n.Direction = sdp.Inactive },
		"held":         func(n *sdp.Negotiated) { n.Held = true },
		"a codec that we cannot be silent in": func(n *sdp.Negotiated) {
			n.Send = sdp.Codec{Info: unknown, PT: 9}
		},
	} {
		l, _ := b.connect(name, change)
		if l.timers[comfortTimer].armed() {
			t.Errorf("%s: silence is under way", name)
		}
	}
}

// Every codec has silence: each packet decodes to nothing audible, of the packet
// time that was agreed on.
func TestComfortSilenceInEveryCodec(t *testing.T) {
	for _, f := range formats() {
		for _, ptime := range []time.Duration{10 * ms, 20 * ms, 60 * ms} {
			f.ptime = ptime
			s := newStage(t, f, f)
			s.wire.keep = true
			s.legs[0].bridge.part(0)
			s.next = 1 << 60
			s.run(500*ms, nil)
			pcm, _ := s.heard()
			if long := time.Duration(len(pcm)) * time.Second / time.Duration(codecOf(f.codec, f.rate, 0).SampleRate); long < 430*ms {
				t.Errorf("%v: %v of silence in half a second", f, long)
			}
			if level := audio.Measure(pcm); level.Peak > -60 {
				t.Errorf("%v: silence of %.0f dBFS", f, level.Peak)
			}
		}
	}
}

func TestSilenceStopsAndGoesOnWithHold(t *testing.T) {
	b := start(t, Options{})
	l, p := b.connect("A")
	first := p.hear()
	configure(t, l, p.negotiated(func(n *sdp.Negotiated) { n.Direction = sdp.Inactive }))
	sent := l.Stats().Sent
	configure(t, l, p.negotiated())
	eventually(t, func() bool { return l.Stats().Sent > sent })
	for want := first.seq + 1; ; want++ {
		k := p.hear()
		if k.seq != want {
			t.Fatalf("packet %d, want %d", k.seq, want)
		}
		if k.marker { // the first after the hold
			break
		}
	}
}

func TestTimeoutIsRaisedOnceAndMediaComesBack(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		l, events := b.open(LegOptions{Name: "A", Timeout: 50 * time.Millisecond})
		p := newParty(t, l)
		configure(t, l, p.negotiated())
		want := func(kind EventKind) Event {
			t.Helper()
			e := testkit.Receive(t, patience, events)
			if e.Kind != kind {
				t.Fatalf("%s, want %s", e.Kind, kind)
			}
			return e
		}
		first := want(TimedOut) // nothing ever came
		p.talk()
		started := want(Started)
		again := want(TimedOut)
		if again.At-started.At < 50*time.Millisecond || started.At < first.At {
			t.Errorf("started at %s, timed out at %s", started.At, again.At)
		}
		p.talk()
		want(Started)
		want(TimedOut)
		// RTCP is a sign of life too.
		if _, err := p.rtcp.WriteToUDPAddrPort([]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, p.toRTCP); err != nil {
			t.Fatal(err)
		}
		want(Started)
		want(TimedOut)
		if len(events) != 0 {
			t.Errorf("%d more events", len(events))
		}
	})
}

func TestNoTimeoutOnHold(t *testing.T) {
	b := start(t, Options{})
	for name, change := range map[string]func(*sdp.Negotiated){
		"held":      func(n *sdp.Negotiated) { n.Held, n.Direction = true, sdp.RecvOnly },
		"send only": func(n *sdp.Negotiated) { n.Direction = sdp.SendOnly },
		"inactive":  func(n *sdp.Negotiated) { n.Direction = sdp.Inactive },
	} {
		l, events := b.open(LegOptions{Name: name, Timeout: 30 * time.Millisecond})
		// A twin that is not on hold shows when the time is over.
		twin, over := b.open(LegOptions{Name: "twin", Near: l, Timeout: 60 * time.Millisecond})
		p := newParty(t, l)
		configure(t, l, p.negotiated())
		configure(t, l, p.negotiated(change))
		configure(t, twin, newParty(t, twin).negotiated())
		if e := testkit.Receive(t, patience, over); e.Kind != TimedOut {
			t.Fatalf("%+v", e)
		}
		for len(events) > 0 { // before the hold the machine may have been slow
			if e := <-events; e.At > b.now()-30*time.Millisecond {
				t.Errorf("%s: %s at %s", name, e.Kind, e.At)
			}
		}
		configure(t, l, p.negotiated())
		if e := testkit.Receive(t, patience, events); e.Kind != TimedOut {
			t.Errorf("%s: after hold: %+v", name, e)
		}
	}
}
