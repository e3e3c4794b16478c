package sip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// t1 for tests in which nothing is lost: long enough not to send again on a busy machine.
const calm = 100 * time.Millisecond

// quick is T1 for tests that wait for a timeout: 64·T1 is about half a second.
const quick = 8 * time.Millisecond

const offer, reply2 = siptest.SDP, "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

// guard is the head of every test here.
func guard(t *testing.T) {
	t.Helper()
	testkit.NoLeaks(t)
	testkit.Timeout(t, time.Minute)
}

// leg is a dialog with the events that it raised.
type leg struct {
	*Dialog
	events chan Event
}

// node is a running agent with the calls that came in.
type node struct {
	*Agent
	calls chan *leg
	stop  func()
	reg   *prometheus.Registry
}

func newLeg(d *Dialog) *leg { return &leg{Dialog: d, events: make(chan Event, 64)} }

// run starts an agent; it ends with the test.
func run(t testing.TB, o Options) *node {
	t.Helper()
	n := &node{calls: make(chan *leg, 1024), reg: prometheus.NewRegistry()}
	if o.T1 == 0 {
		o.T1 = calm
	}
	if o.OnInvite == nil {
		o.OnInvite = func(d *Dialog) {
			l := newLeg(d)
			d.Bind(func(e Event) { l.events <- e })
			n.calls <- l
		}
	}
	o.Registerer = n.reg
	if _, ok := t.(*testing.T); ok && testing.Verbose() && o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Agent = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// dial makes a call to another node.
func (n *node) dial(t testing.TB, to string, o ...func(*InviteOptions)) *leg {
	t.Helper()
	io := InviteOptions{To: to, From: "+351210000000", FromName: `A "quoted" name`, SDP: []byte(offer)}
	for _, f := range o {
		f(&io)
	}
	l := &leg{events: make(chan Event, 64)}
	d, err := n.Invite(io, func(e Event) { l.events <- e })
	if err != nil {
		t.Fatal(err)
	}
	l.Dialog = d
	return l
}

func uri(n *node, transport string) string {
	return "sip:1000@" + n.Addr().String() + ";transport=" + transport
}

// want takes the next event, which must be of this kind.
func want[E Event](t testing.TB, l *leg) E {
	t.Helper()
	e := testkit.Receive(t, siptest.Patience, l.events)
	got, ok := e.(E)
	if !ok {
		t.Fatalf("event is %T %+v, want %T", e, e, got)
	}
	return got
}

// ended takes the Ended event, which must be next and say this.
func ended(t testing.TB, l *leg, by Side, code, q850 int) Ended {
	t.Helper()
	e := want[Ended](t, l)
	if e.By != by || e.Code != code || e.Q850 != q850 {
		t.Fatalf("ended by %v code %d cause %d (%s), want %v %d %d", e.By, e.Code, e.Q850, e.Reason, by, code, q850)
	}
	return e
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connect brings up a call between two nodes and gives both ends.
func connect(t testing.TB, a, b *node, transport string, o ...func(*InviteOptions)) (caller, callee *leg) {
	t.Helper()
	caller = a.dial(t, uri(b, transport), o...)
	callee = testkit.Receive(t, siptest.Patience, b.calls)
	must(t, callee.Answer([]byte(reply2)))
	if e := want[Answered](t, caller); string(e.SDP) != reply2 {
		t.Fatalf("answered with %q", e.SDP)
	}
	if e := want[Confirmed](t, callee); e.SDP != nil {
		t.Fatalf("confirmed with %q", e.SDP)
	}
	return caller, callee
}

// counter reads a metric by its name and label values.
func (n *node) counter(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := n.reg.Gather()
	must(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			have := map[string]bool{}
			for _, l := range m.GetLabel() {
				have[l.GetValue()] = true
			}
			for _, l := range labels {
				if !have[l] {
					continue metrics
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func (n *node) rejected(t testing.TB, reason string) float64 {
	t.Helper()
	return n.counter(t, "tapedeck_sip_rejected_total", reason)
}

// both runs a test over each transport.
func both(t *testing.T, f func(t *testing.T, transport string)) {
	t.Helper()
	for _, transport := range []string{udp, tcp} {
		t.Run(transport, func(t *testing.T) {
			guard(t)
			f(t, transport)
		})
	}
}

// caller makes a literal caller over the transport.
func caller(t testing.TB, n *node, transport string) *siptest.Caller {
	t.Helper()
	var p *siptest.Peer
	if transport == tcp {
		p = siptest.Dial(t, n.Addr())
	} else {
		p = siptest.New(t, n.Addr())
	}
	return siptest.NewCaller(p, n.Addr(), strings.ReplaceAll(fmt.Sprintf("%s-%s", t.Name(), p.Addr()), "/", "."))
}

// incoming takes the next inbound call of a node.
func (n *node) incoming(t testing.TB) *leg {
	t.Helper()
	return testkit.Receive(t, siptest.Patience, n.calls)
}
