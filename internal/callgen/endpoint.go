package callgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tapedeck/internal/sip"
)

// Options describe an endpoint. The zero value is a good one.
type Options struct {
	// Listen is the SIP address. Default "127.0.0.1:0".
	Listen string
	// UserAgent is the name in SIP messages. Default "callgen".
	UserAgent string
	// Now is the clock of everything that is sent and heard. Default: the time since
	// New. Endpoints that are compared with each other must share it.
	Now    func() time.Duration
	Logger *slog.Logger
}

// Endpoint is a SIP address with any number of parties behind it.
type Endpoint struct {
	agent *sip.Agent
	now   func() time.Duration
	pacer *pacer

	readers sync.WaitGroup

	mu      sync.Mutex
	parties map[string]*Party // by user part
	all     []*Party
	closed  bool
}

// New binds the SIP address.
func New(o Options) (*Endpoint, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.UserAgent == "" {
		o.UserAgent = "callgen"
	}
	if o.Now == nil {
		epoch := time.Now()
		o.Now = func() time.Duration { return time.Since(epoch) }
	}
	e := &Endpoint{now: o.Now, parties: map[string]*Party{}}
	e.pacer = newPacer(o.Now)
	agent, err := sip.New(sip.Options{Listen: o.Listen, UserAgent: o.UserAgent, OnInvite: e.invited, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	e.agent = agent
	return e, nil
}

// Run serves until ctx ends or Close is called. Then every call that is still up
// is hung up, and all goroutines are joined.
func (e *Endpoint) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	paced := make(chan struct{}) // closed when the pacer has returned
	go func() {
		defer close(paced)
		e.pacer.run(ctx)
	}()
	err := e.agent.Run(ctx)
	stop()
	<-paced
	return errors.Join(err, e.shut())
}

// Close ends Run and waits for it.
func (e *Endpoint) Close() error {
	return errors.Join(e.agent.Close(), e.shut())
}

// shut closes the sockets of all parties and waits for their readers.
func (e *Endpoint) shut() error {
	e.mu.Lock()
	e.closed = true
	all := e.all
	e.all = nil
	e.mu.Unlock()
	var errs []error
	for _, p := range all {
		errs = append(errs, p.closeSockets())
	}
	e.readers.Wait()
	return errors.Join(errs...)
}

// Addr is the SIP address.
func (e *Endpoint) Addr() netip.AddrPort { return e.agent.Addr() }

// URI is the SIP URI of a user here.
func (e *Endpoint) URI(user string) string { return fmt.Sprintf("sip:%s@%s", user, e.agent.Addr()) }

// Now is the endpoint's clock.
func (e *Endpoint) Now() time.Duration { return e.now() }

// Party makes a party, who can be called at once by its user part, or dial.
func (e *Endpoint) Party(o PartyOptions) (*Party, error) {
	p, err := newParty(e, o)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.parties[o.User]; taken || e.closed {
		return nil, errors.Join(fmt.Errorf("callgen: party %q: the name is taken, or the endpoint is closed", o.User), p.closeSockets())
	}
	e.parties[o.User] = p
	e.all = append(e.all, p)
	e.readers.Go(p.readRTP)
	e.readers.Go(p.readRTCP)
	return p, nil
}

// invited gives an incoming call to the party that it is for.
func (e *Endpoint) invited(d *sip.Dialog) {
	e.mu.Lock()
	p := e.parties[d.Request().URIUser]
	e.mu.Unlock()
	if p == nil {
		d.Bind(func(sip.Event) {})
		if err := d.Reject(404, ""); err != nil {
			return // the caller has gone: there is nobody to tell
		}
		return
	}
	p.invited(d)
}
