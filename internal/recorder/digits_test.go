package recorder

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/rtp"
	"tapedeck/internal/voice"
)

// presser makes the packets of keys on one stream, 20 ms each.
type presser struct {
	g     *rig
	track *Track
	seq   uint64
	time  uint64
}

// talk sends audio packets.
func (p *presser) talk(n int) {
	for range n {
		p.seq++
		p.time += 160
		p.g.pass(20 * time.Millisecond)
		p.track.Take(&rtp.Received{Arrival: p.g.now(), Seq: p.seq, Time: p.time, SSRC: 7, Payload: bytes.Repeat([]byte{0x55}, 160)})
	}
}

// event is one packet of a key.
func (p *presser) event(start uint64, code byte, end bool, units int, verdict rtp.Verdict) {
	p.seq++
	payload := []byte{code, 10, 0, 0}
	if end {
		payload[1] |= 0x80
	}
	binary.BigEndian.PutUint16(payload[2:], uint16(units))
	p.track.Take(&rtp.Received{Arrival: p.g.now(), Seq: p.seq, Time: start, SSRC: 7, PT: 101, Verdict: verdict, Payload: payload})
}

// press holds a key for so many frames. The end comes three times, or never.
func (p *presser) press(code byte, frames int, ends bool) {
	start := p.time + 160
	for i := range frames {
		p.time += 160
		p.g.pass(20 * time.Millisecond)
		p.event(start, code, false, (i+1)*160, rtp.Event)
	}
	for range 3 {
		if ends {
			p.event(start, code, true, frames*160, rtp.Event)
		}
	}
}

func digitRig(t *testing.T, mask bool) (*rig, *Capture, *presser) {
	g := newRig(t, func(o *Options) { o.MaskDigits = mask })
	c := g.start(recID)
	track := c.Track(TrackSpec{Call: "c1", Codecs: []Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}, {PT: 101, Name: "telephone-event", ClockRate: 8000}}})
	c.Begin(g.now(), time.Unix(1, 0))
	return g, c, &presser{g: g, track: track, seq: 1 << 16, time: 1 << 32}
}

// done stops the capture and returns what is in the journal.
func done(t *testing.T, g *rig, c *Capture) (list []journal.Entry, keys string) {
	t.Helper()
	if _, err := c.Stop(voice.EndStopped); err != nil {
		t.Fatal(err)
	}
	g.expect(Opened)
	g.expect(Closed)
	list = entries(t, g.Path(recID))
	for _, e := range list {
		if e.Kind == journal.KindDigit {
			keys += string(e.Digit.Key)
		}
	}
	return list, keys
}

func TestDigitsAreNoted(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	p.talk(10)
	p.press(1, 5, true)
	p.talk(3)
	from := g.now() + 20*time.Millisecond
	p.press(2, 10, false) // every packet of its end is lost
	p.talk(20)            // so that it is let go
	p.press(11, 4, false) // the next one ends it
	p.press(10, 4, true)
	p.press(16, 4, true) // flash: no key
	p.talk(2)
	p.press(3, 2, false) // the stop ends it
	list, keys := done(t, g, c)
	if keys != "12#*3" {
		t.Fatalf("keys %q", keys)
	}
	for _, e := range list {
		if d := e.Digit; d.Key == '2' && (d.From != from-time.Second || d.Length != 200*time.Millisecond || d.Volume != 10 || e.Track != 0 || e.At < d.From+d.Length) {
			t.Errorf("at %s: %+v, pressed from %s", e.At, d, from-time.Second)
		}
	}
	if n := packets(list); n != 10+8+3+10+20+4+7+7+2+2 {
		t.Errorf("%d packets", n)
	}
}

// RFC 4733 §2.5.1.3: a key that is held for longer than the duration counts goes
// on in another segment, and is one key.
func TestALongPressIsOneDigit(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	start := p.time
	p.event(start, 5, false, 0xffff, rtp.Event)
	p.event(start+0xffff, 5, false, 8000, rtp.Event)
	p.event(start+0xffff, 5, true, 16000, rtp.Event)
	list, keys := done(t, g, c)
	if keys != "5" {
		t.Fatalf("keys %q", keys)
	}
	for _, e := range list {
		if d := e.Digit; d.Key == '5' && d.Length != time.Duration(0xffff+16000)*time.Second/8000 {
			t.Errorf("pressed for %s", d.Length)
		}
	}
}

// With Opus a party has two telephone-events, of two clocks: each key is measured in
// the clock of its own payload type, also where that decides whether the key was
// pressed before the gate opened.
func TestDigitsOfTwoClocks(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	p.track.SetCodecs(g.now(), []Codec{
		{PT: 111, Name: "opus", ClockRate: 48000}, {PT: 101, Name: "telephone-event", ClockRate: 8000},
		{PT: 0, Name: "PCMU", ClockRate: 8000}, {PT: 110, Name: "telephone-event", ClockRate: 48000},
	})
	p.talk(10)
	p.press(1, 5, true)
	p.talk(3)
	if _, err := c.Pause(voice.PauseSkip); err != nil {
		t.Fatal(err)
	}
	g.pass(time.Second) // the key is pressed here; not one packet of it comes
	if _, err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	g.pass(20 * time.Millisecond)
	p.time += 8000
	p.event(p.time, 4, true, 800, rtp.Event) // for 100 ms, 80 of them in the pause
	list, keys := done(t, g, c)
	if keys != "1" {
		t.Errorf("keys %q, want that which was not pressed in the pause", keys)
	}
	for _, e := range list {
		if d := e.Digit; e.Kind == journal.KindDigit && d.Length != 100*time.Millisecond {
			t.Errorf("%c was pressed for %v, want 100 ms", d.Key, d.Length)
		}
	}
	if got := secrets(list); bytes.Contains(got, []byte{4}) {
		t.Errorf("the packets of the key pressed in the pause are kept: %v", got)
	}
}

// secrets are the first bytes of the payloads of telephone-events in a journal.
func secrets(list []journal.Entry) (out []byte) {
	for _, e := range list {
		if e.Kind == journal.KindPacket && e.Packet.PT == 101 && len(e.Packet.Payload) > 0 {
			out = append(out, e.Packet.Payload[0])
		}
	}
	return out
}

// A masked recording knows that keys were pressed and not which: late and
// repeated packets say no more than the others.
func TestMaskedDigits(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, true)
	p.talk(5)
	p.press(7, 5, true)
	p.event(p.time, 7, true, 800, rtp.Duplicate)
	p.event(p.time, 7, true, 800, rtp.Late)
	p.talk(5)
	p.track.SetCodecs(g.now(), []Codec{{PT: 96, Name: "TELEPHONE-EVENT", ClockRate: 8000}})
	p.press(8, 5, true)
	list, keys := done(t, g, c)
	if keys != "" || len(secrets(list)) > 0 {
		t.Errorf("keys %q, payloads %x", keys, secrets(list))
	}
	if n := packets(list); n != 5+8+2+5+8 {
		t.Errorf("%d packets: their numbers must not be missed", n)
	}
	r, err := journal.Open(g.Path(recID))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Header().Masked {
		t.Error("the header does not say that digits are masked")
	}
}

// What is pressed in a pause stays out of it, however long the key is held, and
// however late its packets come.
func TestDigitsOfAPauseStayOut(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	pause := func() {
		t.Helper()
		if _, err := c.Pause(voice.PauseSilence); err != nil {
			t.Fatal(err)
		}
	}
	resume := func() {
		t.Helper()
		if _, err := c.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	p.talk(5)
	p.press(1, 3, false) // goes on in the pause
	start := p.time - 2*160
	pause()
	p.event(start, 1, true, 800, rtp.Event)
	p.press(9, 5, true)
	held := p.time + 160
	p.event(held, 9, false, 160, rtp.Event)
	resume()
	g.pass(resumeGuard + 20*time.Millisecond)
	p.event(held, 9, false, 1600, rtp.Event) // still held after the guard
	p.event(held, 9, true, 1600, rtp.Event)
	p.event(held+1600, 9, false, 160, rtp.Event) // and in another segment
	p.talk(1)
	p.event(held-5*160, 9, true, 800, rtp.Late) // of the key before
	p.time += 3200
	g.pass(400 * time.Millisecond)
	p.press(2, 4, true)

	// Of this one, no packet was seen in the pause: its duration tells.
	pause()
	g.pass(time.Second)
	resume()
	g.pass(100 * time.Millisecond)
	p.time += 8800
	p.event(p.time-1600, 9, false, 1600, rtp.Event)
	p.event(p.time-1600, 9, true, 1760, rtp.Event)
	g.pass(time.Second)
	p.time += 8000
	p.press(3, 4, true)
	list, keys := done(t, g, c)
	if keys != "123" {
		t.Errorf("keys %q", keys)
	}
	if bytes.Contains(secrets(list), []byte{9}) {
		t.Errorf("payloads %x", secrets(list))
	}
}

// A packet that was sent in the pause and comes long after the guard is older
// than what was seen in it.
func TestLatePacketsOfAPauseStayOut(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	p.talk(5)
	if _, err := c.Pause(voice.PauseSkip); err != nil {
		t.Fatal(err)
	}
	p.talk(10)
	if _, err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	g.pass(200 * time.Millisecond)
	late := &rtp.Received{Arrival: g.now(), Seq: p.seq - 4, Time: p.time - 640, SSRC: 7, Verdict: rtp.Late, Payload: bytes.Repeat([]byte{0xee}, 160)}
	p.track.Take(late)
	p.talk(2)
	g.pass(lateness)
	p.seq -= 100 // the sender counts anew: no late packets any more
	p.talk(4)
	list, _ := done(t, g, c)
	if n := packets(list); n != 5+2+2+2 {
		t.Errorf("%d packets", n)
	}
	raw, err := os.ReadFile(g.Path(recID))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, late.Payload[:16]) {
		t.Error("a late packet of the pause is on disk")
	}
}

// What the network held up in the pause comes after it in a bunch, and nothing of
// it was seen before: the sender's clock says when it was spoken.
func TestHeldUpPacketsOfAPauseStayOut(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	send := func(payload byte) {
		p.seq++
		p.time += 160
		p.track.Take(&rtp.Received{Arrival: g.now(), Seq: p.seq, Time: p.time, SSRC: 7, Payload: bytes.Repeat([]byte{payload}, 160)})
	}
	p.talk(5)
	if _, err := c.Pause(voice.PauseSkip); err != nil {
		t.Fatal(err)
	}
	p.talk(10)
	g.pass(400 * time.Millisecond) // 20 packets are held up
	if _, err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	g.pass(100 * time.Millisecond) // and 5 that were spoken afterwards
	for range 5 {
		send(0xee)
	}
	p.seq, p.time = p.seq+2, p.time+2*160
	send(0xee)
	p.seq, p.time = p.seq-2, p.time-2*160
	send(0xee) // in another order
	p.seq, p.time = p.seq+1, p.time+160
	for range 11 {
		send(0xee)
	}
	g.pass(time.Millisecond)
	for range 6 {
		send(0x11)
	}
	p.talk(3)
	list, _ := done(t, g, c)
	if n := packets(list); n != 5+6+3 {
		t.Errorf("%d packets, want 14", n)
	}
	raw, err := os.ReadFile(g.Path(recID))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, bytes.Repeat([]byte{0xee}, 16)) {
		t.Error("a packet of the pause is on disk")
	}
}

// A sender whose clock stands still in its silence, or that sets it anew, is no
// held-up network: it costs one packet.
func TestSendersOfOtherClocksAfterAPause(t *testing.T) {
	for name, step := range map[string]uint64{"still": 0, "back": ^uint64(79999), "ahead": 1 << 31} {
		t.Run(name, func(t *testing.T) {
			head(t)
			g, c, p := digitRig(t, false)
			p.talk(5)
			if _, err := c.Pause(voice.PauseSilence); err != nil {
				t.Fatal(err)
			}
			p.talk(10)
			g.pass(3 * time.Second)
			if _, err := c.Resume(); err != nil {
				t.Fatal(err)
			}
			g.pass(time.Second)
			p.time += step
			p.talk(20)
			list, _ := done(t, g, c)
			if n := packets(list); n < 5+19 {
				t.Errorf("%d packets", n)
			}
		})
	}
}

// Of a party that was transferred, packets of two sources come late, in any order.
func TestLatePacketsOfTwoSources(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	if _, err := c.Pause(voice.PauseSilence); err != nil {
		t.Fatal(err)
	}
	take := func(ssrc uint32, seq uint64) {
		p.track.Take(&rtp.Received{Arrival: g.now(), Seq: seq, Time: seq * 160, SSRC: ssrc, Payload: make([]byte, 160)})
	}
	take(7, 1000)
	take(8, 5000)
	take(7, 999) // it does not make the other one forgotten
	if _, err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	g.pass(100 * time.Millisecond)
	take(8, 4999)
	take(7, 998)
	take(9, 1)
	list, _ := done(t, g, c)
	if n := packets(list); n != 1 {
		t.Errorf("%d packets, want that of the source which the pause did not see", n)
	}
}

// No row of segments makes the length of a key overflow.
func TestEndlessPress(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	start := p.time
	for range 200_000 {
		p.event(start, 5, false, 0xffff, rtp.Event)
		start += 0xffff
	}
	list, keys := done(t, g, c)
	if keys != "5" {
		t.Fatalf("keys %q", keys)
	}
	for _, e := range list {
		if e.Kind == journal.KindDigit && e.Digit.Length < time.Hour {
			t.Errorf("pressed for %s", e.Digit.Length)
		}
	}
}

func TestTakeOfDigitsDoesNotAllocate(t *testing.T) {
	head(t)
	g, _, p := digitRig(t, false)
	packet := &rtp.Received{Arrival: g.now(), SSRC: 7, PT: 101, Verdict: rtp.Event, Payload: []byte{1, 10, 0, 160}}
	if n := testing.AllocsPerRun(2000, func() {
		packet.Seq++
		packet.Time += 100
		p.track.Take(packet)
	}); n > 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// A journal has 65536 numbers for tracks, and none of them twice.
func TestNoNumberOfATrackComesAgain(t *testing.T) {
	head(t)
	g, c, p := digitRig(t, false)
	for range maxTracks - 1 {
		c.Track(TrackSpec{}).Close(g.now(), Unheard{})
	}
	c.Track(TrackSpec{}).Take(&rtp.Received{Arrival: g.now(), Payload: []byte{1}})
	p.talk(1)
	list, _ := done(t, g, c)
	opened := map[uint16]bool{}
	for _, e := range list {
		if e.Kind == journal.KindTrackOpened && !e.Repeat {
			if opened[e.Track] {
				t.Fatalf("track %d was opened twice", e.Track)
			}
			opened[e.Track] = true
		}
	}
	if n := packets(list); len(opened) != maxTracks || n != 1 {
		t.Errorf("%d tracks, %d packets", len(opened), n)
	}
}
