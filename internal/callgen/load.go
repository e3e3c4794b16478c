package callgen

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapedeck/internal/sip"
)

// LoadOptions describe a load of bridged calls through a server.
type LoadOptions struct {
	// Calls at once, each of two legs. At most 1<<24.
	Calls int
	// Talk is how long all of them talk at once, with every frame counted.
	Talk time.Duration
	// PerSecond is how many calls are made in a second. Default 25.
	PerSecond float64
	// Dial is the SIP URI that the caller of call i dials.
	Dial func(i int) string
	// Callee is the user part at which the callee of call i is called. Default:
	// LoadNumber.
	Callee func(i int) string
	// Connect, when set, is called after call i was dialled from a user part, to do
	// what makes the server connect it. Calls are connected several at once.
	Connect func(ctx context.Context, i int, from string) error
	// Talking, when set, is told when the counted time begins, and when it ends.
	Talking func(on bool)
	// Patience is how long a call may take to be up and heard. Default 20 s.
	Patience time.Duration
	// Tail is how long the calls stay up after the last frame. Default 300 ms.
	Tail time.Duration
}

// LoadNumber is the number of call i: nine digits.
func LoadNumber(i int) string { return fmt.Sprintf("9%08d", i) }

// LoadReport is what a load showed.
type LoadReport struct {
	Calls     int // that were to be made
	Connected int // that were up, with each side heard by the other
	Failures  []error

	// Frames, counted exactly, over both directions of all calls.
	Sent      uint64
	Received  uint64 // each once
	Lost      uint64
	Duplicate uint64
	Reordered uint64 // came after a later one
	CrossTalk uint64 // of another call, or of the wrong leg, while all talked
	Unmarked  uint64 // while all talked: made by the server, or damaged

	// SetUp is how long each call took from its INVITE until both sides heard each
	// other. A frame of 20 ms is part of it.
	SetUp   Latencies
	Latency Latencies     // one way, from the send call to the read
	Late    time.Duration // by how much the generator itself missed an instant at worst
	Legs    []LegReport
}

// LegReport is what one leg sent, and what of it the other leg heard.
type LegReport struct {
	Call, Leg      int
	Sent, Received uint64
}

// Load makes many calls at once.
type Load struct {
	o       LoadOptions
	now     func() time.Duration
	callers *sip.Agent
	callees *sip.Agent
	media   *loadMedia
	calls   []*loadCall
	byUser  map[string]*loadCall
}

// loadCall is one call: caller and callee.
type loadCall struct {
	index int
	legs  [2]*loadLeg // caller, callee
}

// The legs of a call.
const (
	callerLeg = iota
	calleeLeg
)

// NewLoad binds the sockets.
func NewLoad(o LoadOptions) (_ *Load, err error) {
	if o.Calls < 1 || o.Calls > 1<<24 || o.Dial == nil {
		return nil, errors.New("callgen: a load needs calls to make, and somebody to dial")
	}
	if o.Callee == nil {
		o.Callee = LoadNumber
	}
	if o.PerSecond <= 0 {
		o.PerSecond = 25
	}
	if o.Patience == 0 {
		o.Patience = 20 * time.Second
	}
	if o.Tail == 0 {
		o.Tail = 300 * time.Millisecond
	}
	epoch := time.Now()
	l := &Load{o: o, now: func() time.Duration { return time.Since(epoch) }, byUser: map[string]*loadCall{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	// Nothing retransmits early on a busy machine with a T1 of two seconds.
	if l.callers, err = sip.New(sip.Options{UserAgent: "callgen", T1: 2 * time.Second}); err != nil {
		return nil, err
	}
	if l.callees, err = sip.New(sip.Options{UserAgent: "callgen", T1: 2 * time.Second, OnInvite: l.invited}); err != nil {
		return nil, err
	}
	if l.media, err = newLoadMedia(l.now, 2*o.Calls); err != nil {
		return nil, err
	}
	for i := range o.Calls {
		c := &loadCall{index: i}
		for leg := range c.legs {
			if c.legs[leg], err = l.media.leg(uint32(i), uint8(leg)); err != nil {
				return nil, err
			}
		}
		l.calls = append(l.calls, c)
		l.byUser[o.Callee(i)] = c
	}
	return l, nil
}

// Callees is the SIP address where the callees are called.
func (l *Load) Callees() netip.AddrPort { return l.callees.Addr() }

// Close frees the sockets. Run does it too.
func (l *Load) Close() error {
	var errs []error
	for _, a := range []*sip.Agent{l.callers, l.callees} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	if l.media != nil {
		errs = append(errs, l.media.close())
	}
	return errors.Join(errs...)
}

// Run makes the calls, lets them talk, hangs up and reports. A call that does
// not come about is one of the report's failures; the error is for a load that
// could not be run. It can be called once.
func (l *Load) Run(ctx context.Context) (*LoadReport, error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return l.callers.Run(running) })
	group.Go(func() error { return l.callees.Run(running) })
	group.Go(func() error { return l.media.run(running) })

	r := &LoadReport{Calls: l.o.Calls}
	err := l.connect(ctx, r)
	if err == nil && r.Connected > 0 {
		err = l.talk(ctx)
	}
	l.hangup(ctx)
	stop()
	err = errors.Join(err, group.Wait(), l.Close())
	l.media.report(r)
	return r, err
}

// connect makes the calls, evenly in time.
func (l *Load) connect(ctx context.Context, r *LoadReport) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	defer group.Wait()
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.o.PerSecond))
	defer tick.Stop()
	for _, c := range l.calls {
		group.Go(func() {
			begun := l.now()
			err := l.connectOne(ctx, c)
			took := l.now() - begun
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Failures = append(r.Failures, fmt.Errorf("call %d: %w", c.index, err))
				return
			}
			r.Connected++
			r.SetUp.Add(took)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *Load) connectOne(ctx context.Context, c *loadCall) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Patience)
	defer cancel()
	from := "load" + LoadNumber(c.index)
	caller, callee := c.legs[callerLeg], c.legs[calleeLeg]
	if err := caller.dial(l.callers, from, l.o.Dial(c.index)); err != nil {
		return err
	}
	if l.o.Connect != nil {
		if err := l.o.Connect(ctx, c.index, from); err != nil {
			return err
		}
	}
	for _, leg := range []*loadLeg{caller, callee} {
		if err := leg.wait(ctx, leg.up, "it was not answered"); err != nil {
			return err
		}
	}
	// Frames count only when both directions are known to be open: what is said
	// before the server has joined both legs has nowhere to go.
	for _, leg := range []*loadLeg{caller, callee} {
		if err := leg.wait(ctx, leg.heard, "it heard nothing of the other side"); err != nil {
			return err
		}
	}
	return nil
}

// talk counts frames for as long as was asked.
func (l *Load) talk(ctx context.Context) error {
	tell := l.o.Talking
	if tell == nil {
		tell = func(bool) {}
	}
	tell(true)
	l.media.count(true)
	err := pause(ctx, l.o.Talk)
	l.media.count(false)
	tell(false)
	return errors.Join(err, pause(ctx, l.o.Tail))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hangup ends every call from the caller's side, and waits until both sides know.
func (l *Load) hangup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Patience)
	defer cancel()
	for _, c := range l.calls {
		c.legs[callerLeg].hangup()
	}
	for _, c := range l.calls {
		for _, leg := range c.legs {
			leg.gone(ctx)
		}
	}
}

// invited gives an incoming call to its callee.
func (l *Load) invited(d *sip.Dialog) {
	c := l.byUser[d.Request().URIUser]
	if c == nil || !c.legs[calleeLeg].take(d) {
		d.Bind(func(sip.Event) {})
		if d.Reject(404, "") != nil {
			return // the caller has gone
		}
	}
}
