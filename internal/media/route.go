package media

import (
	"encoding/binary"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// routes says what happens to the packets of a leg by their payload type.
type routes struct {
	index [128]uint8 // 1 + place in list, 0 = not sent on
	list  []route
}

// route is how packets of one format go on.
type route struct {
	from codec.Info
	way
}

// way is what a packet that is only relayed needs of its route. The one of the payload
// type that came last is kept in the leg itself.
type way struct {
	convert   func([]byte) // in place; nil = as it is
	known     bool         // false: there is none
	of, pt    uint8        // payload type on this side and on the other
	transcode bool         // to be decoded; pt and convert mean nothing
	audio     bool         // its packets are no events
}

// find finds the route of a payload type; nil = it is not sent on.
func (r *routes) find(pt uint8) *route {
	if i := r.index[pt&0x7f]; i != 0 {
		return &r.list[i-1]
	}
	return nil
}

// way finds the way of a payload type; nil = it is not sent on.
func (l *Leg) way(pt uint8) *way {
	if !l.usual.known || l.usual.of != pt {
		r := l.routes.find(pt)
		if r == nil {
			return nil
		}
		l.usual = r.way
	}
	return &l.usual
}

// route works out the routes from the leg to its peer, from what both negotiated.
func (l *Leg) route() {
	l.routes, l.usual = routes{}, way{}
	if !l.configured || !l.peer.configured {
		return
	}
	var known [128]bool
	// What was negotiated before may still be under way; its payload types keep
	// their routes as long as the receiver understands them.
	for _, list := range [][]sdp.Codec{l.agreed.Receive, l.former} {
		for i := range list {
			if pt := list[i].PT & 0x7f; !known[pt] {
				known[pt] = true
				l.addRoute(&list[i])
			}
		}
	}
	if l.through != nil {
		l.through.change()
	}
}

func (l *Leg) addRoute(c *sdp.Codec) {
	r, ok := routeTo(c, &l.agreed, &l.peer.agreed)
	if !ok {
		return
	}
	l.routes.list = append(l.routes.list, r)
	l.routes.index[c.PT&0x7f] = uint8(len(l.routes.list))
}

// routeTo finds the way of a format of one side to the other.
func routeTo(c *sdp.Codec, side, to *sdp.Negotiated) (route, bool) {
	r := route{from: c.Info, way: way{known: true, of: c.PT & 0x7f, pt: to.Send.PT, audio: !c.Is(codec.Event)}}
	switch {
	case c.Is(codec.Event):
		if to.Event == nil {
			return route{}, false
		}
		r.pt, r.convert = to.Event.PT, eventConverter(c.ClockRate, to.Event.ClockRate)
		return r, true
	case c.Is(codec.CN):
		for _, k := range to.Receive { // who sends comfort noise understands it
			if k.Is(codec.CN) && k.ClockRate == c.ClockRate && c.ClockRate == to.Send.ClockRate {
				r.pt = k.PT
				return r, true
			}
		}
		r.transcode = true // to be heard as noise, when what it stands for is transcoded
		return r, true
	case c.Is(to.Send.Name) && c.Channels == to.Send.Channels && c.ClockRate == to.Send.ClockRate:
		return r, true
	}
	if packetTime(side.Ptime, c.Info) == packetTime(to.Ptime, to.Send.Info) {
		if convert, ok := codec.Converter(c.Info, to.Send.Info); ok {
			r.convert = convert
			return r, true
		}
	}
	r.transcode = true
	return r, codec.Encodable(to.Send.Info)
}

// eventConverter brings the duration of a telephone-event from one clock to
// another (RFC 4733 §2.3.5); nil when both are the same. A duration that does not
// fit into its 16 bits there (over 1.36 s at 48 kHz) stays at the most.
func eventConverter(from, to int) func([]byte) {
	if from == to || from <= 0 {
		return nil
	}
	return func(payload []byte) {
		if len(payload) < 4 {
			return
		}
		units := int(binary.BigEndian.Uint16(payload[2:])) * to / from
		binary.BigEndian.PutUint16(payload[2:], uint16(min(units, 0xffff)))
	}
}

// relay brings a packet of the leg to its peer: under another header, with the same
// payload or the other law of G.711, or by way of the transcoder.
func (l *Leg) relay(p *rtp.Received) {
	to := l.peer
	if p.Verdict == rtp.Late {
		if ssrc, _ := l.in.SSRC(); p.SSRC != ssrc {
			return // of a stream that another has replaced: it has no place any more
		}
	}
	r := l.way(p.PT)
	if (l.through != nil || r != nil && r.transcode) && l.transcodes(p) {
		return
	}
	target := to.in.Target()
	if !to.sends || !target.IsValid() {
		to.unsent++
		return
	}
	if r == nil || r.transcode {
		to.unsent++
		to.out.Skip(p, l.in.Epoch())
		return
	}
	if r.convert != nil {
		r.convert(p.Payload)
	}
	if packet := to.out.Relay(p, r.pt, l.in.Epoch(), r.audio); packet != nil {
		l.w.poller.send(to.media.socket, target, packet)
	}
}

// transcodes gives a packet to the transcoder, if it is one for it.
func (l *Leg) transcodes(p *rtp.Received) bool {
	r := l.routes.find(p.PT)
	if l.through == nil && r != nil && r.transcode && p.Verdict == rtp.Audio {
		l.through = newTranscoder(l, l.peer)
	}
	t := l.through
	if t == nil || !t.takes(p, r) {
		return false
	}
	t.take(p, r)
	return true
}

// dropTranscoder ends transcoding, and with it what waits to be heard.
func (l *Leg) dropTranscoder() {
	if l.through == nil {
		return
	}
	l.heardBy.add(l.through)
	l.w.wheel.cancel(&l.timers[playTimer])
	l.through = nil
}

// play is the tick of the leg's transcoder.
func (l *Leg) play(at time.Duration) {
	if l.through != nil {
		l.through.tick(at)
	}
}
