package callgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
)

// PartyOptions describe one party.
type PartyOptions struct {
	// User is the user part it is called by and calls from.
	User string
	// Codecs by preference; telephone-event comes with them. L16 is that of 16 kHz.
	// Default PCMU, PCMA.
	Codecs []string
	// NoEvents leaves telephone-events out of what it offers and takes: its keys are heard
	// in the audio, or come by INFO.
	NoEvents bool
	// Ptime of what it sends. Default 20 ms.
	Ptime time.Duration
	// Ring is how long an incoming call rings before it is answered. Default: at once.
	Ring time.Duration
	// Early answers an incoming call's offer with a 183 already, and speaks while it rings
	// (RFC 3960 §3).
	Early bool
	// Refuse, when set, is the final SIP status that incoming calls get.
	Refuse int
	// Reports is the interval of RTCP sender reports. 0 = 5 s, below zero = none.
	Reports time.Duration
	// Quiet sends nothing while nothing is said. Otherwise that is silence.
	Quiet bool
	// Drift makes its clock fast by so many parts per million; below zero, slow.
	Drift float64
	// Impair tells, for packet n of the stream, how long each copy of it is held back:
	// {0} is undisturbed, none is a loss, two are a duplicate, a long time changes the
	// order. nil = undisturbed.
	Impair func(n uint64) []time.Duration
}

// Party is one side of one call: it dials once, or answers once.
type Party struct {
	e *Endpoint
	o PartyOptions

	rtp, rtcp *net.UDPConn
	closing   sync.Once
	closeErr  error

	rung chan struct{} // closed when somebody calls, and was told that it rings
	up   chan struct{} // closed when the call is answered and media agreed
	done chan struct{} // closed when the call has ended, or failed
	at   atomic.Int64  // when the next frame is due, on the endpoint's clock

	mu      sync.Mutex
	dialog  *sip.Dialog
	ringing *time.Timer
	desc    *sdp.Negotiator
	local   []byte // our answer, when it went with a 183
	agreed  sdp.Negotiated
	live    bool // agreed holds
	answer  chan error
	ended   sip.Ended
	failure error // of ours, why the call could not go on
	stream  stream
	heard   []Frame
	told    []byte // keys that came by INFO
	reports Reports
	speaks  bool // the pacer has it
	isUp    bool
	isDone  bool
}

// RefusedError means that a call did not come about.
type RefusedError struct {
	Ended sip.Ended
}

// Error says what the far side said.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("callgen: the call was not answered: %d %s (%s)", e.Ended.Code, e.Ended.Reason, e.Ended.By)
}

func newParty(e *Endpoint, o PartyOptions) (*Party, error) {
	if len(o.Codecs) == 0 {
		o.Codecs = []string{codec.PCMU, codec.PCMA}
	}
	if o.Ptime == 0 {
		o.Ptime = 20 * time.Millisecond
	}
	if o.Reports == 0 {
		o.Reports = 5 * time.Second
	}
	infos, err := formats(o.Codecs, !o.NoEvents)
	if err != nil {
		return nil, err
	}
	rtp, rtcp, err := pair(e.agent.Addr().Addr())
	if err != nil {
		return nil, err
	}
	p := &Party{
		e: e, o: o, rtp: rtp, rtcp: rtcp, rung: make(chan struct{}), up: make(chan struct{}), done: make(chan struct{}),
		desc: sdp.New(sdp.Options{Addr: addrOf(rtp), Codecs: infos, Ptime: o.Ptime}),
	}
	p.stream = stream{
		ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), time: rand.Uint32(),
		marker: true,
	}
	return p, nil
}

// formats finds codecs by name, and the telephone-events of their clocks if they are
// wanted.
func formats(names []string, events bool) ([]codec.Info, error) {
	var out []codec.Info
	event, wide := 8000, false
	for _, name := range names {
		clock := 0
		if name == codec.L16 {
			clock = 16000
		}
		info, ok := codec.Lookup(name, clock)
		if !ok || !codec.Encodable(info) {
			return nil, fmt.Errorf("callgen: codec %q cannot be spoken here", name)
		}
		wide = wide || info.Is(codec.Opus)
		out = append(out, info)
	}
	if !events {
		return out, nil
	}
	if wide && len(names) == 1 {
		event = 48000
	}
	info, _ := codec.Lookup(codec.Event, event)
	return append(out, info), nil
}

// pair binds an even port for RTP and the one after it for RTCP (RFC 3550 §11).
func pair(ip netip.Addr) (rtp, rtcp *net.UDPConn, err error) {
	for range 100 {
		if rtp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))); err != nil {
			return nil, nil, fmt.Errorf("callgen: RTP socket on %s: %w", ip, err)
		}
		port := addrOf(rtp).Port()
		if port%2 == 0 {
			rtcp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, port+1)))
			if err == nil {
				return rtp, rtcp, nil
			}
		}
		if err := rtp.Close(); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("callgen: no two neighbouring UDP ports are free on %s", ip)
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *Party) closeSockets() error {
	p.closing.Do(func() {
		p.e.pacer.remove(p)
		p.mu.Lock()
		if p.ringing != nil {
			p.ringing.Stop()
		}
		p.mu.Unlock()
		p.closeErr = errors.Join(p.rtp.Close(), p.rtcp.Close())
	})
	return p.closeErr
}

// User is the name that the party is called by.
func (p *Party) User() string { return p.o.User }

// URI is where the party is called.
func (p *Party) URI() string { return p.e.URI(p.o.User) }

// Addr is the party's RTP address.
func (p *Party) Addr() netip.AddrPort { return addrOf(p.rtp) }

// Dial calls a SIP URI and returns when the call is answered and both sides
// know where media goes. A refusal is a RefusedError. When ctx ends, the call
// is given up.
func (p *Party) Dial(ctx context.Context, to string) error {
	if err := p.invite(to); err != nil {
		return err
	}
	return p.Answered(ctx)
}

func (p *Party) invite(to string) error {
	// The lock is held throughout, so that no event is handled before the dialog is known.
	p.mu.Lock()
	defer p.mu.Unlock()
	offer, err := p.desc.Offer(sdp.SendRecv)
	if err != nil {
		return err
	}
	p.dialog, err = p.e.agent.Invite(sip.InviteOptions{To: to, From: p.o.User, SDP: offer}, p.notify)
	return err
}

// Answered waits until the party's call, incoming or not, is up.
func (p *Party) Answered(ctx context.Context) error {
	select {
	case <-p.up:
		return nil
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.failure != nil {
			return p.failure
		}
		return &RefusedError{Ended: p.ended}
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("callgen: %s: no answer: %w", p.o.User, ctx.Err()), p.Hangup())
	}
}

// Ended waits until the call has ended and tells how.
func (p *Party) Ended(ctx context.Context) (sip.Ended, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.ended, p.failure
	case <-ctx.Done():
		return sip.Ended{}, fmt.Errorf("callgen: %s: the call goes on: %w", p.o.User, ctx.Err())
	}
}

// Called is closed when somebody calls the party and knows that it rings.
func (p *Party) Called() <-chan struct{} { return p.rung }

// Done is closed when the call has ended.
func (p *Party) Done() <-chan struct{} { return p.done }

// Hangup ends the call. It does not wait; Ended does.
func (p *Party) Hangup() error {
	p.mu.Lock()
	d := p.dialog
	p.mu.Unlock()
	if d == nil {
		return nil
	}
	return d.Hangup(16) // normal call clearing
}

// Hold puts the far side on hold (RFC 3264 §8.4).
func (p *Party) Hold(ctx context.Context) error { return p.Reoffer(ctx, sdp.SendOnly) }

// Resume takes the far side off hold.
func (p *Party) Resume(ctx context.Context) error { return p.Reoffer(ctx, sdp.SendRecv) }

// Reoffer sends a re-INVITE with a direction and waits for its answer.
func (p *Party) Reoffer(ctx context.Context, direction sdp.Direction) error {
	p.mu.Lock()
	d, answer := p.dialog, make(chan error, 1)
	if d == nil || !p.live {
		p.mu.Unlock()
		return errors.New("callgen: there is no call to change")
	}
	offer, err := p.desc.Offer(direction)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	p.answer = answer
	p.mu.Unlock()
	if err := d.Reoffer(offer); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-p.done:
		return errors.New("callgen: the call ended before the re-INVITE was answered")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Change offers other codecs by a re-INVITE, and waits for its answer.
func (p *Party) Change(ctx context.Context, codecs ...string) error {
	infos, err := formats(codecs, !p.o.NoEvents)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.desc.SetCodecs(infos)
	p.mu.Unlock()
	return p.Reoffer(ctx, sdp.SendRecv)
}

// Renew lets the party go on under another SSRC, with other sequence numbers and another
// time, as a client does that makes its stream anew for a re-INVITE (RFC 3550 §5.1).
func (p *Party) Renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stream
	s.ssrc, s.seq, s.time, s.marker = rand.Uint32(), uint16(rand.Uint32()), rand.Uint32(), true
}

// Agreed is what both sides agreed on last; false before that.
func (p *Party) Agreed() (sdp.Negotiated, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.agreed, p.live
}
