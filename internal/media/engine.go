package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Errors of the package.
var (
	// ErrNoPorts: no pair of ports is free, or all free ones rest.
	ErrNoPorts = errors.New("media: no free RTP port")
	// ErrClosed: the leg or the engine has ended.
	ErrClosed = errors.New("media: closed")
	// ErrBridged: a leg is in a bridge already.
	ErrBridged = errors.New("media: the leg is bridged already")
)

// Options configure an Engine. The zero value works: loopback, ports 20000-29999.
type Options struct {
	// BindIP is where sockets are bound; zero = 127.0.0.1. PublicIP is what Addr
	// names, for SDP; zero = BindIP. An unspecified BindIP needs a PublicIP.
	BindIP, PublicIP netip.Addr
	// PortFrom and PortTo are the first and last UDP port; both zero = 20000-29999.
	PortFrom, PortTo int
	// Cooldown is how long a pair of ports rests after a leg; 0 = 10 s, below zero =
	// not at all.
	Cooldown time.Duration
	// Workers is how many there are; 0 = one per CPU that the process may use.
	Workers int
	// Shared is how many pairs of ports a worker has for all its legs; 0 = each leg has a
	// pair of its own. Peers are then told apart by the addresses that they announce.
	Shared int
	// NoRing does without io_uring on Linux.
	NoRing bool
	// Ahead lets workers go before all other threads of the process, as long as it
	// lives: for a process that is a server and nothing else. See ahead_linux.go.
	Ahead bool
	// RealTime gives workers that are busy a real-time priority as well, where the system
	// allows it. See urgent.go.
	RealTime bool
	// Behind says whether what becomes of packets afterwards lacks the processor: then
	// workers that go before others leave them more of it. Workers ask every 10 ms; nil = never.
	Behind func() bool
	// Now is the process's monotonic clock; nil = time since New.
	Now func() time.Duration
	// Logger gets faults, nothing per packet; nil = none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil = none.
	Registerer prometheus.Registerer

	// network is the driver; nil = the one of this system.
	network network
}

// Defaults of Options.
const (
	defaultPortFrom = 20000
	defaultPortTo   = 29999
	defaultCooldown = 10 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	if !o.BindIP.IsValid() {
		o.BindIP = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	o.BindIP = o.BindIP.Unmap()
	if !o.PublicIP.IsValid() {
		o.PublicIP = o.BindIP
	}
	if o.PublicIP.IsUnspecified() {
		return o, fmt.Errorf("media: %s is no address that a peer can send to: give a public IP", o.PublicIP)
	}
	if o.PortFrom == 0 && o.PortTo == 0 {
		o.PortFrom, o.PortTo = defaultPortFrom, defaultPortTo
	}
	switch {
	case o.Cooldown == 0:
		o.Cooldown = defaultCooldown
	case o.Cooldown < 0:
		o.Cooldown = 0
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Behind == nil {
		o.Behind = func() bool { return false }
	}
	if o.Now == nil {
		start := time.Now()
		o.Now = func() time.Duration { return time.Since(start) }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.network == nil {
		// With shared ports there is a batch to read and to send: no ring is needed.
		o.network = defaultNetwork(!o.NoRing && o.Shared == 0)
	}
	return o, nil
}

// Engine owns workers, ports and legs.
type Engine struct {
	bindIP, publicIP netip.Addr
	network          network
	ports            *ports
	ahead, realTime  bool
	behind           func() bool
	now              func() time.Duration
	wall             time.Time // at now() == 0, for the NTP time of RTCP
	log              *slog.Logger
	registerer       prometheus.Registerer
	metrics          *metrics
	workers          []*worker
	shared           []*shared

	// stop: Close closes it, Run reads it. done: closed when everything has ended.
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex // a leaf; guards what follows
	legs    map[*Leg]struct{}
	started bool
	closed  bool
}

// New builds an engine. Legs can be opened at once, but Open returns only when
// Run runs.
func New(o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	pairs, err := newPorts(o.PortFrom, o.PortTo, o.Cooldown, o.Now())
	if err != nil {
		return nil, err
	}
	e := &Engine{
		bindIP: o.BindIP, publicIP: o.PublicIP, network: o.network, ports: pairs,
		ahead: o.Ahead, realTime: o.RealTime, behind: o.Behind, now: o.Now, wall: time.Now().Add(-o.Now()), log: o.Logger, registerer: o.Registerer,
		stop: make(chan struct{}), done: make(chan struct{}), legs: make(map[*Leg]struct{}),
	}
	if err := e.probe(); err != nil {
		return nil, err
	}
	for i := range o.Workers {
		p, err := o.network.poller()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("media: make worker %d: %w", i, err), e.closePollers())
		}
		e.workers = append(e.workers, newWorker(e, i, p))
	}
	if err := e.bindShared(o.Shared); err != nil {
		return nil, errors.Join(err, e.closeShared(), e.closePollers())
	}
	e.sayHow()
	if e.metrics, err = newMetrics(e, o.Registerer); err != nil {
		return nil, errors.Join(err, e.closeShared(), e.closePollers())
	}
	return e, nil
}

// sayHow tells the operator when media is carried in a slower way than it could be.
func (e *Engine) sayHow() {
	if len(e.shared) > 0 {
		// Linux counts four times what a packet has.
		if s, ok := e.shared[0].media.socket.(interface{ room() int }); ok && s.room() < sharedBuffer {
			e.log.Warn("the receive buffers of shared ports are small: raise net.core.rmem_max", "bytes", s.room(), "wanted", sharedBuffer)
		}
	}
	if p, ok := e.workers[0].poller.(interface{ withoutRing() error }); ok {
		if err := p.withoutRing(); err != nil {
			e.log.Info("media uses epoll", "reason", err)
		}
	}
}

// probe finds out early whether the address can be bound at all.
func (e *Engine) probe() error {
	s, err := e.network.listen(e.bindAddr(0), controlBuffer)
	if err != nil {
		return fmt.Errorf("media: %s cannot be used for RTP, give an address of this machine: %w", e.bindIP, err)
	}
	return s.close()
}

func (e *Engine) bindAddr(port int) netip.AddrPort {
	return netip.AddrPortFrom(e.bindIP, uint16(port))
}

// Run serves legs until ctx ends or Close is called, ends all legs, and returns
// when every goroutine of the engine has ended. It is called once; after Close it
// returns at once.
func (e *Engine) Run(ctx context.Context) error {
	switch begun, closed := e.begin(); {
	case begun:
		return fmt.Errorf("media: run an engine that has run already: %w", ErrClosed)
	case closed:
		return nil
	}

	ended := make(chan error, len(e.workers)) // each worker sends once
	threads := make(chan int, len(e.workers)) // likewise, when it has its thread
	for _, w := range e.workers {
		go func() { ended <- w.run(threads) }()
	}
	if e.ahead {
		if err := stepAhead(threads, len(e.workers)); err != nil {
			e.log.Warn("media does not go before other work", "error", err)
		}
	}
	running := len(e.workers)
	var failed error
	select {
	case <-ctx.Done():
	case <-e.stop:
	case failed = <-ended: // the system failed it: the rest goes down in order
		running--
	}
	e.mu.Lock()
	e.closed = true // no new legs
	e.mu.Unlock()
	for _, w := range e.workers {
		w.post(command{run: func(w *worker) error { w.ending = true; return nil }})
	}
	for range running {
		failed = errors.Join(failed, <-ended)
	}
	err := errors.Join(failed, e.release())
	close(e.done)
	return err
}

// begin notes that Run has been called, unless it was called or Close was.
func (e *Engine) begin() (begun, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	begun, closed = e.started, e.closed
	e.started = begun || !closed
	return begun, closed
}

// Close ends the engine and waits until Run has returned, or nearly so. It may be
// called more than once, but not from a notification or a tap.
func (e *Engine) Close() error {
	e.mu.Lock()
	first, started := !e.closed, e.started
	e.closed = true
	e.mu.Unlock()
	if started {
		if first {
			close(e.stop)
		}
		<-e.done
		return nil // Run says what went wrong
	}
	if !first {
		return nil
	}
	for _, w := range e.workers {
		for _, c := range w.mail.close() {
			c.finish(ErrClosed)
		}
	}
	return e.release()
}

// release closes what is still open once all workers have ended.
func (e *Engine) release() error {
	e.mu.Lock()
	left := make([]*Leg, 0, len(e.legs))
	for l := range e.legs {
		left = append(left, l)
	}
	e.mu.Unlock()
	var errs []error
	for _, l := range left {
		errs = append(errs, l.release())
	}
	if e.registerer != nil {
		e.registerer.Unregister(e.metrics)
	}
	return errors.Join(append(errs, e.closeShared(), e.closePollers())...)
}

func (e *Engine) closePollers() error {
	var errs []error
	for _, w := range e.workers {
		errs = append(errs, w.poller.close())
	}
	return errors.Join(errs...)
}

// admit notes a leg, unless the engine has ended.
func (e *Engine) admit(l *Leg) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.legs[l] = struct{}{}
	return true
}

func (e *Engine) forget(l *Leg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.legs, l)
}

func (e *Engine) hasStarted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// place chooses the worker of a new leg: the one of the leg near to it, else the
// one with the fewest.
func (e *Engine) place(near *Leg) *worker {
	if near != nil {
		return near.worker.Load()
	}
	best := e.workers[0]
	for _, w := range e.workers[1:] {
		if w.load.Load() < best.load.Load() {
			best = w
		}
	}
	return best
}
