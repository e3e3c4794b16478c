package callgen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

// Frame is one RTP packet that a party heard, as it came.
type Frame struct {
	Arrival time.Duration // on the endpoint's clock
	From    netip.AddrPort
	Seq     uint16
	Time    uint32
	SSRC    uint32
	PT      uint8
	Marker  bool
	Payload []byte
}

// Reports counts what a party heard of its stream by RTCP.
type Reports struct {
	Senders    int           // sender reports that came
	Receptions int           // reception reports that came
	Lost       int32         // of our packets, in the last one about us
	RoundTrip  time.Duration // of the last one about us; 0 = not known
	Byes       int
	SendErrors int // datagrams that the kernel refused
}

// Heard returns everything the party heard so far, in the order of arrival.
func (p *Party) Heard() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Frame(nil), p.heard...)
}

// HeardCount is how many packets the party heard so far.
func (p *Party) HeardCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.heard)
}

// Sent is how many packets the party made so far, lost ones included.
func (p *Party) Sent() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream.count
}

// Reports is what RTCP told so far.
func (p *Party) Reports() Reports {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reports
}

// Assemble puts G.711 frames of one source on the RTP clock, beginning with the
// first one; what did not come is silence. Frames of other SSRCs than the last
// one's are left out.
func Assemble(frames []Frame) []int16 {
	var out []int16
	var origin uint32
	begun := false
	for _, f := range frames {
		if f.SSRC != frames[len(frames)-1].SSRC || (f.PT != 0 && f.PT != 8) {
			continue
		}
		if !begun {
			origin, begun = f.Time, true
		}
		at := int(int32(f.Time - origin))
		if at < 0 {
			continue // came late, before the first one
		}
		if end := at + len(f.Payload); end > len(out) {
			out = append(out, make([]int16, end-len(out))...)
		}
		decode := g711.DecodeMu
		if f.PT == 8 {
			decode = g711.DecodeA
		}
		decode(out[at:], f.Payload)
	}
	return out
}

// Audio is all that the party heard in its newest codec, decoded, on the RTP
// clock, beginning with the first frame of that; what did not come is silence. The
// rate is in Hz.
func (p *Party) Audio() (pcm []int16, rate int, err error) {
	agreed, _ := p.Agreed()
	frames := p.Heard()
	if len(frames) == 0 {
		return nil, 0, nil
	}
	newest := frames[len(frames)-1]
	at := slices.IndexFunc(agreed.Receive, func(c sdp.Codec) bool { return c.PT == newest.PT })
	if at < 0 {
		return nil, 0, fmt.Errorf("callgen: %s heard payload type %d, which nobody agreed on", p.o.User, newest.PT)
	}
	info := agreed.Receive[at].Info
	info.Channels = 1
	decoder, err := codec.NewDecoder(info)
	if err != nil {
		return nil, 0, err
	}
	frames = slices.DeleteFunc(frames, func(f Frame) bool { return f.SSRC != newest.SSRC || f.PT != newest.PT })
	slices.SortStableFunc(frames, func(a, b Frame) int { return int(int16(a.Seq - b.Seq)) })
	frame := make([]int16, info.SampleRate/8) // RFC 6716 §2.1.4: 120 ms at most
	for _, f := range frames {
		place := int(int64(f.Time-frames[0].Time) * int64(info.SampleRate) / int64(info.ClockRate))
		n, err := decoder.Decode(frame, f.Payload)
		if err != nil {
			return nil, 0, fmt.Errorf("callgen: %s heard what is no %s: %w", p.o.User, info.Name, err)
		}
		if end := place + n; end > len(pcm) {
			pcm = append(pcm, make([]int16, end-len(pcm))...)
		}
		copy(pcm[place:], frame[:n])
	}
	return pcm, info.SampleRate, nil
}

// readRTP keeps what comes until the socket is closed.
func (p *Party) readRTP() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := p.rtp.ReadFromUDPAddrPort(buffer)
		at := p.e.now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of a port that is not there (any more)
		}
		if rtp.IsControl(buffer[:n]) {
			p.control(buffer[:n], at)
			continue
		}
		f, ok := parse(buffer[:n])
		if !ok {
			continue
		}
		f.Arrival, f.From = at, from
		p.mu.Lock()
		p.heard = append(p.heard, f)
		p.mu.Unlock()
	}
}

// parse reads an RTP packet (RFC 3550 §5.1) into a frame with a payload of its
// own. It is written out here, so that a peer of the server does not share the
// server's mistakes.
func parse(b []byte) (f Frame, ok bool) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return f, false
	}
	head := 12 + 4*int(b[0]&15)
	if b[0]&0x10 != 0 { // extension
		if len(b) < head+4 {
			return f, false
		}
		head += 4 + 4*int(binary.BigEndian.Uint16(b[head+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 { // padding
		end -= int(b[len(b)-1])
	}
	if head > end {
		return f, false
	}
	return Frame{
		Seq: binary.BigEndian.Uint16(b[2:]), Time: binary.BigEndian.Uint32(b[4:]), SSRC: binary.BigEndian.Uint32(b[8:]),
		PT: b[1] & 0x7f, Marker: b[1]&0x80 != 0, Payload: append([]byte(nil), b[head:end]...),
	}, true
}

// readRTCP counts what comes until the socket is closed.
func (p *Party) readRTCP() {
	buffer := make([]byte, 2048)
	for {
		n, _, err := p.rtcp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.control(buffer[:n], p.e.now())
		}
	}
}

func (p *Party) control(datagram []byte, at time.Duration) {
	var c rtp.Control
	err := c.Read(datagram, at)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		return // a fragment of no use to anybody
	}
	p.reports.Senders += len(c.Senders)
	p.reports.Byes += len(c.Byes)
	for _, r := range c.Receptions {
		if r.SSRC != p.stream.ssrc {
			continue
		}
		p.reports.Receptions++
		p.reports.Lost = r.Lost
		if trip, ok := r.RoundTrip(rtp.NTP(time.Now())); ok {
			p.reports.RoundTrip = trip
		}
	}
}
