package callgen

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/audio/compare"
	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

// endpoint runs an endpoint for the length of the test.
func endpoint(t *testing.T) *Endpoint {
	t.Helper()
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // sent to once, when Run returns
	go func() { ended <- e.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return e
}

func party(t *testing.T, e *Endpoint, o PartyOptions) *Party {
	t.Helper()
	p, err := e.Party(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// limit is a context that ends with the test.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(stop)
	return ctx
}

func connect(t *testing.T, a, b *Party) {
	t.Helper()
	if err := a.Dial(limit(t), b.URI()); err != nil {
		t.Fatal(err)
	}
	if err := b.Answered(limit(t)); err != nil {
		t.Fatal(err)
	}
}

// sweep is a signal that is like itself at one place only.
func sweep(n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		x := float64(i) / Rate
		out[i] = int16(6000 * math.Sin(2*math.Pi*(400*x+600*x*x)))
	}
	return out
}

func TestTwoPartiesTalk(t *testing.T) {
	for _, name := range []string{codec.PCMU, codec.PCMA} {
		t.Run(name, func(t *testing.T) {
			testkit.Timeout(t, 30*time.Second)
			testkit.NoLeaks(t)
			e := endpoint(t)
			a := party(t, e, PartyOptions{User: "a", Codecs: []string{name}})
			b := party(t, e, PartyOptions{User: "b", Ring: 10 * time.Millisecond})
			connect(t, a, b)
			said := sweep(8000)
			at := e.Now() + 50*time.Millisecond
			one, two := a.PlayAt(at, PCM(said)), b.PlayAt(at, PCM(said))
			testkit.Receive(t, 10*time.Second, closed(one.Done()))
			testkit.Receive(t, 10*time.Second, closed(two.Done()))
			for _, p := range []*Party{a, b} {
				testkit.Eventually(t, 5*time.Second, func() bool {
					return compare.Align(said, Assemble(p.Heard())).Correlation > 0.999
				})
			}
			begunA, okA := one.Began()
			begunB, okB := two.Began()
			if !okA || !okB || (begunA-begunB).Abs() > time.Millisecond || begunA < at {
				t.Errorf("asked for %s, they began at %s and %s", at, begunA, begunB)
			}
			if n, _ := a.Agreed(); n.Send.Name != name {
				t.Errorf("agreed on %s", n.Send.Name)
			}
			if err := a.Hangup(); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*Party{a, b} {
				if ended, err := p.Ended(limit(t)); err != nil || ended.Code != 200 {
					t.Errorf("%s: %+v, %v", p.User(), ended, err)
				}
			}
		})
	}
}

// closed turns a channel that is only closed into one that gives a value.
func closed(c <-chan struct{}) <-chan bool {
	out := make(chan bool, 1)
	go func() { <-c; out <- true }()
	return out
}

// TestScheduleDoesNotDrift: packet n leaves at n·20 ms after the first, however
// late the ones before it were.
func TestScheduleDoesNotDrift(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a, b := party(t, e, PartyOptions{User: "a"}), party(t, e, PartyOptions{User: "b"})
	connect(t, a, b)
	testkit.Eventually(t, 10*time.Second, func() bool { return b.HeardCount() >= 100 })
	heard := b.Heard()
	var off []float64
	for _, f := range heard {
		step := time.Duration(f.Time-heard[0].Time) * time.Second / Rate
		off = append(off, float64(f.Arrival-heard[0].Arrival-step)/1e6)
	}
	slices.Sort(off)
	if middle := off[len(off)/2]; math.Abs(middle) > 10 {
		t.Errorf("half of the packets came %.2f ms from where they belong", middle)
	}
	for i := 1; i < len(heard); i++ {
		if heard[i].Seq != heard[i-1].Seq+1 || heard[i].Time != heard[i-1].Time+160 {
			t.Fatalf("packet %d: sequence %d, time %d after %d, %d", i, heard[i].Seq, heard[i].Time, heard[i-1].Seq, heard[i-1].Time)
		}
	}
}

func TestRefusals(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	party(t, e, PartyOptions{User: "busy", Refuse: 486})
	for i, c := range []struct {
		to   string
		code int
	}{{e.URI("busy"), 486}, {e.URI("nobody"), 404}} {
		p := party(t, e, PartyOptions{User: string(rune('a' + i))})
		var refused *RefusedError
		if err := p.Dial(limit(t), c.to); !errors.As(err, &refused) || refused.Ended.Code != c.code {
			t.Errorf("%s: %v, want %d", c.to, err, c.code)
		}
	}
	if _, err := e.Party(PartyOptions{User: "busy"}); err == nil {
		t.Error("a second party got a name that is taken")
	}
	if _, err := e.Party(PartyOptions{User: "x", Codecs: []string{"nonsense"}}); err == nil {
		t.Error("a party got a codec that there is not")
	}
}

// TestImpairments: what is asked for is what the far side gets.
func TestImpairments(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	b := party(t, e, PartyOptions{User: "b"})
	a := party(t, e, PartyOptions{User: "a", Impair: func(n uint64) []time.Duration {
		switch n {
		case 3:
			return nil
		case 5:
			return []time.Duration{0, 0}
		case 7:
			return []time.Duration{70 * time.Millisecond}
		}
		return []time.Duration{0}
	}})
	connect(t, a, b)
	testkit.Eventually(t, 10*time.Second, func() bool { return b.HeardCount() >= 15 })
	var order []int
	heard := b.Heard()
	for _, f := range heard[:14] {
		order = append(order, int(f.Seq-heard[0].Seq))
	}
	if slices.Contains(order, 3) {
		t.Errorf("packet 3 was to be lost: %v", order)
	}
	if i := slices.Index(order, 5); i < 0 || order[i+1] != 5 {
		t.Errorf("packet 5 was to come twice: %v", order)
	}
	if slices.Index(order, 7) < slices.Index(order, 9) {
		t.Errorf("packet 7 was to come after packet 9: %v", order)
	}
}

func TestHoldAndResume(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a, b := party(t, e, PartyOptions{User: "a"}), party(t, e, PartyOptions{User: "b"})
	connect(t, a, b)
	if err := a.Hold(limit(t)); err != nil {
		t.Fatal(err)
	}
	if n, _ := b.Agreed(); !n.Held || n.Direction != sdp.RecvOnly {
		t.Errorf("held: %+v", n)
	}
	quiet := a.HeardCount()
	if err := a.Resume(limit(t)); err != nil {
		t.Fatal(err)
	}
	if n, _ := b.Agreed(); n.Held || n.Direction != sdp.SendRecv {
		t.Errorf("resumed: %+v", n)
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return a.HeardCount() > quiet+5 })
}

func TestDigits(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a, b := party(t, e, PartyOptions{User: "a"}), party(t, e, PartyOptions{User: "b"})
	connect(t, a, b)
	if err := a.Digits("x"); err == nil {
		t.Error("x was taken for a digit")
	}
	if err := a.Digits("1*D"); err != nil {
		t.Fatal(err)
	}
	n, _ := b.Agreed()
	read := func() string {
		var d rtp.Digits
		var got []byte
		for _, f := range b.Heard() {
			if f.PT != n.Event.PT {
				continue
			}
			p := rtp.Received{Verdict: rtp.Event, SSRC: f.SSRC, Seq: uint64(f.Seq), Time: uint64(f.Time), Marker: f.Marker, Payload: f.Payload}
			if digit, ok := d.Read(&p); ok {
				got = append(got, digit)
			}
		}
		return string(got)
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return read() == "1*D" })
}

func TestReports(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a := party(t, e, PartyOptions{User: "a", Reports: 20 * time.Millisecond})
	b := party(t, e, PartyOptions{User: "b", Reports: -1})
	connect(t, a, b)
	testkit.Eventually(t, 5*time.Second, func() bool { return b.Reports().Senders > 2 })
	if n := a.Reports().Senders; n != 0 {
		t.Errorf("%d reports of a party that makes none", n)
	}
}

func TestQuietPartySendsNothing(t *testing.T) {
	testkit.Timeout(t, 30*time.Second)
	testkit.NoLeaks(t)
	e := endpoint(t)
	a, b := party(t, e, PartyOptions{User: "a", Quiet: true}), party(t, e, PartyOptions{User: "b"})
	connect(t, a, b)
	testkit.Eventually(t, 5*time.Second, func() bool { return a.HeardCount() > 10 })
	if n := b.HeardCount(); n != 0 {
		t.Errorf("%d packets of a quiet party", n)
	}
	said := sweep(1600)
	testkit.Receive(t, 5*time.Second, closed(a.Play(PCM(said)).Done()))
	testkit.Eventually(t, 5*time.Second, func() bool { return b.HeardCount() == 10 })
	if f := b.Heard()[0]; !f.Marker {
		t.Error("the talk spurt begins without a marker")
	}
}
