package callgen

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit"
)

// direct makes a load whose callers dial the callees, with nothing between.
func direct(t *testing.T, o LoadOptions) *Load {
	t.Helper()
	var l *Load
	if o.Dial == nil {
		o.Dial = func(i int) string { return "sip:" + LoadNumber(i) + "@" + l.Callees().String() }
	}
	l, err := NewLoad(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoad(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	connected := make(chan int, 20) // one value a call
	l := direct(t, LoadOptions{Calls: 20, Talk: time.Second, PerSecond: 100, Connect: func(_ context.Context, i int, from string) error {
		if !strings.HasSuffix(from, LoadNumber(i)) {
			return errors.New("wrong caller " + from)
		}
		connected <- i
		return nil
	}})
	r, err := l.Run(t.Context())
	if err != nil || len(r.Failures) > 0 {
		t.Fatal(err, r.Failures)
	}
	if r.Connected != 20 || len(connected) != 20 {
		t.Errorf("%d calls, %d of them by hand", r.Connected, len(connected))
	}
	// A busy machine sends less than is due, never more.
	if want := uint64(2 * 20 * 50); r.Sent < want/4 || r.Sent > want*11/10 {
		t.Errorf("%d frames in a second, about %d are due", r.Sent, want)
	}
	if r.Lost != 0 || r.Received != r.Sent || r.Duplicate != 0 || r.CrossTalk != 0 || r.Unmarked != 0 {
		t.Errorf("sent %d, received %d, lost %d, duplicate %d, of others %d, unmarked %d", r.Sent, r.Received, r.Lost, r.Duplicate, r.CrossTalk, r.Unmarked)
	}
	if r.Latency.Count() != r.Received || r.Latency.Quantile(0.5) <= 0 || r.Latency.Quantile(0.5) > r.Latency.Quantile(0.99) || r.Latency.Quantile(1) != r.Latency.Max() {
		t.Errorf("latency: %d, %s, %s, %s", r.Latency.Count(), r.Latency.Quantile(0.5), r.Latency.Quantile(0.99), r.Latency.Max())
	}
	if len(r.Legs) != 40 {
		t.Fatalf("%d legs", len(r.Legs))
	}
	for _, leg := range r.Legs {
		if leg.Sent == 0 || leg.Sent != leg.Received {
			t.Errorf("%+v", leg)
		}
	}
}

func TestLoadSaysWhatFailed(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	var l *Load
	l = direct(t, LoadOptions{Calls: 3, Talk: 100 * time.Millisecond, Patience: 3 * time.Second, Dial: func(i int) string {
		if i == 1 {
			return "sip:nobody@" + l.Callees().String()
		}
		return "sip:" + LoadNumber(i) + "@" + l.Callees().String()
	}})
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Connected != 2 || len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Error(), "call 1: caller: it was not answered: ended with 404") {
		t.Errorf("%d connected, %v", r.Connected, r.Failures)
	}
	for _, bad := range []LoadOptions{{}, {Calls: 1}, {Calls: 1<<24 + 1, Dial: LoadNumber}} {
		if _, err := NewLoad(bad); err == nil {
			t.Errorf("%d calls, dial %v: no error", bad.Calls, bad.Dial != nil)
		}
	}
}

// TestLoadCountsExactly: frames that are lost, doubled, late, or from another
// call show as what they are.
func TestLoadCountsExactly(t *testing.T) {
	g := &inLeg{call: 7, leg: calleeLeg, heard: make(chan time.Duration, 1)}
	mine := func(counter uint32) Stamp { return Stamp{Call: 7, Leg: callerLeg, Counter: counter} }
	for _, s := range []Stamp{
		mine(0), mine(1), mine(2), mine(2), mine(5), mine(4), mine(300),
		{Call: 8, Leg: callerLeg, Counter: 9}, {Call: 7, Leg: calleeLeg, Counter: 9},
		{Call: 8, Leg: callerLeg}, // before the count
	} {
		g.hears(s, 0)
	}
	if g.received != 5 || g.duplicate != 1 || g.reordered != 1 || g.crossTalk != 2 {
		t.Errorf("received %d, duplicate %d, reordered %d, of others %d", g.received, g.duplicate, g.reordered, g.crossTalk)
	}
	select {
	case <-g.heard:
	default:
		t.Error("the other side counts as not heard")
	}
}

func TestLatencies(t *testing.T) {
	var a, b Latencies
	for i := 1; i <= 100; i++ {
		a.Add(time.Duration(i) * time.Millisecond)
	}
	b.Add(3 * time.Second)
	b.Add(-time.Second)
	a.Merge(&b)
	if a.Count() != 102 || a.Max() != 3*time.Second {
		t.Errorf("%d, %s", a.Count(), a.Max())
	}
	if q := a.Quantile(0.5); q < 49*time.Millisecond || q > 51*time.Millisecond {
		t.Errorf("median %s", q)
	}
	if q := a.Quantile(1); q != 3*time.Second {
		t.Errorf("all: %s", q)
	}
	if q := new(Latencies).Quantile(0.5); q != 0 {
		t.Errorf("of nothing: %s", q)
	}
}

// TestCallsComeAndGo: each place has one call after the other, and every frame
// of each of them is counted.
func TestCallsComeAndGo(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	talked := make(chan bool, 2)
	l := direct(t, LoadOptions{
		Calls: 4, Talk: 2 * time.Second, PerSecond: 50, Lasting: 300 * time.Millisecond, Tail: 50 * time.Millisecond,
		Talking: func(on bool) { talked <- on },
	})
	r, err := l.Run(t.Context())
	if err != nil || len(r.Failures) > 0 {
		t.Fatal(err, r.Failures)
	}
	if r.Calls < 8 || r.Connected != r.Calls || r.SetUp.Count() != uint64(r.Calls) || r.Broken != 0 {
		t.Errorf("%d calls in all, %d of them up, %d broken, on 4 places", r.Calls, r.Connected, r.Broken)
	}
	if r.Sent == 0 || r.Lost != 0 || r.Received != r.Sent || r.Duplicate+r.CrossTalk+r.Unmarked != 0 {
		t.Errorf("sent %d, received %d, lost %d, duplicate %d, of others %d, unmarked %d", r.Sent, r.Received, r.Lost, r.Duplicate, r.CrossTalk, r.Unmarked)
	}
	if !<-talked || <-talked {
		t.Error("the talk is not told from its beginning to its end")
	}
}

// TestCallsAtARate: a call is made when its time has come, though those before are
// still up, and each of them is hung up after its own time.
func TestCallsAtARate(t *testing.T) {
	testkit.Timeout(t, 60*time.Second)
	testkit.NoLeaks(t)
	l := direct(t, LoadOptions{Calls: 12, PerSecond: 100, Each: 300 * time.Millisecond, Tail: 50 * time.Millisecond})
	r, err := l.Run(t.Context())
	if err != nil || len(r.Failures) > 0 {
		t.Fatal(err, r.Failures)
	}
	if r.Connected != 12 || r.SetUp.Count() != 12 || r.Broken != 0 {
		t.Errorf("%d calls up, %d timed, %d broken", r.Connected, r.SetUp.Count(), r.Broken)
	}
	if want := uint64(2 * 12 * 15); r.Sent < want/4 || r.Sent > 2*want {
		t.Errorf("%d frames, about %d are due", r.Sent, want)
	}
	if r.Lost != 0 || r.Received != r.Sent || r.Duplicate+r.CrossTalk+r.Unmarked != 0 {
		t.Errorf("sent %d, received %d, lost %d, duplicate %d, of others %d, unmarked %d", r.Sent, r.Received, r.Lost, r.Duplicate, r.CrossTalk, r.Unmarked)
	}
}
