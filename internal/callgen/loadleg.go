package callgen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
)

// loadLeg is one side of a call of a load. Its dialog is guarded by mu; what it
// sends belongs to the pacer, what it hears to the reader of its socket.
type loadLeg struct {
	call   uint32
	leg    uint8
	socket *loadSocket

	up    chan struct{} // closed when answered and media agreed
	heard chan struct{} // closed by the reader when the other side was heard
	done  chan struct{} // closed when the dialog has ended

	mu     sync.Mutex
	dialog *sip.Dialog
	desc   *sdp.Negotiator
	ended  sip.Ended
	fault  error
	isUp   bool

	remote atomic.Pointer[net.UDPAddr] // where frames go; nil = not yet

	// The pacer's.
	ssrc    uint32
	seq     uint16
	time    uint32
	counter uint32 // of the last counted frame
	packet  []byte

	// The reader's.
	isHeard   bool
	seen      []uint64 // a bit for each counter
	highest   uint32
	received  uint64
	duplicate uint64
	reordered uint64
	crossTalk uint64
	unmarked  uint64
}

// listed are the codecs of a load. Stamps come through all of them, but one is
// enough to send.
func listed() []codec.Info {
	info, _ := codec.Lookup(codec.PCMU, 0)
	return []codec.Info{info}
}

func (g *loadLeg) dial(a *sip.Agent, from, to string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	offer, err := g.desc.Offer(sdp.SendRecv)
	if err != nil {
		return err
	}
	g.dialog, err = a.Invite(sip.InviteOptions{To: to, From: from, SDP: offer}, g.notify)
	return err
}

// take answers an incoming call; false when there has been one already.
func (g *loadLeg) take(d *sip.Dialog) bool {
	g.mu.Lock()
	if g.dialog != nil {
		g.mu.Unlock()
		return false
	}
	g.dialog = d
	answer, agreed, err := g.desc.Answer(d.Request().SDP, sdp.SendRecv)
	if err == nil {
		g.agree(agreed)
	}
	g.mu.Unlock()
	d.Bind(g.notify)
	if err == nil {
		err = d.Answer(answer)
	} else {
		err = fmt.Errorf("%w (refused: %w)", err, d.Reject(488, ""))
	}
	g.keep(err)
	return true
}

// agree takes the far side's address, from which frames will come too. The lock
// is held.
func (g *loadLeg) agree(n sdp.Negotiated) {
	if !n.Remote.IsValid() {
		return
	}
	g.socket.learn(n.Remote, g)
	g.remote.Store(net.UDPAddrFromAddrPort(n.Remote))
}

func (g *loadLeg) keep(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault == nil {
		g.fault = err
	}
}

func (g *loadLeg) notify(e sip.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch e := e.(type) {
	case sip.Answered:
		agreed, err := g.desc.Accept(e.SDP)
		if err != nil {
			g.fault = err
			return
		}
		g.agree(agreed)
		g.goUp()
	case sip.Confirmed:
		g.goUp()
	case sip.Offered:
		answer, agreed, err := g.desc.Answer(e.SDP, sdp.SendRecv)
		if err == nil {
			g.agree(agreed)
			err = g.dialog.AcceptOffer(answer)
		} else {
			err = g.dialog.RefuseOffer(488)
		}
		if g.fault == nil {
			g.fault = err
		}
	case sip.Ended:
		g.ended = e
		g.remote.Store(nil)
		close(g.done)
	}
}

func (g *loadLeg) goUp() {
	if !g.isUp {
		g.isUp = true
		close(g.up)
	}
}

// wait waits for a step of the leg.
func (g *loadLeg) wait(ctx context.Context, step <-chan struct{}, otherwise string) error {
	var why string
	select {
	case <-step:
		return nil
	case <-g.done:
		g.mu.Lock()
		why = fmt.Sprintf("ended with %d %s", g.ended.Code, g.ended.Reason)
		g.mu.Unlock()
	case <-ctx.Done():
		why = ctx.Err().Error()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := fmt.Errorf("%s: %s: %s", [2]string{"caller", "callee"}[g.leg], otherwise, why)
	if g.fault != nil {
		err = fmt.Errorf("%w (%w)", err, g.fault)
	}
	return err
}

func (g *loadLeg) hangup() {
	g.mu.Lock()
	d := g.dialog
	g.mu.Unlock()
	if d != nil {
		g.keep(d.Hangup(16)) // normal call clearing
	}
}

// gone waits until the leg's dialog has ended.
func (g *loadLeg) gone(ctx context.Context) {
	g.mu.Lock()
	none := g.dialog == nil
	g.mu.Unlock()
	if none {
		return
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		g.hangup() // its Run, about to end, does the rest
	}
}

// hears takes one frame from the other side. Only the reader of the leg's
// socket calls it.
func (g *loadLeg) hears(s Stamp) (mine bool) {
	if s.Call != g.call || s.Leg != 1-g.leg {
		// Before the count, a shared address does not tell legs apart yet: a callee
		// speaks as soon as it answers, and the caller may learn of it later.
		if s.Counter > 0 {
			g.crossTalk++
		}
		return false
	}
	if !g.isHeard {
		g.isHeard = true
		close(g.heard)
	}
	if s.Counter == 0 {
		return true // before the count
	}
	word, bit := int(s.Counter/64), uint64(1)<<(s.Counter%64)
	for word >= len(g.seen) {
		g.seen = append(g.seen, make([]uint64, 64)...)
	}
	switch {
	case g.seen[word]&bit != 0:
		g.duplicate++
	default:
		g.received++
		if s.Counter < g.highest {
			g.reordered++
		}
	}
	g.seen[word] |= bit
	g.highest = max(g.highest, s.Counter)
	return true
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
