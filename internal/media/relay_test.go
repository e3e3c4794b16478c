package media

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

func TestRelayBothWays(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		for _, way := range []struct{ from, to *party }{{a, c}, {c, a}} {
			var before packet
			for i := range 200 {
				sent := way.from.talk()
				got := way.to.hearVoice()
				if !bytes.Equal(got.payload, sent.payload) {
					t.Fatalf("packet %d: another payload arrived", i)
				}
				if got.pt != 0 || got.from != way.to.to || got.ssrc == sent.ssrc {
					t.Fatalf("packet %d: PT %d from %s with SSRC %#x", i, got.pt, got.from, got.ssrc)
				}
				if got.marker != (i == 0) {
					t.Fatalf("packet %d: marker %t", i, got.marker)
				}
				if i > 0 && (got.seq != before.seq+1 || got.time != before.time+160 || got.ssrc != before.ssrc) {
					t.Fatalf("packet %d: %d/%d after %d/%d", i, got.seq, got.time, before.seq, before.time)
				}
				before = got
			}
		}
		if s := la.Stats(); s.Received != 200 || s.Lost != 0 || s.Foreign != 0 || s.ReceivedOctets != 200*160 {
			t.Errorf("stats of A: %+v", s)
		}
	})
}

func TestTranscodeBetweenTheLawsOfG711(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B", pcma)
		c.pt = 8
		b.join(la, lb)
		want := a.talk()
		g711.MuToA(want.payload)
		if got := c.hearVoice(); got.pt != 8 || !bytes.Equal(got.payload, want.payload) {
			t.Errorf("PCMU to PCMA: PT %d", got.pt)
		}
		want = c.talk()
		g711.AToMu(want.payload)
		if got := a.hearVoice(); got.pt != 0 || !bytes.Equal(got.payload, want.payload) {
			t.Errorf("PCMA to PCMU: PT %d", got.pt)
		}
	})
}

func TestTapsGetWhatCameNotWhatWasTranscoded(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	lb, c := b.connect("B", pcma)
	b.join(la, lb)
	var tap ear
	la.SetTaps(&tap)
	sent := a.talk()
	c.hearVoice()
	if got := tap.heard(); len(got) != 1 || !bytes.Equal(got[0].Payload, sent.payload) || got[0].PT != 0 {
		t.Errorf("the tap got %+v", got)
	}
}

func TestPacketTimesOfBothSidesMayDiffer(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A", func(n *sdp.Negotiated) { n.Ptime = 30 * time.Millisecond })
	lb, c := b.connect("B")
	b.join(la, lb)
	a.payloadSize = 240
	a.talk()
	first := c.hearVoice()
	a.talk()
	if got := c.hearVoice(); len(got.payload) != 240 || got.time != first.time+240 || got.seq != first.seq+1 {
		t.Errorf("the second packet of 30 ms: %d bytes at %d after %d", len(got.payload), got.time, first.time)
	}
}

func TestLossAndReorderingPassThrough(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	lb, c := b.connect("B")
	b.join(la, lb)
	a.talk()
	first := c.hearVoice()
	lost, late, next := a.next(), a.next(), a.next()
	for i, k := range []packet{next, late} {
		a.write(k.bytes())
		got := c.hearVoice()
		if want := []uint16{first.seq + 3, first.seq + 2}[i]; got.seq != want || !bytes.Equal(got.payload, k.payload) {
			t.Errorf("packet %d: sequence %d, want %d", k.seq, got.seq, want)
		}
	}
	a.write(late.bytes()) // a duplicate goes to taps only
	a.talk()
	if got := c.hearVoice(); got.seq != first.seq+4 {
		t.Errorf("after a duplicate: sequence %d, want %d", got.seq, first.seq+4)
	}
	if s := la.Stats(); s.Lost != 1 || s.Late != 1 || s.Duplicate != 1 {
		t.Errorf("packet %d was lost, one late, one double: %+v", lost.seq, s)
	}
}

func TestAnotherSSRCGoesOnWithoutABreak(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		var tap ear
		la.SetTaps(&tap)
		a.talk()
		a.talk()
		c.hearVoice()
		before := c.hearVoice()
		a.ssrc, a.seq, a.time = 0x2000, 40000, 77
		x := a.talk() // held until the next one confirms it
		y := a.talk()
		for i, want := range []packet{x, y} {
			got := c.hearVoice()
			if !bytes.Equal(got.payload, want.payload) || got.seq != before.seq+1 || got.ssrc != before.ssrc {
				t.Fatalf("packet %d of the new source: %d after %d", i, got.seq, before.seq)
			}
			if step := got.time - before.time; step < 160 || step > 8000 || i == 1 && step != 160 {
				t.Fatalf("packet %d of the new source: time goes on by %d", i, step)
			}
			if got.marker != (i == 0) {
				t.Errorf("packet %d of the new source: marker %t", i, got.marker)
			}
			before = got
		}
		eventually(t, func() bool { return len(tap.heard()) == 4 })
	})
}

func TestHoldStopsSendingAndResumeMarks(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		a.talk()
		before := c.hearVoice()
		hold := func(n *sdp.Negotiated) { n.Direction, n.Held = sdp.RecvOnly, true }
		configure(t, lb, c.negotiated(hold))
		var tap ear
		la.SetTaps(&tap)
		for range 5 {
			a.talk()
		}
		eventually(t, func() bool { return len(tap.heard()) == 5 }) // all were relayed, if they were
		configure(t, lb, c.negotiated())
		after := a.talk()
		got := c.hearVoice()
		if !bytes.Equal(got.payload, after.payload) {
			t.Fatal("something was sent to a party on hold")
		}
		if !got.marker || got.seq != before.seq+1 || got.time == before.time {
			t.Errorf("after hold: marker %t, sequence %d after %d", got.marker, got.seq, before.seq)
		}
		if s := lb.Stats(); s.Unsent != 5 {
			t.Errorf("%d packets counted as not sent", s.Unsent)
		}
	})
}

func TestNothingIsRelayedFromALegThatDoesNotReceive(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A", func(n *sdp.Negotiated) { n.Direction = sdp.SendOnly })
	lb, c := b.connect("B")
	b.join(la, lb)
	var tap ear
	la.SetTaps(&tap)
	a.talk()
	eventually(t, func() bool { return len(tap.heard()) == 1 })
	configure(t, la, a.negotiated())
	want := a.talk()
	if got := c.hearVoice(); !bytes.Equal(got.payload, want.payload) {
		t.Error("the packet of the time before was relayed")
	}
}

func TestUnbridgeAndBridgeAgainIsOneStream(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		ld, d := b.connect("D")
		var before packet
		check := func(k packet, what string) {
			t.Helper()
			if before.at.IsZero() {
				before = k
				return
			}
			if k.ssrc != before.ssrc || k.seq != before.seq+1 {
				t.Fatalf("%s: %d of %#x after %d of %#x", what, k.seq, k.ssrc, before.seq, before.ssrc)
			}
			// Time goes on as the wall clock does; the machine may be slow, so only an
			// absurd step fails.
			if step := k.time - before.time; step < 160 || step > 8000*uint32(patience/time.Second) {
				t.Fatalf("%s: time goes on by %d", what, step)
			}
			before = k
		}
		for round, talker := range []struct {
			leg *Leg
			*party
		}{{la, a}, {ld, d}, {la, a}} {
			k := c.hear()
			for !silent(k) || !k.marker && round > 0 {
				check(k, "before silence")
				k = c.hear()
			}
			check(k, "silence")
			br := b.join(lb, talker.leg)
			talker.talk()
			k = c.hear()
			for silent(k) {
				check(k, "silence under way")
				k = c.hear()
			}
			if !k.marker {
				t.Errorf("round %d: speech begins without a marker", round)
			}
			check(k, "first of speech")
			talker.talk()
			check(c.hear(), "second of speech")
			if err := br.Close(); err != nil {
				t.Fatal(err)
			}
			if err := br.Close(); err != nil {
				t.Fatalf("closed again: %v", err)
			}
		}
	})
}

func TestJoinMovesALegWithoutLoss(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n, Workers: 2})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		if la.worker.Load() == lb.worker.Load() {
			t.Fatal("two legs share a worker while another has none")
		}
		var tap ear
		lb.SetTaps(&tap)
		const packets = 400
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range packets {
				c.talk()
			}
		}()
		for range 20 {
			br := b.join(la, lb)
			if la.worker.Load() != lb.worker.Load() {
				t.Error("bridged legs have different workers")
			}
			if err := br.Close(); err != nil {
				t.Fatal(err)
			}
			other := b.workers[1-la.worker.Load().index]
			if err := lb.move(other); err != nil {
				t.Fatal(err)
			}
		}
		<-done
		eventually(t, func() bool { return len(tap.heard()) == packets })
		for i, k := range tap.heard() {
			if uint16(k.Seq) != uint16(100+i) || k.Verdict != rtp.Audio {
				t.Fatalf("packet %d is number %d, %s", i, uint16(k.Seq), k.Verdict)
			}
		}
		_ = a
	})
}

func TestJoinRefuses(t *testing.T) {
	b := start(t, Options{})
	la, _ := b.connect("A")
	lb, _ := b.connect("B")
	lc, _ := b.connect("C")
	if _, err := b.Join(la, la); err == nil {
		t.Error("a leg joins itself")
	}
	br := b.join(la, lb)
	if _, err := b.Join(lc, la); !errors.Is(err, ErrBridged) {
		t.Errorf("a bridged leg is joined again: %v", err)
	}
	if _, err := b.Join(la, lc); !errors.Is(err, ErrBridged) {
		t.Errorf("a bridged leg is joined again: %v", err)
	}
	if err := lb.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Join(la, lb); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed leg is joined: %v", err)
	}
	second := b.join(la, lc) // the end of B freed A
	if err := br.Close(); err != nil {
		t.Fatal(err)
	}
	if got := la.String(); !bytes.Contains([]byte(got), []byte("bridge(C)")) {
		t.Errorf("closing the old bridge ended the new one: %s", got)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}
