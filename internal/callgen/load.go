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
	// Tail is how long a call stays up after its last counted frame. Default 300 ms.
	Tail time.Duration
	// Lasting, when set, makes calls come and go: each lasts about so long, from half
	// of it to one and a half, and another one takes its place, until Talk is over. The frames
	// of a call are counted from when it is up until it is about to be hung up.
	Lasting time.Duration
	// Each, when set, makes calls at PerSecond whatever becomes of those before, and
	// hangs up each of them so long after it was up, with its frames counted until
	// then. Talk does not count.
	Each time.Duration
}

// LoadNumber is the number of call i: nine digits.
func LoadNumber(i int) string { return fmt.Sprintf("9%08d", i) }

// LoadReport is what a load showed.
type LoadReport struct {
	Calls     int // that were to be made
	Connected int // that were up, with each side heard by the other
	Broken    int // of those: that ended before they were hung up
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
	SetUp Latencies
	// Latency is one way: from before the sender's system call until the kernel had
	// the frame for the receiver. When the receiver looked is not in it (on Linux).
	Latency Latencies
	Late    time.Duration // by how much the generator itself missed an instant at worst
	Skipped uint64        // frames that it never sent, because it was late by more than it makes good
	Legs    []LegReport   // of calls that do not come and go
}

// LegReport is what one leg sent, and what of it the other leg heard.
type LegReport struct {
	Call, Leg      int
	Sent, Received uint64
}

// Load makes many calls at once.
type Load struct {
	o       LoadOptions
	callers *sip.Agent
	callees *sip.Agent
	media   *loadMedia

	mu     sync.Mutex
	byUser map[string]*loadCall // that are being made or up
}

// loadCall is one call: caller and callee.
type loadCall struct {
	number int
	legs   [2]*loadLeg // caller, callee
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
	l := &Load{o: o, byUser: map[string]*loadCall{}}
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
	counted := o.Talk
	switch {
	case o.Lasting > 0:
		counted = 2 * o.Lasting
	case o.Each > 0:
		counted = 2 * o.Each
	}
	if l.media, err = newLoadMedia(time.Now(), o.Calls, int(counted/loadPtime)+1); err != nil {
		return nil, err
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
	var err error
	switch {
	case l.o.Lasting > 0:
		err = l.comeAndGo(ctx, r)
	case l.o.Each > 0:
		err = l.atRate(ctx, r)
	default:
		err = l.stay(ctx, r)
	}
	stop()
	err = errors.Join(err, group.Wait(), l.Close())
	l.media.report(r)
	if l.o.Lasting > 0 || l.o.Each > 0 {
		r.Legs = nil
	}
	return r, err
}

// setUp counts a call that was made, or was not.
func (r *LoadReport) setUp(c *loadCall, took time.Duration, err error) bool {
	if err != nil {
		r.Failures = append(r.Failures, fmt.Errorf("call %d: %w", c.number, err))
		return false
	}
	r.Connected++
	r.SetUp.Add(took)
	return true
}

// broken counts a call that has ended by itself.
func (r *LoadReport) broken(c *loadCall) {
	for _, g := range c.legs {
		select {
		case <-g.done:
			r.Broken++
			return
		default:
		}
	}
}

// call makes a call known, to the media and to who takes incoming calls.
func (l *Load) call(number int) *loadCall {
	c := &loadCall{number: number}
	var heard [2]chan time.Duration
	for leg := range c.legs {
		c.legs[leg] = newLoadLeg(l.media, uint32(number), uint8(leg))
		heard[leg] = c.legs[leg].heard
	}
	l.media.ask(func() { l.media.begin(uint32(number), heard) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byUser[l.o.Callee(number)] = c
	return c
}

// connect makes a call, and tells how long it took until both sides heard each
// other.
func (l *Load) connect(ctx context.Context, c *loadCall) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.Patience)
	defer cancel()
	from := "load" + LoadNumber(c.number)
	caller, callee := c.legs[callerLeg], c.legs[calleeLeg]
	begun := l.media.stampClock()
	if err := caller.dial(l.callers, from, l.o.Dial(c.number)); err != nil {
		return 0, err
	}
	if l.o.Connect != nil {
		if err := l.o.Connect(ctx, c.number, from); err != nil {
			return 0, err
		}
	}
	for _, leg := range []*loadLeg{caller, callee} {
		if err := leg.answered(ctx); err != nil {
			return 0, err
		}
	}
	// Frames count only when both directions are known to be open: what is said
	// before the server has joined both legs has nowhere to go.
	var last time.Duration
	for _, leg := range []*loadLeg{caller, callee} {
		at, err := leg.hears(ctx)
		if err != nil {
			return 0, err
		}
		last = max(last, at)
	}
	return last - begun, nil
}

// talk counts frames for as long as was asked.
//
// The call that came up last may be recorded for some milliseconds only. A frame
// that left late belongs where its timestamp says, and that could be before the
// recording began: so the count begins when no frame can be so late any more.
func (l *Load) talk(ctx context.Context, up []*loadCall) error {
	if err := pause(ctx, loadBehind); err != nil {
		return err
	}
	l.tell(true)
	l.count(true, up...)
	err := pause(ctx, l.o.Talk)
	l.count(false, up...)
	l.tell(false)
	return errors.Join(err, pause(ctx, l.o.Tail))
}

func (l *Load) tell(on bool) {
	if l.o.Talking != nil {
		l.o.Talking(on)
	}
}

// count begins or ends the counting of calls.
func (l *Load) count(on bool, calls ...*loadCall) {
	l.media.ask(func() {
		for _, c := range calls {
			l.media.count(uint32(c.number), on)
		}
	})
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

// hangup ends calls from the caller's side, and waits until both sides know.
func (l *Load) hangup(ctx context.Context, calls ...*loadCall) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Patience)
	defer cancel()
	for _, c := range calls {
		c.legs[callerLeg].hangup()
	}
	for _, c := range calls {
		for _, leg := range c.legs {
			leg.gone(ctx)
		}
		l.mu.Lock()
		delete(l.byUser, l.o.Callee(c.number))
		l.mu.Unlock()
	}
}

// invited gives an incoming call to its callee.
func (l *Load) invited(d *sip.Dialog) {
	l.mu.Lock()
	c := l.byUser[d.Request().URIUser]
	l.mu.Unlock()
	if c == nil || !c.legs[calleeLeg].take(d) {
		d.Bind(func(sip.Event) {})
		if d.Reject(404, "") != nil {
			return // the caller has gone
		}
	}
}
