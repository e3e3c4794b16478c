package callgen

import (
	"fmt"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/sdp"
	"tapedeck/internal/sip"
)

// invited takes an incoming call.
func (p *Party) invited(d *sip.Dialog) {
	p.mu.Lock()
	busy := p.dialog != nil
	if !busy {
		p.dialog = d
	}
	p.mu.Unlock()
	if busy {
		d.Bind(func(sip.Event) {})
		p.note(d.Reject(486, ""))
		return
	}
	defer close(p.rung) // when the caller has been told that it rings
	d.Bind(p.notify)
	if p.o.Refuse != 0 {
		p.note(d.Reject(p.o.Refuse, ""))
		return
	}
	if !p.o.Early || len(d.Request().SDP) == 0 {
		p.note(d.Progress(180, nil))
	} else if local, ok := p.describe(d); ok {
		p.note(d.Progress(183, local))
		p.speak()
	} else {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ringing = time.AfterFunc(p.o.Ring, p.PickUp)
}

// PickUp answers the incoming call now, and not when it has rung for Ring.
func (p *Party) PickUp() {
	p.mu.Lock()
	d := p.dialog
	if p.ringing != nil {
		p.ringing.Stop()
	}
	p.mu.Unlock()
	if d == nil {
		return
	}
	if local, ok := p.describe(d); ok {
		p.note(d.Answer(local))
	}
}

// describe is the answer to the offer of an incoming call, the same each time, or our
// offer when it has none. A call that it cannot be made for is refused.
func (p *Party) describe(d *sip.Dialog) (local []byte, ok bool) {
	p.mu.Lock()
	if p.local != nil {
		defer p.mu.Unlock()
		return p.local, true
	}
	var err error
	if offer := d.Request().SDP; len(offer) > 0 {
		var agreed sdp.Negotiated
		if local, agreed, err = p.desc.Answer(offer, sdp.SendRecv); err == nil {
			err = p.agree(agreed)
		}
	} else {
		local, err = p.desc.Offer(sdp.SendRecv)
	}
	p.local = local
	p.mu.Unlock()
	if err != nil {
		p.fail(err)
		p.note(d.Reject(488, ""))
		return nil, false
	}
	return local, true
}

// notify follows the dialog. It is called in the order of the wire.
func (p *Party) notify(e sip.Event) {
	switch e := e.(type) {
	case sip.Answered:
		p.accept(e.SDP)
		p.goUp()
	case sip.Confirmed:
		if len(e.SDP) > 0 {
			p.accept(e.SDP)
		}
		p.goUp()
	case sip.Offered:
		p.offered(e.SDP)
	case sip.Reanswered:
		p.accept(e.SDP)
		p.reply(nil)
	case sip.ReofferFailed:
		p.mu.Lock()
		p.desc.Withdraw()
		p.mu.Unlock()
		p.reply(fmt.Errorf("callgen: the re-INVITE was refused with %d", e.Code))
	case sip.Info:
		p.mu.Lock()
		p.told = append(p.told, e.Key)
		p.mu.Unlock()
	case sip.Ended:
		p.end(e)
	}
}

// accept takes the far side's answer. One that is of no use ends the call.
func (p *Party) accept(answer []byte) {
	p.mu.Lock()
	agreed, err := p.desc.Accept(answer)
	if err == nil {
		err = p.agree(agreed)
	}
	d := p.dialog
	p.mu.Unlock()
	if err != nil {
		p.fail(err)
		if d != nil {
			p.note(d.Hangup(0))
		}
	}
}

// offered answers the far side's new offer.
func (p *Party) offered(offer []byte) {
	p.mu.Lock()
	d := p.dialog
	var local []byte
	var agreed sdp.Negotiated
	var err error
	if len(offer) == 0 {
		local, err = p.desc.Offer(sdp.SendRecv) // its answer comes with Confirmed
	} else if local, agreed, err = p.desc.Answer(offer, sdp.SendRecv); err == nil {
		err = p.agree(agreed)
	}
	p.mu.Unlock()
	if err != nil {
		p.note(d.RefuseOffer(488))
		return
	}
	p.note(d.AcceptOffer(local))
}

// agree takes the outcome of an exchange. The lock is held.
func (p *Party) agree(n sdp.Negotiated) error {
	before := p.agreed.Send.Info
	p.agreed, p.live = n, true
	s := &p.stream
	if s.encoder != nil && n.Send.Info == before {
		return nil // a hold changes nothing of what is said
	}
	one := n.Send.Info
	one.Channels = 1
	encoder, err := codec.NewEncoderFor(one, n.Send.Fmtp)
	if err != nil {
		return fmt.Errorf("callgen: %s: %w", n.Send.Name, err)
	}
	if s.encoder != nil && one.ClockRate != before.ClockRate {
		s.ssrc++ // RFC 7160 §4.1: another clock is another stream
	}
	s.time += uint32(s.frame-s.origin) * s.units
	s.origin, s.encoder = s.frame, encoder
	s.units = uint32(p.o.Ptime * time.Duration(one.ClockRate) / time.Second)
	s.pcm = make([]int16, p.o.Ptime*time.Duration(one.SampleRate)/time.Second)
	return nil
}

// goUp: the call is answered.
func (p *Party) goUp() {
	p.mu.Lock()
	if !p.isUp && !p.isDone && p.live {
		p.isUp = true
		close(p.up)
	}
	p.mu.Unlock()
	p.speak()
}

// speak begins to send. The first frame is on the next instant of the grid that
// all parties of a clock share.
func (p *Party) speak() {
	p.mu.Lock()
	first := !p.speaks && !p.isDone && p.live
	if first {
		p.speaks = true
		ptime := p.o.Ptime
		p.stream.base = (p.e.now()/ptime + 1) * ptime
		p.at.Store(int64(p.stream.base))
	}
	p.mu.Unlock()
	if first {
		p.e.pacer.add(p)
	}
}

// reply tells the one who waits in Reoffer. There may be nobody: an answer to
// a refresh is no answer to Reoffer.
func (p *Party) reply(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil {
		p.answer <- err
		p.answer = nil
	}
}

// end is the last event of the dialog.
func (p *Party) end(e sip.Ended) {
	p.e.pacer.remove(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ringing != nil {
		p.ringing.Stop()
	}
	p.ended, p.live = e, false
	p.stream.stopPlaying()
	if !p.isDone {
		p.isDone = true
		close(p.done)
	}
}

// fail keeps the first fault of ours.
func (p *Party) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		p.failure = err
	}
}

// note keeps the error of a step on a dialog, which means that the dialog ended
// meanwhile: then Ended has come or comes, and tells more.
func (p *Party) note(err error) {
	if err != nil && !isEnded(err) {
		p.fail(err)
	}
}
