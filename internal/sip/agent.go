package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// ErrClosed is returned once the agent has been closed.
var ErrClosed = errors.New("sip: the agent is closed")

// Defaults of Options.
const (
	defaultT1        = 500 * time.Millisecond // RFC 3261 §17.1.1.1
	defaultExpires   = 30 * time.Minute       // RFC 4028 §4 recommends it
	defaultMinSE     = 90 * time.Second       // RFC 4028 §5
	maxMessage       = 65535
	defaultMaxConns  = 4096
	udpBuffer        = 4 << 20 // bytes of the socket's buffers: a burst of calls
	listenAttempts   = 50
	nonceLife        = 2 * time.Minute
	maxMailbox       = 256 // messages that wait for one dialog
	shutdownPatience = 2   // T1s, for answers to our last BYEs
	maxRoutes        = 1024
)

// Agent is a SIP user agent: two sockets and the dialogs that go through them.
type Agent struct {
	o        Options
	log      *slog.Logger
	m        *metrics
	udp      *net.UDPConn
	tcp      net.Listener
	addr     netip.AddrPort
	routes   routes
	conns    *conns
	parser   *gosip.Parser
	resolver *net.Resolver
	nonces   *nonces
	tagKey   [16]byte // makes the To tags of stateless answers

	draining atomic.Int64 // seconds of Retry-After; 0 = not draining
	gate     gate
	// bounded gives a context that ends after a while, or when the agent closes.
	bounded func(time.Duration) (context.Context, context.CancelFunc)
	stop    context.CancelFunc
	stopped <-chan struct{} // closed by stop

	mu      sync.Mutex
	dialogs map[string]*Dialog // by Call-ID and our tag
	invites map[string]*Dialog // inbound, by Call-ID, the caller's tag and CSeq
	live    int                // dialogs that have not ended
	pending int                // requests that wait for their answer
	quiet   chan struct{}      // made by the shutdown, closed when live and pending are 0
	closing bool
	running bool
	ended   chan struct{} // closed when Run returns
}

// New binds the sockets and returns an agent that is ready to Run. An error says which
// address could not be had and why.
func New(o Options) (*Agent, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	a := &Agent{
		o: o, log: o.Logger, parser: gosip.NewParser(), resolver: net.DefaultResolver,
		dialogs: make(map[string]*Dialog), invites: make(map[string]*Dialog),
		ended: make(chan struct{}),
	}
	if a.nonces, err = newNonces(nonceLife); err != nil {
		return nil, err
	}
	if _, err := rand.Read(a.tagKey[:]); err != nil {
		return nil, fmt.Errorf("sip: random key: %w", err)
	}
	a.conns = &conns{a: a, max: o.MaxConnections, open: make(map[netip.AddrPort]*conn), dialing: make(map[netip.AddrPort]*dialing)}
	if a.udp, a.tcp, err = listen(o.Listen); err != nil {
		return nil, err
	}
	if a.m, err = newMetrics(o.Registerer); err != nil {
		return nil, errors.Join(fmt.Errorf("sip: registering metrics: %w", err), a.udp.Close(), a.tcp.Close())
	}
	local, err := netip.ParseAddrPort(a.udp.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sip: local address: %w", err), a.udp.Close(), a.tcp.Close())
	}
	a.addr = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	base, cancel := context.WithCancel(context.Background())
	a.stop, a.stopped = cancel, base.Done()
	a.bounded = func(d time.Duration) (context.Context, context.CancelFunc) { return context.WithTimeout(base, d) }
	return a, nil
}

func (o Options) complete() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.UserAgent == "" {
		o.UserAgent = "Tapedeck"
	}
	if strings.ContainsAny(o.UserAgent, "\r\n") {
		return o, fmt.Errorf("sip: UserAgent %q has a line break", o.UserAgent)
	}
	if o.T1 <= 0 {
		o.T1 = defaultT1
	}
	if o.SessionExpires == 0 {
		o.SessionExpires = defaultExpires
	}
	if o.MinSE <= 0 {
		o.MinSE = defaultMinSE
	}
	if o.SessionExpires > 0 && o.SessionExpires < o.MinSE {
		return o, fmt.Errorf("sip: SessionExpires %v is less than MinSE %v", o.SessionExpires, o.MinSE)
	}
	if o.MaxMessage <= 0 || o.MaxMessage > maxMessage {
		o.MaxMessage = maxMessage
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultMaxConns
	}
	if o.second == 0 {
		o.second = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// listen binds UDP and TCP on the same port.
func listen(address string) (*net.UDPConn, net.Listener, error) {
	at, err := net.ResolveUDPAddr(udp, address)
	if err != nil {
		return nil, nil, fmt.Errorf("sip: listen address %q: %w", address, err)
	}
	attempts := 1
	if at.Port == 0 {
		attempts = listenAttempts // the system's free UDP port may be taken on TCP
	}
	for range attempts {
		var u *net.UDPConn
		if u, err = net.ListenUDP(udp, at); err != nil {
			return nil, nil, fmt.Errorf("sip: cannot listen on UDP %s, is another server running there? %w", address, err)
		}
		bound, _ := u.LocalAddr().(*net.UDPAddr)
		t, terr := net.ListenTCP(tcp, &net.TCPAddr{IP: at.IP, Port: bound.Port, Zone: at.Zone})
		if terr == nil {
			// What the system grants is enough; less than asked for is no fault.
			_ = u.SetReadBuffer(udpBuffer)
			_ = u.SetWriteBuffer(udpBuffer)
			return u, t, nil
		}
		err = errors.Join(terr, u.Close())
	}
	return nil, nil, fmt.Errorf("sip: cannot listen on TCP %s, is another server running there? %w", address, err)
}

// Addr is where the agent listens, with the port that it really has.
func (a *Agent) Addr() netip.AddrPort { return a.addr }

// Run serves until ctx ends, Close is called, or a socket fails. Then every dialog that
// is still there is hung up (Ended by Local), what is on its way gets a moment to be
// answered, and all goroutines are joined. It can be called once.
func (a *Agent) Run(ctx context.Context) error {
	a.mu.Lock()
	if a.running || a.closing {
		a.mu.Unlock()
		return ErrClosed
	}
	a.running = true
	a.mu.Unlock()
	defer close(a.ended)

	failed := make(chan error, 2)
	var readers sync.WaitGroup
	readers.Go(func() { failed <- a.readUDP() })
	readers.Go(func() { failed <- a.conns.accept(a.tcp) })
	var err error
	select {
	case <-ctx.Done():
	case <-a.stopped:
	case err = <-failed:
	}
	a.hangUpAll()
	a.stop()
	a.gate.close()
	err = errors.Join(err, ignoreClosed(a.tcp.Close()))
	a.conns.close()
	err = errors.Join(err, ignoreClosed(a.udp.Close()))
	readers.Wait()
	a.forgetAll()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close makes Run return and waits for it; without a Run it frees the sockets.
func (a *Agent) Close() error {
	a.mu.Lock()
	running, first := a.running, !a.closing
	if !running {
		a.closing = true
	}
	a.mu.Unlock()
	a.stop()
	if running {
		<-a.ended
		return nil
	}
	if !first {
		return nil
	}
	a.gate.close()
	err := errors.Join(ignoreClosed(a.tcp.Close()), ignoreClosed(a.udp.Close()))
	a.conns.close()
	a.forgetAll()
	return err
}

// Drain refuses every new inbound call from now on, with 503 and this Retry-After
// (rounded up to seconds, at least one). Calls that are up go on.
func (a *Agent) Drain(retryAfter time.Duration) {
	a.draining.Store(max(1, int64((retryAfter+time.Second-1)/time.Second)))
}

// hangUpAll ends every dialog and waits for the answers, though not for long.
func (a *Agent) hangUpAll() {
	a.mu.Lock()
	a.closing = true
	all := make([]*Dialog, 0, len(a.dialogs))
	for _, d := range a.dialogs {
		all = append(all, d)
	}
	quiet := make(chan struct{})
	a.quiet = quiet
	a.settleLocked()
	a.mu.Unlock()
	for _, d := range all {
		_ = d.Hangup(causeNormal) // idempotent; it fails for no dialog
	}
	timer := time.NewTimer(shutdownPatience * a.o.T1)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	}
}

// settleLocked ends the wait of hangUpAll when nothing is left to wait for. a.mu is held.
func (a *Agent) settleLocked() {
	if a.quiet != nil && a.live == 0 && a.pending == 0 {
		close(a.quiet)
		a.quiet = nil
	}
}

// waiting counts requests of ours that were sent and not answered.
func (a *Agent) waiting(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending += n
	a.settleLocked()
}

// forgetAll stops what timers are left. No dialog runs any more.
func (a *Agent) forgetAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.dialogs {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	clear(a.dialogs)
	clear(a.invites)
	a.m.dialogs.Set(0)
}

func (a *Agent) readUDP() error {
	buf := make([]byte, maxMessage+1)
	for {
		n, at, err := a.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("sip: reading UDP on %s: %w", a.addr, err)
		}
		a.receive(buf[:n], flow{network: udp, at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())})
	}
}

// add puts a new dialog where its messages find it. It fails once the agent closes.
func (a *Agent) add(d *Dialog) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return ErrClosed
	}
	a.dialogs[d.callID+"|"+d.tag] = d
	a.live++
	a.m.dialogs.Set(float64(a.live))
	return nil
}

// over counts a dialog that has ended. It stays to be found until forget.
func (a *Agent) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live--
	a.m.dialogs.Set(float64(a.live))
	a.settleLocked()
}

func (a *Agent) forget(d *Dialog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.dialogs, d.callID+"|"+d.tag)
	if d.inviteKey != "" {
		delete(a.invites, d.inviteKey)
	}
}

func (a *Agent) dialog(callID, tag string) *Dialog {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dialogs[callID+"|"+tag]
}

// caught counts and logs a fault of ours; deferred around the handling of a message.
func (a *Agent) caught(what string, then func()) {
	if r := recover(); r != nil {
		a.m.panics.Inc()
		a.log.Error("sip: fault in "+what, "panic", r, "stack", string(debug.Stack()))
		if then != nil {
			then()
		}
	}
}
