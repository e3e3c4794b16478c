package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

// alone is a stage whose legs are not bridged: the party of the second one listens to
// what we play, and nobody speaks.
func alone(t testing.TB, listens side) (*stage, *[]Event) {
	s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, listens)
	s.wire.keep = true
	s.next = 1 << 60
	s.legs[0].bridge.part(0)
	var told []Event
	s.legs[1].notify = func(e Event) { told = append(told, e) }
	return s, &told
}

// play begins a play on the second leg, as Leg.Play does.
func (s *stage) play(p Play) {
	s.t.Helper()
	l := s.legs[1]
	if err := l.mayPlay(); err != nil {
		s.t.Fatal(err)
	}
	pl := newPlayer(p)
	pl.retune(p.render(l.agreed.Send.SampleRate))
	l.start(pl, s.elapsed)
}

// likeness is how much the second signal is like the first, wherever it lies in it.
func likeness(want, got []int16) float64 {
	m := compare.Align(want, got)
	return compare.Correlation(want, got, m.Samples())
}

// speech is what a prompt sounds like.
func speech() *audio.Clip {
	return &audio.Clip{Rate: codectest.SpeechRate, Samples: codectest.Speech()}
}

// The party hears the prompt in every codec and packet time, in one stream with the
// silence around it.
func TestThePartyHearsThePrompt(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	for i, f := range formats() {
		ptime := []time.Duration{20 * ms, 10 * ms, 60 * ms}[i%3]
		f.ptime = ptime
		t.Run(f.String(), func(t *testing.T) {
			s, told := alone(t, f)
			s.run(200*ms, nil)
			s.play(Play{ID: 7, Sounds: []Sound{{Clip: speech()}}})
			s.run(6*time.Second, nil)
			if want := []Event{{Kind: Played, Play: 7, At: (*told)[0].At}}; !slices.Equal(*told, want) {
				t.Errorf("%+v, want %+v", *told, want)
			}
			if at := (*told)[0].At - 200*ms; at < speech().Duration()-ptime || at > speech().Duration()+2*ptime {
				t.Errorf("%v of speech were over after %v", speech().Duration(), at)
			}
			pcm, _ := s.heard()
			rate := codecOf(f.codec, f.rate, 0).SampleRate
			if like := likeness(speech().At(rate).Samples, pcm); like < 0.95 {
				t.Errorf("what is heard is like the prompt by %.3f", like)
			}
			if long := time.Duration(len(pcm)) * time.Second / time.Duration(rate); long < 6100*ms || long > 6300*ms {
				t.Errorf("%v were sent in 6.2 s", long)
			}
		})
	}
}

// Sounds, silences and turns follow each other without a gap.
func TestSoundsFollowEachOther(t *testing.T) {
	s, told := alone(t, side{codec: codec.L16, rate: 16000, ptime: 20 * ms})
	tone := func(hz float64, d time.Duration) Sound {
		info := codec.Info{SampleRate: 8000, Channels: 1}
		return Sound{Clip: &audio.Clip{Rate: 8000, Samples: codectest.Tone(info, hz, int(8000*d/time.Second))}}
	}
	p := Play{ID: 1, Times: 3, Sounds: []Sound{tone(500, 30*ms), {Silence: 25 * ms}, {}, tone(900, 15*ms)}}
	s.play(p)
	s.run(400*ms, nil)
	pcm, _ := s.heard()
	var want []int16
	for range 3 {
		for _, piece := range p.render(16000).parts {
			want = append(want, append(slices.Clip(piece.samples), make([]int16, piece.length-len(piece.samples))...)...)
		}
	}
	if !slices.Equal(pcm[:len(want)], want) {
		t.Error("not what was asked for")
	}
	if len(*told) != 1 || (*told)[0].Cut || (*told)[0].At < 210*ms || (*told)[0].At > 240*ms {
		t.Errorf("%+v", *told)
	}
}

func TestWhatEndsAPlay(t *testing.T) {
	endless := Play{ID: 1, Times: -1, Sounds: []Sound{{Clip: speech()}}}
	for name, end := range map[string]func(*stage){
		"stopped":  func(s *stage) { s.legs[1].cutPlay(s.elapsed) },
		"replaced": func(s *stage) { s.play(Play{ID: 2, Times: -1, Sounds: endless.Sounds}) },
		"bridged": func(s *stage) {
			if err := (&Bridge{a: s.legs[0], b: s.legs[1]}).link(s.elapsed); err != nil {
				s.t.Fatal(err)
			}
		},
		"closed": func(s *stage) { s.w.end(s.legs[1], false) },
	} {
		s, told := alone(t, side{codec: codec.PCMU, ptime: 20 * ms})
		s.play(endless)
		s.run(20*time.Second, nil) // longer than one turn of it
		if len(*told) != 0 {
			t.Fatalf("%s: %+v", name, *told)
		}
		end(s)
		want := []Event{{Kind: Played, Play: 1, Cut: true, At: s.elapsed}}
		s.run(100*ms, nil)
		if !slices.Equal(*told, want) {
			t.Errorf("%s: %+v, want %+v", name, *told, want)
		}
		if err := s.legs[1].mayPlay(); name == "bridged" && !errors.Is(err, ErrBridged) || name == "closed" && !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What has nothing in it is over at once, however often it is to be heard.
func TestNothingIsPlayedAtOnce(t *testing.T) {
	for _, times := range []int{-1, 0, 1, 5} {
		s, told := alone(t, side{codec: codec.PCMU, ptime: 20 * ms})
		s.play(Play{ID: 3, Times: times, Sounds: []Sound{{}, {Clip: &audio.Clip{Rate: 8000}}}})
		s.run(40*ms, nil)
		if len(*told) != 1 || (*told)[0].Cut {
			t.Errorf("%d times: %+v", times, *told)
		}
	}
}

// On hold the time of a prompt passes, and nothing of it is sent.
func TestAPromptOnHold(t *testing.T) {
	s, told := alone(t, side{codec: codec.PCMU, ptime: 20 * ms})
	s.play(Play{ID: 1, Sounds: []Sound{{Clip: speech()}}})
	s.run(time.Second, nil)
	n := s.sides[1].negotiated(1)
	n.Held = true
	s.legs[1].configure(&n, s.elapsed)
	sent := s.legs[1].stats().Sent
	s.run(2*time.Second, nil)
	if got := s.legs[1].stats().Sent; got != sent {
		t.Errorf("%d packets on hold", got-sent)
	}
	n.Held = false
	s.legs[1].configure(&n, s.elapsed)
	s.run(4*time.Second, nil)
	if at := (*told)[0].At; at < speech().Duration()-20*ms || at > speech().Duration()+60*ms {
		t.Errorf("over after %v", at)
	}
	pcm, _ := s.heard()
	clip := speech().At(8000).Samples
	for _, part := range [][2]int{{0, 8000}, {3*8000 + 200, 5 * 8000}} {
		if like := compare.Correlation(clip[part[0]:part[1]], pcm, part[0]); like < 0.95 {
			t.Errorf("from sample %d: likeness %.3f", part[0], like)
		}
	}
}

// A new agreement goes on where the old one stopped, at another rate.
func TestAPromptThroughAChangeOfCodec(t *testing.T) {
	b := start(t, Options{})
	l, events := b.open(LegOptions{Name: "A"})
	p := newParty(t, l)
	configure(t, l, p.negotiated())
	if err := l.Play(Play{ID: 1, Sounds: []Sound{{Clip: &audio.Clip{Rate: 16000, Samples: make([]int16, 6400)}}}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		p.hear()
	}
	wide := sdp.Codec{Info: codecOf(codec.L16, 16000, 96).Info, PT: 96}
	configure(t, l, p.negotiated(func(n *sdp.Negotiated) { n.Send = wide }))
	e := testkit.Receive(t, patience, events)
	if e.Kind != Played || e.Cut || e.At < 380*ms {
		t.Errorf("%+v", e)
	}
}

// A leg takes its prompt along to the worker of the one that it will be bridged with.
func TestAPromptMoves(t *testing.T) {
	b := start(t, Options{})
	x, _ := b.connect("A")
	y, events := b.open(LegOptions{Name: "B"})
	p := newParty(t, y)
	configure(t, y, p.negotiated())
	if err := y.Play(Play{ID: 1, Sounds: []Sound{{Silence: 300 * ms}}}); err != nil {
		t.Fatal(err)
	}
	if err := y.move(x.worker.Load()); err != nil {
		t.Fatal(err)
	}
	if e := testkit.Receive(t, patience, events); e.Kind != Played || e.Cut {
		t.Errorf("%+v", e)
	}
}

func TestPlayingOnALegThatCannot(t *testing.T) {
	b := start(t, Options{})
	l, _ := b.open(LegOptions{Name: "A"})
	if err := l.Play(Play{}); !errors.Is(err, errNotConfigured) {
		t.Errorf("not configured: %v", err)
	}
	if err := l.SendKeys(1, "1x"); err == nil {
		t.Error("x is a key")
	}
	other, _ := b.connect("B")
	configure(t, l, newParty(t, l).negotiated())
	b.join(l, other)
	if err := l.Play(Play{}); !errors.Is(err, ErrBridged) {
		t.Errorf("bridged: %v", err)
	}
	if err := l.SendKeys(1, "1"); !errors.Is(err, ErrBridged) {
		t.Errorf("bridged: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Play(Play{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := l.StopPlaying(); err != nil {
		t.Errorf("closed: %v", err)
	}
}

// Taps get the prompts and nothing else, as a stream whose time is the time at which
// they are heard.
func TestTapsOfPrompts(t *testing.T) {
	for _, f := range []side{{codec: codec.PCMU, ptime: 20 * ms}, {codec: codec.G722, ptime: 30 * ms}, {codec: codec.L16, rate: 16000, ptime: 10 * ms}} {
		s, _ := alone(t, f)
		tap := &ear{}
		s.legs[1].monitor.taps = []Tap{tap}
		info := codecOf(f.codec, f.rate, 0).Info
		for range 2 {
			s.run(333*ms, nil)
			s.play(Play{ID: 1, Sounds: []Sound{{Clip: speech()}}})
			s.run(6*time.Second, nil)
		}
		got := tap.heard()
		decoder, err := codec.NewDecoder(mono(info))
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 13*info.SampleRate)
		frame := make([]int16, 48*120)
		spurts := 0
		for i, k := range got {
			if k.SSRC != got[0].SSRC || k.Seq != got[0].Seq+uint64(i) || k.PT != info.PT || k.Verdict != rtp.Audio {
				t.Fatalf("%v: packet %d is %d of %x", f, i, k.Seq, k.SSRC)
			}
			if k.Marker {
				spurts++
			}
			if drift := k.Arrival - got[0].Arrival - time.Duration(k.Time-got[0].Time)*time.Second/time.Duration(info.ClockRate); max(drift, -drift) > ms {
				t.Fatalf("%v: packet %d is %v off its time", f, i, drift)
			}
			n, err := decoder.Decode(frame, k.Payload)
			if err != nil {
				t.Fatal(err)
			}
			copy(pcm[rtp.Units(k.Arrival, info.SampleRate):], frame[:n])
		}
		if spurts != 2 {
			t.Errorf("%v: %d talk spurts", f, spurts)
		}
		clip := speech().At(info.SampleRate).Samples
		for _, at := range []time.Duration{333 * ms, 6666 * ms} {
			near := pcm[rtp.Units(at-40*ms, info.SampleRate):][:len(clip)+info.SampleRate/10]
			m := compare.Align(clip, near)
			if off := time.Duration(m.Samples())*time.Second/time.Duration(info.SampleRate) - 40*ms; off < -ms || off > f.ptime+5*ms {
				t.Errorf("%v: heard %v after its time", f, off)
			}
			if like := compare.Correlation(clip, near, m.Samples()); like < 0.95 {
				t.Errorf("%v: likeness %.3f", f, like)
			}
		}
	}
}

// Keys go out as telephone-events, each in packets of one time with its end three
// times, and nothing else is heard meanwhile (RFC 4733 §2.5).
func TestKeysAsEvents(t *testing.T) {
	for _, ptime := range []time.Duration{10 * ms, 20 * ms, 30 * ms, 60 * ms} {
		s, told := alone(t, side{codec: codec.Opus, ptime: ptime, event: 48000})
		if f := formats(); f[len(f)-1].codec != codec.Opus {
			s, told = alone(t, side{codec: codec.PCMU, ptime: ptime})
		}
		s.run(100*ms, nil)
		p := newPlayer(Play{ID: 5})
		p.keys = []byte("1*D")
		s.legs[1].start(p, s.elapsed)
		s.run(time.Second, nil)
		rate := s.legs[1].agreed.Event.ClockRate
		var digits rtp.Digits
		keys, ends, audio := "", 0, 0
		var k rtp.Received
		var duration uint16
		for _, packet := range s.wire.list {
			if packet.to != s.legs[1].agreed.Remote {
				continue
			}
			if packet.data[1]&0x7f != 101 {
				if packet.at > 120*ms && packet.at < 600*ms {
					audio++
				}
				continue
			}
			k.Time, k.Marker = uint64(binary.BigEndian.Uint32(packet.data[4:])), packet.data[1]&0x80 != 0
			k.Payload, k.SSRC = packet.data[rtp.HeaderSize:], 1
			digit, ok := digits.Read(&k)
			if ok != k.Marker {
				t.Fatalf("%v: marker %t on a new digit %t", ptime, k.Marker, ok)
			}
			if ok {
				keys, duration = keys+string(digit), 0
			}
			e, _ := rtp.ParseEvent(k.Payload)
			if e.Duration < duration {
				t.Errorf("%v: duration %d after %d", ptime, e.Duration, duration)
			}
			duration = e.Duration
			if e.End {
				ends++
				if long := time.Duration(e.Duration) * time.Second / time.Duration(rate); long < keyPress || long > keyPress+ptime {
					t.Errorf("%v: pressed for %v", ptime, long)
				}
			}
		}
		if keys != "1*D" || ends != 9 || audio != 0 {
			t.Errorf("%v: keys %q, %d ends, %d packets of audio", ptime, keys, ends, audio)
		}
		if len(*told) != 1 || (*told)[0].Play != 5 || (*told)[0].Cut {
			t.Errorf("%v: %+v", ptime, *told)
		}
	}
}

func TestThePathOfAPromptAllocatesNothing(t *testing.T) {
	for _, f := range []side{{codec: codec.PCMU, ptime: 20 * ms}, {codec: codec.G722, ptime: 20 * ms}} {
		s, _ := alone(t, f)
		s.wire.keep = false
		l := s.legs[1]
		l.monitor.taps = []Tap{&counter{}}
		s.play(Play{ID: 1, Times: -1, Sounds: []Sound{{Clip: speech()}}})
		turn := func() {
			s.elapsed += 20 * ms
			s.w.wheel.advance(s.elapsed, s.w.fire)
		}
		turn()
		if got := testing.AllocsPerRun(1000, turn); got != 0 {
			t.Errorf("%v: %v allocations a frame", f, got)
		}
	}
}

func BenchmarkPrompt(b *testing.B) {
	for _, f := range formats() {
		f.ptime = 20 * ms
		b.Run(fmt.Sprint(f), func(b *testing.B) {
			s, _ := alone(b, f)
			s.wire.keep = false
			s.play(Play{ID: 1, Times: -1, Sounds: []Sound{{Clip: speech()}}})
			b.ReportAllocs()
			for b.Loop() {
				s.legs[1].perform(s.elapsed)
			}
		})
	}
}
