package callgen

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// Wired is the media of a load without SIP: who connects the legs is told their
// addresses, and tells his own.
type Wired struct {
	media *loadMedia
	calls int
	talk  time.Duration
}

// NewWired binds the sockets for so many calls that talk for so long.
func NewWired(calls int, talk time.Duration) (*Wired, error) {
	if calls < 1 || calls > 1<<24 {
		return nil, errors.New("callgen: a load needs calls to make")
	}
	media, err := newLoadMedia(time.Now(), calls, int(talk/loadPtime)+1)
	if err != nil {
		return nil, err
	}
	return &Wired{media: media, calls: calls, talk: talk}, nil
}

// Addrs are where the legs of each call hear: caller, callee. On Linux no two
// legs have the same address; elsewhere they share some.
func (w *Wired) Addrs() [][2]netip.AddrPort {
	out := make([][2]netip.AddrPort, w.calls)
	for call := range out {
		for leg := range out[call] {
			out[call][leg] = w.media.addr(uint32(call), uint8(leg))
		}
	}
	return out
}

// Close frees the sockets. Run does it too.
func (w *Wired) Close() error { return w.media.close() }

// wiredPatience is how long it may take until all legs hear each other.
const wiredPatience = 20 * time.Second

// Run has the legs talk to the far addresses, of which each leg must have one of
// its own, and reports. It tells when the counted time begins and when it ends. It can be
// called once.
func (w *Wired) Run(ctx context.Context, far [][2]netip.AddrPort, talking func(on bool)) (*LoadReport, error) {
	if len(far) != w.calls {
		return nil, errors.Join(fmt.Errorf("callgen: %d far ends of %d calls", len(far), w.calls), w.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return w.media.run(running) })
	r := &LoadReport{Calls: w.calls}
	err := w.hear(ctx, far, r)
	if err == nil && r.Connected > 0 {
		talking(true)
		w.count(true)
		err = pause(ctx, w.talk)
		w.count(false)
		talking(false)
		err = errors.Join(err, pause(ctx, 300*time.Millisecond))
	}
	stop()
	err = errors.Join(err, group.Wait(), w.Close())
	w.media.report(r)
	return r, err
}

// hear opens all calls and waits until each side hears the other.
func (w *Wired) hear(ctx context.Context, far [][2]netip.AddrPort, r *LoadReport) error {
	heard := make([][2]chan time.Duration, w.calls)
	for i := range heard {
		for leg := range heard[i] {
			heard[i][leg] = make(chan time.Duration, 1) // the media sends once
		}
	}
	w.media.ask(func() {
		for i := range heard {
			w.media.begin(uint32(i), heard[i])
			for leg := range far[i] {
				w.media.learn(uint32(i), uint8(leg), far[i][leg])
			}
		}
	})
	patience, cancel := context.WithTimeout(ctx, wiredPatience)
	defer cancel()
	for i := range heard {
		both := true
		for leg := range heard[i] {
			select {
			case <-heard[i][leg]:
			case <-patience.Done():
				both = false
			}
		}
		if !both {
			r.Failures = append(r.Failures, fmt.Errorf("call %d: one side heard nothing", i))
			continue
		}
		r.Connected++
	}
	return ctx.Err()
}

func (w *Wired) count(on bool) {
	w.media.ask(func() {
		for i := range w.calls {
			w.media.count(uint32(i), on)
		}
	})
}
