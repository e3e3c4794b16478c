package media

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/rtp"
	"tapedeck/internal/testkit"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestPortsAreEvenAndPublic(t *testing.T) {
	b := start(t, Options{PublicIP: netip.MustParseAddr("192.0.2.99"), PortFrom: 32001, PortTo: 32010})
	seen := map[uint16]bool{}
	for range 4 {
		l, _ := b.open(LegOptions{})
		at := l.Addr()
		if at.Port()%2 != 0 || at.Port() < 32002 || at.Port() > 32008 || seen[at.Port()] || at.Addr().String() != "192.0.2.99" {
			t.Errorf("address %s", at)
		}
		seen[at.Port()] = true
	}
	if _, err := b.Open(LegOptions{Name: "one too many"}); !errors.Is(err, ErrNoPorts) || !strings.Contains(err.Error(), "one too many") {
		t.Errorf("%v", err)
	}
}

func TestPortsOfOthersAreLeftOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n, PortFrom: 32100, PortTo: 32105})
		for _, port := range []int{32100, 32103} {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		l, _ := b.open(LegOptions{})
		if l.Addr().Port() != 32104 {
			t.Errorf("port %d", l.Addr().Port())
		}
		if _, err := b.Open(LegOptions{}); !errors.Is(err, ErrNoPorts) {
			t.Errorf("%v", err)
		}
	})
}

func TestPortsRestBeforeTheyAreUsedAgain(t *testing.T) {
	var skip atomic.Int64
	began := time.Now()
	now := func() time.Duration { return time.Since(began) + time.Duration(skip.Load()) }
	only := freePair(t)
	b := start(t, Options{PortFrom: only, PortTo: only + 1, Cooldown: time.Hour, Now: now})
	l, p := b.connect("old")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(LegOptions{}); !errors.Is(err, ErrNoPorts) || !strings.Contains(err.Error(), "1h") {
		t.Errorf("%v", err)
	}
	p.talk() // a straggler of the old call: nobody listens
	skip.Store(int64(time.Hour))
	fresh, _ := b.open(LegOptions{Name: "new"})
	if fresh.Addr() != l.Addr() {
		t.Fatalf("%s, want %s", fresh.Addr(), l.Addr())
	}
	q := newParty(t, fresh)
	configure(t, fresh, q.negotiated())
	q.talk()
	eventually(t, func() bool { return fresh.Stats().Received == 1 })
	if s := fresh.Stats(); s.Foreign+s.Unknown+s.Malformed != 0 {
		t.Errorf("a packet of the old call came through: %+v", s)
	}
}

// freePair is an even port that nobody uses, nor the one after it.
func freePair(t *testing.T) int {
	t.Helper()
	for {
		first := listen(t)
		port := int(addrOf(first).Port())
		if port%2 == 0 {
			second, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addrOf(first).Addr(), uint16(port+1))))
			if err == nil {
				if err := errors.Join(first.Close(), second.Close()); err != nil {
					t.Fatal(err)
				}
				return port
			}
		}
	}
}

func TestPortPool(t *testing.T) {
	for _, r := range [][2]int{{0, 0}, {-1, 5}, {10, 10}, {11, 12}, {100, 50}, {65534, 70000}} {
		if _, err := newPorts(r[0], r[1], 0, 0); err == nil {
			t.Errorf("range %v was taken", r)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		const cooldown = 100
		now := time.Duration(1000)
		p, err := newPorts(5001, 5001+2*rapid.IntRange(1, 20).Draw(t, "pairs"), cooldown, now)
		if err != nil {
			t.Fatal(err)
		}
		out := map[int]bool{}
		rested := map[int]time.Duration{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 30).Draw(t, "time"))
			if rapid.Bool().Draw(t, "take") {
				port, err := p.take(now)
				if err != nil {
					continue
				}
				since, before := rested[port]
				if out[port] || port%2 != 0 || before && now-since < cooldown {
					t.Fatalf("port %d at %d, free since %d", port, now, since)
				}
				out[port] = true
				continue
			}
			for port := range out {
				delete(out, port)
				rested[port] = now
				p.put(port, now)
				break
			}
		}
		if p.n+len(out) != len(p.rest) {
			t.Fatalf("%d free, %d out, %d in all", p.n, len(out), len(p.rest))
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no pair of ports":       {PortFrom: 5001, PortTo: 5002},
		"not an address of ours": {BindIP: netip.MustParseAddr("192.0.2.1")},
		"nowhere to send to":     {BindIP: netip.IPv4Unspecified()},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b := start(t, Options{})
	if _, err := New(Options{Registerer: b.registry}); err == nil {
		t.Error("the same metrics twice")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		testkit.NoLeaks(t)
		e, err := New(Options{network: n, PortFrom: 31000, PortTo: 31999, Workers: 3})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Run(context.Background()) }()
		b := &bench{Engine: e, t: t}
		la, a := b.connect("A")
		lb, _ := b.connect("B")
		br := b.join(la, lb)
		a.talk()
		eventually(t, func() bool { return la.Stats().Received == 1 })
		var calls sync.WaitGroup
		for i := range 20 { // callers that are under way when the end comes
			calls.Go(func() {
				l, err := e.Open(LegOptions{Name: fmt.Sprint(i)})
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Errorf("open: %v", err)
					}
					return
				}
				l.SetTaps(new(ear))
				if err := l.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		calls.Wait()
		if err := <-ended; err != nil {
			t.Fatalf("run: %v", err)
		}
		if s := la.Stats(); s.Received != 1 {
			t.Errorf("the counters are gone: %+v", s)
		}
		if !strings.Contains(la.String(), "closed") {
			t.Error(la.String())
		}
		if err := la.Configure(a.negotiated()); !errors.Is(err, ErrClosed) {
			t.Errorf("configure: %v", err)
		}
		if _, err := e.Join(la, lb); !errors.Is(err, ErrClosed) {
			t.Errorf("join: %v", err)
		}
		if _, err := e.Open(LegOptions{}); !errors.Is(err, ErrClosed) {
			t.Errorf("open: %v", err)
		}
		for _, c := range []interface{ Close() error }{br, la, lb, e, e} {
			if err := c.Close(); err != nil {
				t.Errorf("close %T: %v", c, err)
			}
		}
		if err := e.Run(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("run again: %v", err)
		}
	})
}

func TestCloseWithoutRun(t *testing.T) {
	testkit.NoLeaks(t)
	e, err := New(Options{PortFrom: 31000, PortTo: 31999})
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := e.Open(LegOptions{})
		opened <- err
	}()
	eventually(t, func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.legs) == 1 })
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := testkit.Receive(t, patience, opened); !errors.Is(err, ErrClosed) {
		t.Errorf("open: %v", err)
	}
	if err := e.Run(context.Background()); err != nil {
		t.Errorf("run after close: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	testkit.NoLeaks(t)
	e, err := New(Options{PortFrom: 31000, PortTo: 31999})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	if _, err := e.Open(LegOptions{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := testkit.Receive(t, patience, ended); err != nil {
		t.Errorf("run: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// gate is a tap that must not be called any more once it is shut.
type gate struct {
	t    *testing.T
	shut atomic.Bool
	n    atomic.Int64
}

func (g *gate) Take(*rtp.Received) {
	if g.shut.Load() {
		g.t.Error("a former tap was called")
	}
	g.n.Add(1)
}
func (g *gate) TakeReport(*rtp.SenderReport) {}
func (g *gate) Touch() uint64                { return 0 }

func TestTapsChangeUnderTraffic(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		var always ear
		la.SetTaps(&always)
		stop, done := make(chan struct{}), make(chan int)
		go func() {
			sent := 0
			for {
				select {
				case <-stop:
					done <- sent
					return
				default:
					a.talk()
					sent++
					c.hearVoice() // one under way at a time: nothing is lost on the way
				}
			}
		}()
		for range 50 {
			g := &gate{t: t}
			la.SetTaps(&always, g)
			eventually(t, func() bool { return g.n.Load() > 0 })
			la.SetTaps(&always)
			g.shut.Store(true)
		}
		close(stop)
		sent := <-done
		if got := len(always.heard()); got != sent {
			t.Errorf("%d packets of %d reached the tap that stayed", got, sent)
		}
		la.SetTaps()
	})
}

// bomb is a tap with a fault.
type bomb struct{}

func (bomb) Take(*rtp.Received)           { panic("a fault in a tap") }
func (bomb) TakeReport(*rtp.SenderReport) {}
func (bomb) Touch() uint64                { return 0 }

func TestAFaultEndsItsLegAlone(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		b := start(t, Options{network: n, Workers: 1})
		la, a := b.connect("A")
		lb, c := b.connect("B")
		b.join(la, lb)
		bad, events := b.open(LegOptions{Name: "bad"})
		p := newParty(t, bad)
		configure(t, bad, p.negotiated())
		bad.SetTaps(bomb{})
		p.talk()
		if e := testkit.Receive(t, patience, events); e.Kind != Started {
			t.Errorf("%+v", e)
		}
		if e := testkit.Receive(t, patience, events); e.Kind != Failed {
			t.Errorf("%+v", e)
		}
		a.talk()
		c.hearVoice()
		if err := bad.Configure(p.negotiated()); !errors.Is(err, ErrClosed) {
			t.Errorf("configure: %v", err)
		}
		if err := bad.Close(); err != nil {
			t.Error(err)
		}
		if got := b.totals().faults; got != 1 {
			t.Errorf("%d faults counted", got)
		}
	})
}

func TestMetrics(t *testing.T) {
	b := start(t, Options{})
	la, a := b.connect("A")
	lb, c := b.connect("B")
	b.join(la, lb)
	a.talk()
	c.hearVoice()
	a.write([]byte("junk"))
	eventually(t, func() bool { return la.Stats().Malformed == 1 })
	check := func(want map[string]float64) {
		t.Helper()
		families, err := b.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := strings.TrimPrefix(f.GetName(), "tapedeck_media_")
				for _, l := range m.GetLabel() {
					name += "/" + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %v, want %v", name, got[name], value)
			}
		}
	}
	want := map[string]float64{
		"legs": 2, "packets_received_total": 1, "octets_received_total": 160, "packets_lost": 0,
		"packets_dropped_total/malformed": 1, "packets_dropped_total/foreign": 0, "faults_total": 0,
	}
	check(want)
	for _, l := range []*Leg{la, lb} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want["legs"] = 0 // what ended legs counted stays
	check(want)
}

// TestPacketsDoNotWaitForAllCommands: a worker that is told to do much at once still
// serves packets, does all of it in its order, and finishes what is left at its end.
func TestPacketsDoNotWaitForAllCommands(t *testing.T) {
	r := newRig(t, false)
	w := r.w
	const many = 10
	var done []int
	answers := make(chan error, many) // each command sends once
	for i := range many {
		w.post(command{done: answers, run: func(*worker) error {
			done = append(done, i)
			r.elapsed += commandTime / 2
			return nil
		}})
	}
	for turn := 1; turn < 4; turn++ {
		if w.commands(); len(done) != 2*turn {
			t.Fatalf("after turn %d %d commands were run, want %d", turn, len(done), 2*turn)
		}
		if w.timeout() != 0 {
			t.Errorf("the worker waits %v although there is something to do", w.timeout())
		}
	}
	for i, n := range done {
		if i != n {
			t.Errorf("in the order %v", done)
			break
		}
	}
	w.finish()
	for range done {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for range many - len(done) {
		if err := <-answers; !errors.Is(err, ErrClosed) {
			t.Errorf("of what was left: %v", err)
		}
	}
}

// TestACommandThatComesBetweenIsNotLeftWaiting: what wakes a worker is taken by its next
// wait, so the turn after that must find what came while older commands were left.
func TestACommandThatComesBetweenIsNotLeftWaiting(t *testing.T) {
	r := newRig(t, false)
	w := r.w
	var done []string
	order := func(name string, do func()) command {
		return command{run: func(*worker) error {
			done = append(done, name)
			do()
			return nil
		}}
	}
	w.post(order("long", func() {
		r.elapsed += commandTime
		w.post(order("between", func() {}))
	}))
	w.post(order("left", func() {}))
	w.commands()
	if w.timeout() != 0 {
		t.Errorf("the worker waits %v although a command is left", w.timeout())
	}
	w.commands()
	if !slices.Equal(done, []string{"long", "left", "between"}) {
		t.Errorf("%v were run", done)
	}
}
