package media

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"tapedeck/internal/rtp"
)

// remoteReport is what the peer's reception reports say about our packets.
type remoteReport struct {
	lost      int32
	jitter    time.Duration
	roundTrip time.Duration
}

// reportInterval is the time to the next RTCP report: 5 s, halved before the
// first one, times 0.5 to 1.5 so that legs do not report in step, and corrected
// as RFC 3550 §6.3.1 and A.7 say. With two participants the minimum interval
// holds at any bandwidth of audio, so nothing else goes into it.
func reportInterval(first bool) time.Duration {
	const (
		minimum      = 5.0     // s
		compensation = 1.21828 // e - 3/2
	)
	s := minimum
	if first {
		s /= 2
	}
	return time.Duration(s * (0.5 + rand.Float64()) / compensation * float64(time.Second))
}

// report sends an RTCP report and arms the next, or says goodbye.
func (l *Leg) report(at time.Duration, bye bool) {
	if !bye {
		l.controlAt = at + reportInterval(false)
		l.w.wheel.arm(&l.timers[controlTimer], l.controlAt)
	}
	to, socket := l.controlTarget(), l.control.socket
	if l.mux {
		socket = l.media.socket
	}
	if !to.IsValid() || bye && !l.reported && l.out.Packets() == 0 {
		return // RFC 3550 §6.3.7: who sent nothing leaves without a word
	}
	r := rtp.Report{SSRC: l.out.SSRC(), CNAME: l.cname, Bye: bye}
	// RFC 3550 §6.4: a sender report when we sent within the last two intervals.
	if sent := l.out.Packets(); sent > l.sentBefore[1] {
		r.Sender = &rtp.SenderReport{
			NTP: l.ntp(at), RTPTime: l.out.Clock(at),
			Packets: uint32(sent), Octets: uint32(l.out.Octets()),
		}
	}
	l.sentBefore = [2]uint64{l.out.Packets(), l.sentBefore[0]}
	if block, ok := l.in.Reception(at); ok {
		r.Reception = &block
	}
	datagram, err := r.Append(l.w.report[:0])
	if err != nil {
		l.w.faults++ // cannot happen: the CNAME is short
		return
	}
	l.reported = true
	l.w.poller.send(socket, to, datagram)
	l.w.flush()
}

// ntp is wall time, on the one line that the engine drew at its start: all legs
// agree, whatever happens to the system's clock.
func (l *Leg) ntp(at time.Duration) uint64 { return rtp.NTP(l.w.engine.wall.Add(at)) }

// controlTarget is where RTCP goes: where the peer's comes from, else what it
// negotiated; behind a NAT, the port after the one that its RTP comes from.
func (l *Leg) controlTarget() netip.AddrPort {
	media := l.in.Target()
	switch {
	case l.mux:
		return media
	case l.controlFrom.IsValid():
		return l.controlFrom
	case l.agreed.RemoteRTCP.IsValid() && (media == l.agreed.Remote || !media.IsValid()):
		return l.agreed.RemoteRTCP
	case media.IsValid() && media.Port() < 65535:
		return netip.AddrPortFrom(media.Addr(), media.Port()+1)
	}
	return netip.AddrPort{}
}

// readControl takes one RTCP datagram. RTCP is believed when it comes from the
// negotiated address, or from the address that the peer's RTP comes from.
func (l *Leg) readControl(d *datagram, at time.Duration) {
	media := l.in.Target()
	known := l.configured && (d.from == l.agreed.RemoteRTCP || d.from == media ||
		!l.mux && media.IsValid() && d.from.Addr() == media.Addr())
	if !known {
		l.alienControl++
		return
	}
	c := &l.w.control
	if err := c.Read(d.data, at); err != nil {
		l.badControl++
		return
	}
	if !l.mux {
		l.controlFrom = d.from
	}
	if len(c.Byes) == 0 {
		l.hear(at) // a goodbye is not a sign of life
	}
	for i := range c.Senders {
		l.in.NoteReport(&c.Senders[i])
		l.taps.all(func(t Tap) { t.TakeReport(&c.Senders[i]) })
	}
	for i := range c.Receptions {
		l.noteReception(&c.Receptions[i], at)
	}
}

// noteReception keeps what the peer says about our packets.
func (l *Leg) noteReception(b *rtp.Reception, at time.Duration) {
	if b.SSRC != l.out.SSRC() || l.out.ClockRate() == 0 {
		return
	}
	l.remote.lost = b.Lost
	l.remote.jitter = time.Duration(b.Jitter) * time.Second / time.Duration(l.out.ClockRate())
	if d, ok := b.RoundTrip(l.ntp(at)); ok {
		l.remote.roundTrip = d
	}
}
