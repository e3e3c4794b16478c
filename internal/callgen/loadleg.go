package callgen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
)

// loadLeg is the SIP side of one leg of a call of a load. What it sends and hears
// belongs to the owner of the media.
type loadLeg struct {
	call  uint32
	leg   uint8
	media *loadMedia

	up    chan struct{}      // closed when answered and media agreed
	heard chan time.Duration // sent to once, one deep, by the media: when the other side was heard
	done  chan struct{}      // closed when the dialog has ended

	mu     sync.Mutex
	dialog *sip.Dialog
	desc   *sdp.Negotiator
	ended  sip.Ended
	fault  error
	isUp   bool
}

func newLoadLeg(m *loadMedia, call uint32, leg uint8) *loadLeg {
	return &loadLeg{
		call: call, leg: leg, media: m,
		up: make(chan struct{}), heard: make(chan time.Duration, 1), done: make(chan struct{}),
		desc: sdp.New(sdp.Options{Addr: m.addr(call, leg), Codecs: listed(), Ptime: loadPtime}),
	}
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
	if remote := n.Remote; remote.IsValid() && remote.Addr().Unmap().Is4() {
		g.media.ask(func() { g.media.learn(g.call, g.leg, remote) })
	}
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
		g.media.ask(func() { g.media.mute(g.call, g.leg) })
		close(g.done)
	}
}

func (g *loadLeg) goUp() {
	if !g.isUp {
		g.isUp = true
		close(g.up)
	}
}

// answered waits until the leg is up.
func (g *loadLeg) answered(ctx context.Context) error {
	select {
	case <-g.up:
		return nil
	case <-g.done:
	case <-ctx.Done():
	}
	return g.why(ctx, "it was not answered")
}

// hears waits until the other side was heard, and tells when that was.
func (g *loadLeg) hears(ctx context.Context) (at time.Duration, err error) {
	select {
	case at = <-g.heard:
		return at, nil
	case <-g.done:
	case <-ctx.Done():
	}
	return 0, g.why(ctx, "it heard nothing of the other side")
}

// why is the error of a leg for which a step did not come.
func (g *loadLeg) why(ctx context.Context, otherwise string) error {
	var why string
	select {
	case <-g.done:
		g.mu.Lock()
		why = fmt.Sprintf("ended with %d %s", g.ended.Code, g.ended.Reason)
		g.mu.Unlock()
	default:
		why = fmt.Sprint(ctx.Err())
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
