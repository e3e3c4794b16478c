package media

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec"
	"tapedeck/internal/codec/codectest"
	"tapedeck/internal/testkit"
	"tapedeck/internal/tone"
)

// listener keeps what it hears.
type listener struct {
	pcm   []int16
	last  time.Duration
	wrong int // frames of another length, or not 20 ms after the one before
}

func (l *listener) Hear(frame []int16, at time.Duration) {
	if len(frame) != ListenRate/50 || len(l.pcm) > 0 && at != l.last+20*ms {
		l.wrong++
	}
	l.pcm, l.last = append(l.pcm, frame...), at
}

// spoken is a stage whose first party speaks, and nobody is bridged.
func spoken(t testing.TB, speaks side) *stage {
	s := newStage(t, speaks, side{codec: codec.PCMU, ptime: 20 * ms})
	s.legs[0].bridge.part(0)
	return s
}

func (s *stage) listen(ls ...Listener) {
	s.legs[0].listeners = ls
	s.legs[0].arrangeAudience(s.elapsed)
}

// Who listens hears the party in every codec, without a gap and at once.
func TestListenersHearTheParty(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	for i, f := range formats() {
		f.ptime = []time.Duration{20 * ms, 10 * ms, 60 * ms}[i%3]
		s := spoken(t, f)
		s.said = speech().At(codecOf(f.codec, f.rate, 0).SampleRate).Samples
		var who, too listener
		s.listen(&who, &too)
		s.run(6*time.Second, nil)
		m := compare.Align(speech().Samples, who.pcm)
		if like := compare.Correlation(speech().Samples, who.pcm, m.Samples()); like < 0.95 {
			t.Errorf("%v: likeness %.3f", f, like)
		}
		if late := time.Duration(m.Samples()) * time.Second / ListenRate; late < 0 || late > f.ptime+leisure+60*ms {
			t.Errorf("%v: heard %v late", f, late)
		}
		if who.wrong > 0 || len(too.pcm) != len(who.pcm) || len(who.pcm) < 59*ListenRate/10 {
			t.Errorf("%v: %d samples, %d frames are wrong", f, len(who.pcm), who.wrong)
		}
	}
}

// Loss and jitter: frames come all the same, and what came is in its place. A silent
// party is heard as silence.
func TestListeningToABadNetwork(t *testing.T) {
	s := spoken(t, side{codec: codec.PCMU, ptime: 20 * ms})
	s.said = speech().At(8000).Samples
	var who listener
	s.listen(&who)
	r := rand.New(rand.NewPCG(1, 2))
	s.run(6*time.Second, func() time.Duration {
		if r.Float64() < 0.03 {
			return -1
		}
		return time.Duration(r.Int64N(int64(30 * ms)))
	})
	s.next = 1 << 60
	s.run(2*time.Second, nil)
	const second = ListenRate
	var like float64
	for i := range 5 { // by the second: the buffer's delay changes
		like += likeness(speech().Samples[i*second:][:second], who.pcm[i*second:][:2*second]) / 5
	}
	if like < 0.7 {
		t.Errorf("likeness %.3f", like)
	}
	if who.wrong > 0 || len(who.pcm) < 79*ListenRate/10 {
		t.Errorf("%d samples, %d frames are wrong", len(who.pcm), who.wrong)
	}
	for _, v := range who.pcm[len(who.pcm)-ListenRate:] {
		if v != 0 {
			t.Fatal("a party that is silent is heard")
		}
	}
}

// Keys in the audio are heard once each, in every codec that carries them, and not
// while telephone-events are agreed on.
func TestKeysInBand(t *testing.T) {
	const keys = "0123456789*#ABCD5577"
	for _, f := range formats() {
		f.ptime = 20 * ms
		s := spoken(t, f)
		l := s.legs[0]
		var got string
		l.notify = func(e Event) {
			if e.Kind == Digit {
				got += string(e.Digit)
			}
		}
		press := func() string {
			got = ""
			s.said = tone.Keys(keys, 80*ms, 80*ms).At(codecOf(f.codec, f.rate, 0).SampleRate).Samples
			s.run(4*time.Second, nil)
			return got
		}
		l.inBand = true
		l.arrangeAudience(s.elapsed)
		if got := press(); got != "" {
			t.Errorf("%v: %q beside telephone-events", f, got)
		}
		n := s.sides[0].negotiated(0)
		n.Event, n.Receive = nil, n.Receive[:1]
		l.configure(&n, s.elapsed)
		if got := press(); got != keys {
			t.Errorf("%v: %q, want %q", f, got, keys)
		}
	}
}

// A sender that is held up for once, and then makes up for it, tears no key in two.
func TestKeysInBandOfAStutteringSender(t *testing.T) {
	const keys = "0123456789*#ABCD5577"
	s := spoken(t, side{codec: codec.PCMU, ptime: 20 * ms})
	l := s.legs[0]
	var got string
	l.notify = func(e Event) {
		if e.Kind == Digit {
			got += string(e.Digit)
		}
	}
	n := s.sides[0].negotiated(0)
	n.Event, n.Receive = nil, n.Receive[:1]
	l.configure(&n, s.elapsed)
	l.inBand = true
	l.arrangeAudience(s.elapsed)
	s.said = tone.Keys(keys, 120*ms, 80*ms).At(8000).Samples
	packets := 0
	s.run(5*time.Second, func() time.Duration {
		packets++
		if packets < 62 || packets > 65 { // in the middle of a key
			return 0
		}
		return time.Duration(66-packets) * 20 * ms // all come together with the one after
	})
	if got != keys {
		t.Errorf("%q, want %q", got, keys)
	}
}

func TestTheFormsOfListening(t *testing.T) {
	b := start(t, Options{})
	x, _ := b.connect("A")
	y, _ := b.connect("B")
	if err := x.Listen(&listener{}); err != nil {
		t.Fatal(err)
	}
	if err := x.HearKeys(true); err != nil {
		t.Fatal(err)
	}
	br := b.join(x, y)
	if err := x.Listen(&listener{}); !errors.Is(err, ErrBridged) {
		t.Errorf("bridged: %v", err)
	}
	if err := x.Listen(); err != nil {
		t.Errorf("bridged, nobody: %v", err)
	}
	if err := x.Follow(&listener{}); err != nil {
		t.Errorf("bridged, who follows: %v", err)
	}
	if err := x.Follow(); err != nil {
		t.Error(err)
	}
	if err := br.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Listen(&listener{}); err != nil {
		t.Errorf("after the bridge: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Listen(&listener{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := x.Listen(); err != nil {
		t.Errorf("closed, nobody: %v", err)
	}
	if err := x.Follow(&listener{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed, who follows: %v", err)
	}
	if err := x.Follow(); err != nil {
		t.Errorf("closed, nobody follows: %v", err)
	}
}

// Nothing is decoded any more once the legs are bridged, nor kept of it.
func TestABridgeEndsListening(t *testing.T) {
	s := spoken(t, side{codec: codec.PCMU, ptime: 20 * ms})
	s.said = speech().At(8000).Samples
	var who listener
	s.listen(&who)
	s.run(time.Second, nil)
	if err := (&Bridge{a: s.legs[0], b: s.legs[1]}).link(s.elapsed); err != nil {
		t.Fatal(err)
	}
	before := len(who.pcm)
	s.run(time.Second, nil)
	if len(who.pcm) != before || s.legs[0].audible != nil {
		t.Error("a bridged leg is listened to")
	}
}

// Who follows a leg hears its party all the while: before a bridge, during it, also
// where it converts or transcodes, and after it. The other party hears it as well.
func TestABridgeDoesNotEndFollowing(t *testing.T) {
	for _, peer := range []side{
		{codec: codec.PCMU, ptime: 20 * ms}, {codec: codec.PCMA, ptime: 20 * ms}, {codec: codec.G722, ptime: 20 * ms},
	} {
		s := newStage(t, side{codec: codec.PCMU, ptime: 20 * ms}, peer)
		s.legs[0].bridge.part(0)
		s.said = speech().At(8000).Samples
		l, b := s.legs[0], &Bridge{a: s.legs[0], b: s.legs[1]}
		var who, bound listener
		l.followers = []Listener{&who}
		s.listen(&bound)
		s.run(2*time.Second, nil)
		if err := b.link(s.elapsed); err != nil {
			t.Fatal(err)
		}
		sent := s.legs[1].out.Packets()
		s.run(2*time.Second, nil)
		if n := s.legs[1].out.Packets() - sent; n < 90 {
			t.Errorf("%v: %d packets were passed on in 2 s", peer, n)
		}
		b.part(s.elapsed)
		s.run(2*time.Second, nil)
		m := compare.Align(speech().Samples, who.pcm)
		if like := compare.Correlation(speech().Samples, who.pcm, m.Samples()); like < 0.95 {
			t.Errorf("%v: likeness %.3f", peer, like)
		}
		if who.wrong > 0 || len(who.pcm) < 59*ListenRate/10 || len(bound.pcm) > 21*ListenRate/10 {
			t.Errorf("%v: %d samples, %d frames are wrong; who is bound heard %d", peer, len(who.pcm), who.wrong, len(bound.pcm))
		}
		l.followers = nil
		if l.arrangeAudience(s.elapsed); l.audible != nil {
			t.Error("it is decoded for nobody")
		}
	}
}

func TestListeningAllocatesNothing(t *testing.T) {
	s := spoken(t, side{codec: codec.G722, ptime: 20 * ms})
	s.said = append(speech().Samples, codectest.Speech()...)
	count := 0
	l := s.legs[0]
	s.listen(quiet{&count})
	packet := s.packet()
	turn := func() {
		s.elapsed += 20 * ms
		s.header(packet, 9)
		s.time += 160
		s.receive(packet)
		s.w.wheel.advance(s.elapsed, s.w.fire)
	}
	for range 50 {
		turn()
	}
	if got := testing.AllocsPerRun(1000, turn); got != 0 {
		t.Errorf("%v allocations a frame", got)
	}
	if count < 1000 || l.audible.buffer.Counts().Played < 1000 {
		t.Errorf("%d frames were heard", count)
	}
}

// quiet is a listener that only counts.
type quiet struct{ frames *int }

func (q quiet) Hear([]int16, time.Duration) { *q.frames++ }
