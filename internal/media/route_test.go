package media

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
)

func codecOf(name string, clock int, pt uint8) sdp.Codec {
	i, ok := codec.Lookup(name, clock)
	if !ok {
		panic("no codec " + name)
	}
	return sdp.Codec{Info: i, PT: pt}
}

func TestRoutes(t *testing.T) {
	event, wide := codecOf(codec.Event, 8000, 101), codecOf(codec.Event, 48000, 110)
	mu := sdp.Negotiated{Send: codecOf(codec.PCMU, 8000, 0), Event: &event,
		Receive: []sdp.Codec{codecOf(codec.PCMU, 8000, 0), codecOf(codec.CN, 8000, 13), event}}
	opus := sdp.Negotiated{Send: codecOf(codec.Opus, 48000, 96), Event: &wide, Receive: []sdp.Codec{codecOf(codec.Opus, 48000, 111), wide}}
	plain := sdp.Negotiated{Send: codecOf(codec.PCMA, 8000, 8), Receive: []sdp.Codec{codecOf(codec.PCMA, 8000, 8)}}
	wider := sdp.Negotiated{Send: codecOf(codec.L16, 16000, 112)}
	long := sdp.Negotiated{Send: codecOf(codec.PCMA, 8000, 8), Ptime: 60 * time.Millisecond}
	unknown := sdp.Negotiated{Send: sdp.Codec{Info: codec.Info{Name: "unknown", ClockRate: 8000, SampleRate: 8000, Channels: 1}}}
	const none, through = -1, -2
	for _, test := range []struct {
		name    string
		from    sdp.Codec
		to      *sdp.Negotiated
		pt      int // none = no way, through = by the transcoder
		audio   bool
		convert bool
	}{
		{"same", codecOf(codec.PCMU, 8000, 0), &mu, 0, true, false},
		{"other law", codecOf(codec.PCMA, 8000, 8), &mu, 0, true, true},
		{"other law back", codecOf(codec.PCMU, 8000, 0), &plain, 8, true, true},
		{"other law in other packets", codecOf(codec.PCMU, 8000, 0), &long, through, true, false},
		{"same in other packets", codecOf(codec.PCMA, 8000, 8), &long, 8, true, false},
		{"other payload type", codecOf(codec.Opus, 48000, 111), &opus, 96, true, false},
		{"digit", codecOf(codec.Event, 8000, 96), &mu, 101, false, false},
		{"digit to nobody", codecOf(codec.Event, 8000, 96), &plain, none, false, false},
		{"digit of another clock", codecOf(codec.Event, 48000, 110), &mu, 101, false, true},
		{"noise", codecOf(codec.CN, 8000, 13), &mu, 13, true, false},
		{"noise to who takes none", codecOf(codec.CN, 8000, 13), &plain, through, true, false},
		{"another codec", codecOf(codec.PCMU, 8000, 0), &wider, through, true, false},
		{"the same of another clock", codecOf(codec.L16, 8000, 113), &wider, through, true, false},
		{"what nobody can encode", codecOf(codec.PCMU, 8000, 0), &unknown, none, true, false},
	} {
		r, ok := routeTo(&test.from, &mu, test.to)
		if ok != (test.pt != none) || r.transcode && ok != (test.pt == through) {
			t.Errorf("%s: way found: %t, by the transcoder: %t", test.name, ok, r.transcode)
		}
		if test.pt >= 0 && int(r.pt) != test.pt || ok && (r.audio != test.audio || (r.convert != nil) != test.convert) {
			t.Errorf("%s: PT %d, audio %t, convert %t", test.name, r.pt, r.audio, r.convert != nil)
		}
	}
}

func TestTheLengthOfADigitFollowsTheClock(t *testing.T) {
	payload := []byte{5, 0x8a, 0x03, 0x20} // 800 units
	eventConverter(8000, 48000)(payload)
	if !bytes.Equal(payload, []byte{5, 0x8a, 0x12, 0xc0}) {
		t.Errorf("100 ms at 48 kHz: %x", payload)
	}
	eventConverter(48000, 8000)(payload)
	if !bytes.Equal(payload, []byte{5, 0x8a, 0x03, 0x20}) {
		t.Errorf("and back: %x", payload)
	}
	eventConverter(8000, 48000)([]byte{5, 0x8a, 0xff}) // too short to have one
	payload = []byte{5, 0x8a, 0xff, 0x00}
	eventConverter(8000, 48000)(payload)
	if !bytes.Equal(payload, []byte{5, 0x8a, 0xff, 0xff}) {
		t.Errorf("8 s at 48 kHz: %x", payload)
	}
}

func TestWhatIsUnderWayWhenTheCodecChangesIsRelayed(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	lb, c := b.connect("B")
	b.join(la, lb)
	a.talk()
	c.hearVoice()
	only := a.negotiated(func(n *sdp.Negotiated) {
		n.Send = codecOf(codec.PCMA, 8000, 8)
		n.Receive = []sdp.Codec{n.Send}
	})
	configure(t, la, only)
	want := a.talk() // still PCMU
	if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
		t.Error("another packet came")
	}
}

func TestComfortNoiseGoesToWhoUnderstandsIt(t *testing.T) {
	b := start(t, Options{})
	cn := func(n *sdp.Negotiated) { n.Receive = append(n.Receive, codecOf(codec.CN, 8000, 13)) }
	la, a := b.connect("A", cn)
	lb, c := b.connect("B", cn)
	br := b.join(la, lb)
	a.talk()
	c.hearVoice()
	a.pt, a.payloadSize = 13, 1
	want := a.talk()
	if got := c.hear(); got.pt != 13 || !bytes.Equal(got.payload, want.payload) || got.marker {
		t.Errorf("%+v", got)
	}
	if err := br.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherClockRateIsAnotherStream(t *testing.T) {
	b := start(t, Options{})
	l, p := b.connect("A")
	first := p.hear()
	configure(t, l, p.negotiated(func(n *sdp.Negotiated) { n.Send = codecOf(codec.L16, 16000, 112) }))
	sent := l.Stats().Sent
	k := p.hear()
	for k.ssrc == first.ssrc {
		k = p.hear()
	}
	if k.pt != 112 || len(k.payload) != 640 || !k.marker {
		t.Errorf("%+v", k)
	}
	if next := p.hear(); next.time != k.time+320 {
		t.Errorf("time goes on by %d", next.time-k.time)
	}
	if got := l.Stats().Sent; got < sent {
		t.Errorf("sent %d, before %d", got, sent)
	}
}

func TestCommandsFollowALegThatMoves(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n, Workers: 2})
		l, p := b.connect("A")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s := l.String(); !strings.Contains(s, "PCMU/8000") {
					t.Errorf("%s", s)
				}
			}
		}()
		for i := range 200 {
			if err := l.move(b.workers[i%2]); err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		<-done
		sent := l.Stats().Sent
		eventually(t, func() bool { return l.Stats().Sent > sent }) // silence goes on
		p.talk()
		eventually(t, func() bool { return l.Stats().Received == 1 })
	})
}

func TestRefusedPacketsAreCounted(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		b.connect("A", func(n *sdp.Negotiated) { n.Remote = addrPort("127.0.0.1:0") })
		eventually(t, func() bool { return b.totals().refused > 0 })
	})
}

func TestAFaultInACommandIsAnError(t *testing.T) {
	b := start(t, Options{Workers: 1})
	l, p := b.connect("A")
	err := l.do(func(*worker) error { panic("a fault") })
	if err == nil || errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "a fault") {
		t.Errorf("%v", err)
	}
	p.hear() // the worker goes on
}

func TestAFaultAtTheEndOfALegDoesNoHarm(t *testing.T) {
	b := start(t, Options{Workers: 1})
	la, a := b.connect("A")
	lb, c := b.connect("B")
	b.join(la, lb)
	if err := la.do(func(*worker) error { la.bridge = &Bridge{}; return nil }); err != nil { // torn state
		t.Fatal(err)
	}
	if err := la.Close(); err != nil {
		t.Fatal(err)
	}
	if got := b.totals(); got.faults != 1 || got.legs != 1 {
		t.Errorf("%d faults, %d legs", got.faults, got.legs)
	}
	lc, d := b.connect("C")
	b.join(lb, lc) // B is free
	d.talk()
	c.hearVoice()
	_ = a
}

func TestIPv6(t *testing.T) {
	probe, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Logf("this machine has no IPv6: %v", err)
		return
	}
	defer probe.Close()
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n, BindIP: netip.IPv6Loopback()})
		l, _ := b.open(LegOptions{Name: "A"})
		p := newParty(t, l)
		p.rtp = probe
		configure(t, l, p.negotiated(func(n *sdp.Negotiated) { n.RemoteRTCP = netip.AddrPort{} }))
		k := p.hear()
		for k.from != l.Addr() { // of the leg before, which spoke to the same socket
			k = p.hear()
		}
		if !silent(k) {
			t.Errorf("%+v", k)
		}
		p.talk()
		eventually(t, func() bool { return l.Stats().Received == 1 })
		if err := l.Configure(p.negotiated(func(n *sdp.Negotiated) { n.Remote = addrPort("127.0.0.1:5004") })); err == nil {
			t.Error("an IPv4 address was taken")
		}
	})
}

// Simulated time: what takes too long with the real one.
func TestSilenceDoesNotMakeUpForALongStall(t *testing.T) {
	r := newRig(t, false)
	r.legs[0].bridge.part(0)
	pass := func(d time.Duration) int {
		before := r.out.sent
		r.elapsed += d
		r.w.wheel.advance(r.elapsed, r.w.fire)
		return r.out.sent - before
	}
	for range 10 {
		pass(20 * time.Millisecond)
	}
	if got := pass(60 * time.Millisecond); got > 2 {
		t.Errorf("%d packets in one turn", got)
	}
	for range 3 { // two legs, three frames behind: one more each turn
		pass(tick)
	}
	sent := r.out.sent
	pass(time.Second)
	for range 4 {
		pass(tick)
	}
	if got := r.out.sent - sent; got > 2*3 {
		t.Errorf("%d packets after a second without", got)
	}
}

func TestWatchLooksAgainWhenMediaCame(t *testing.T) {
	r := newRig(t, false)
	l := r.legs[0]
	var events []Event
	l.limit, l.notify = time.Second, func(e Event) { events = append(events, e) }
	l.arrangeWatch(r.elapsed, true)
	for range 200 { // 4 s of media
		r.turn()
		r.w.wheel.advance(r.elapsed, r.w.fire)
	}
	if len(events) != 1 || events[0].Kind != Started {
		t.Fatalf("%+v", events)
	}
	last := r.elapsed
	for range 100 {
		r.elapsed += 20 * time.Millisecond
		r.w.wheel.advance(r.elapsed, r.w.fire)
	}
	if len(events) != 2 || events[1].Kind != TimedOut || events[1].At < last+time.Second || events[1].At > last+time.Second+2*tick+20*time.Millisecond {
		t.Errorf("last packet at %s: %+v", last, events)
	}
}

func TestEventKindsHaveNames(t *testing.T) {
	for k := Started; k <= Failed; k++ {
		if k.String() == "invalid" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if EventKind(99).String() != "invalid" {
		t.Error("a kind that does not exist has a name")
	}
}
