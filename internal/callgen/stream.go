package callgen

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sip"
)

// stream is what a party sends. It is guarded by the party's lock.
type stream struct {
	ssrc    uint32
	seq     uint16
	time    uint32 // RTP time of frame origin
	origin  uint64
	units   uint32 // of the RTP clock, per frame
	base    time.Duration
	frame   uint64 // the next one
	count   uint64 // packets made
	octets  uint32
	sent    uint32
	pcm     []int16
	encoder codec.Encoder
	marker  bool // the next audio packet begins a talk spurt
	quiet   bool // the frame before was not sent

	playing *Playback
	digits  []byte
	digit   int // step of the digit that is being sent
	start   uint32

	lastReport time.Duration
}

// Playback is something that a party says, or is about to say.
type Playback struct {
	source Source
	from   time.Duration // not before
	began  time.Duration

	started chan struct{}
	done    chan struct{}
	isBegun bool
}

// Started is closed when the first frame is on its way, or never will be.
func (b *Playback) Started() <-chan struct{} { return b.started }

// Done is closed when everything was said, or the call has ended.
func (b *Playback) Done() <-chan struct{} { return b.done }

// Began is the instant at which the first frame was handed to the network, on
// the endpoint's clock; false before that. Wait for Started.
func (b *Playback) Began() (time.Duration, bool) {
	select {
	case <-b.started:
		return b.began, b.isBegun
	default:
		return 0, false
	}
}

// Play says something from the next frame on, in place of what is being said. A
// frame that is overdue on a busy machine is not the next one: by its timestamp
// it is older than this call.
func (p *Party) Play(s Source) *Playback { return p.PlayAt(p.e.now(), s) }

// PlayAt says something from the first frame on that is due at or after a time,
// in place of what is being said. Parties of one clock that are given the same
// time start together.
func (p *Party) PlayAt(at time.Duration, s Source) *Playback {
	b := &Playback{source: s, from: at, started: make(chan struct{}), done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream.stopPlaying()
	if p.isDone {
		b.stop()
		return b
	}
	p.stream.playing = b
	return b
}

// Digits sends telephone-events (RFC 4733), 100 ms each with a pause of 40 ms.
func (p *Party) Digits(digits string) error {
	for _, d := range []byte(digits) {
		if eventOf(d) < 0 {
			return errors.New("callgen: a digit is one of 0-9 * # A-D")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.agreed.Event == nil {
		return errors.New("callgen: the far side takes no telephone-events")
	}
	p.stream.digits = append(p.stream.digits, digits...)
	return nil
}

func (s *stream) stopPlaying() {
	if s.playing != nil {
		s.playing.stop()
		s.playing = nil
	}
}

func (b *Playback) stop() {
	if !b.isBegun {
		close(b.started)
	}
	close(b.done)
}

func (p *Party) due() time.Duration { return time.Duration(p.at.Load()) }

// tick sends what is due now. Only the pacer calls it.
func (p *Party) tick() {
	p.mu.Lock()
	s := &p.stream
	due := p.due()
	n := s.frame
	s.frame++
	period := float64(p.o.Ptime) / (1 + p.o.Drift*1e-6)
	p.at.Store(int64(s.base + time.Duration(float64(s.frame)*period)))
	if !p.live || !p.agreed.Direction.Sends() || !p.agreed.Remote.IsValid() {
		p.mu.Unlock()
		return
	}
	clock := s.time + uint32(n-s.origin)*s.units
	var begun *Playback
	packets := p.events(clock)
	if packets == nil {
		var packet []byte
		packet, begun = p.audio(clock, due)
		if packet != nil {
			packets = append(packets, packet)
		}
	}
	first := s.count
	s.count += uint64(len(packets))
	report, reportTo := p.report(clock)
	p.mu.Unlock()

	if begun != nil {
		begun.began, begun.isBegun = p.e.now(), true
		close(begun.started)
	}
	for i, packet := range packets {
		p.impair(first+uint64(i), packet)
	}
	if report != nil {
		p.write(p.reportSocket(), report, reportTo)
	}
}

// audio makes the packet of one frame, and tells which playback begins with it.
// The lock is held.
func (p *Party) audio(clock uint32, due time.Duration) (packet []byte, begun *Playback) {
	s := &p.stream
	said := false
	if b := s.playing; b != nil && due >= b.from {
		if said = b.source(s.pcm); !said {
			s.stopPlaying()
		} else if !b.isBegun {
			begun, s.marker = b, true
		}
	}
	if !said {
		if p.o.Quiet {
			s.quiet = true
			return nil, begun
		}
		clear(s.pcm)
	}
	marker := s.marker || s.quiet // a talk spurt begins, RFC 3551 §4.1
	s.marker, s.quiet = false, false
	packet = make([]byte, rtp.HeaderSize+mostPayload)
	size, err := s.encoder.Encode(packet[rtp.HeaderSize:], s.pcm)
	if err != nil {
		return nil, begun // cannot happen with frames of this length and such a buffer
	}
	return p.header(packet[:rtp.HeaderSize+size], p.agreed.Send.PT, clock, marker), begun
}

// mostPayload is the longest payload that is made: 60 ms of L16 at 16 kHz.
const mostPayload = 1920

// A digit lasts five frames, and its end is sent three times (RFC 4733 §2.5.1.4).
const (
	digitFrames = 5
	digitPause  = 2
	digitVolume = 10
)

// events makes the packets of the digit that is being sent; nil when there is
// none. The lock is held.
func (p *Party) events(clock uint32) (packets [][]byte) {
	s := &p.stream
	if len(s.digits) == 0 || p.agreed.Event == nil {
		return nil
	}
	step := s.digit
	s.digit++
	if step >= digitFrames+digitPause {
		s.digits, s.digit = s.digits[1:], 0
		return p.events(clock)
	}
	if step >= digitFrames {
		return nil // the pause
	}
	if step == 0 {
		s.start = clock
	}
	copies, end := 1, byte(0)
	if step == digitFrames-1 {
		copies, end = 3, 0x80
	}
	for i := range copies {
		packet := make([]byte, rtp.HeaderSize+4)
		payload := packet[rtp.HeaderSize:]
		payload[0], payload[1] = byte(eventOf(s.digits[0])), end|digitVolume
		frame := int(p.o.Ptime * time.Duration(p.agreed.Event.ClockRate) / time.Second)
		binary.BigEndian.PutUint16(payload[2:], uint16((step+1)*frame))
		packets = append(packets, p.header(packet, p.agreed.Event.PT, s.start, step == 0 && i == 0))
	}
	return packets
}

func eventOf(digit byte) int { return slices.Index([]byte("0123456789*#ABCD"), digit) }

// header writes the RTP header (RFC 3550 §5.1). The lock is held.
func (p *Party) header(packet []byte, pt uint8, clock uint32, marker bool) []byte {
	s := &p.stream
	packet[0], packet[1] = 0x80, pt
	if marker {
		packet[1] |= 0x80
	}
	binary.BigEndian.PutUint16(packet[2:], s.seq)
	binary.BigEndian.PutUint32(packet[4:], clock)
	binary.BigEndian.PutUint32(packet[8:], s.ssrc)
	s.seq++
	s.sent++
	s.octets += uint32(len(packet) - rtp.HeaderSize)
	return packet
}

// report makes a sender report when one is due. The lock is held.
func (p *Party) report(clock uint32) ([]byte, netip.AddrPort) {
	s := &p.stream
	now := p.e.now()
	if p.o.Reports < 0 || !p.agreed.RemoteRTCP.IsValid() || (s.lastReport != 0 && now-s.lastReport < p.o.Reports) {
		return nil, netip.AddrPort{}
	}
	s.lastReport = now
	r := rtp.Report{SSRC: s.ssrc, CNAME: p.o.User + "@callgen", Sender: &rtp.SenderReport{
		NTP: rtp.NTP(time.Now()), RTPTime: clock, Packets: s.sent, Octets: s.octets,
	}}
	b, err := r.Append(nil)
	if err != nil {
		return nil, netip.AddrPort{} // only a name that is too long, which New would show
	}
	return b, p.agreed.RemoteRTCP
}

func (p *Party) reportSocket() *net.UDPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.agreed.RTCPMux {
		return p.rtp
	}
	return p.rtcp
}

// impair sends a packet as its fate says.
func (p *Party) impair(n uint64, packet []byte) {
	if p.o.Impair == nil {
		p.send(packet)
		return
	}
	for _, late := range p.o.Impair(n) {
		if late <= 0 {
			p.send(packet)
			continue
		}
		p.e.pacer.hold(datagram{at: p.e.now() + late, party: p, bytes: packet})
	}
}

func (p *Party) send(packet []byte) {
	p.mu.Lock()
	to := p.agreed.Remote
	p.mu.Unlock()
	if to.IsValid() {
		p.write(p.rtp, packet, to)
	}
}

// write sends a datagram. What the kernel refuses is lost like on any network.
func (p *Party) write(c *net.UDPConn, packet []byte, to netip.AddrPort) {
	if _, err := c.WriteToUDPAddrPort(packet, to); err != nil && !errors.Is(err, net.ErrClosed) {
		p.mu.Lock()
		p.reports.SendErrors++
		p.mu.Unlock()
	}
}

func isEnded(err error) bool { return errors.Is(err, sip.ErrEnded) || errors.Is(err, sip.ErrState) }
