package media

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/codec"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
	"tapedeck/internal/testkit"
)

// patience is the limit of a broken test; a good one never waits for it.
const patience = 10 * time.Second

// eachDriver runs a test over every driver that this system has.
func eachDriver(t *testing.T, test func(t *testing.T, n network)) {
	for name, n := range systemNetworks() {
		t.Run(name, func(t *testing.T) { test(t, n) })
	}
	t.Run("portable", func(t *testing.T) { test(t, portableNetwork{}) })
}

// bench is an engine that runs for one test.
type bench struct {
	*Engine
	t        testing.TB
	registry *prometheus.Registry
}

// portBase gives every test its own range, so that none meets a stray packet or
// the resting ports of another.
func start(t testing.TB, o Options) *bench {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	if o.PortFrom == 0 {
		o.PortFrom, o.PortTo = 31000, 31999
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	e, err := New(o)
	if err != nil {
		t.Fatalf("new engine: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := testkit.Receive(t, patience, ended); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return &bench{Engine: e, t: t, registry: registry}
}

// open makes a leg with a name, and the channel of its events.
func (b *bench) open(o LegOptions) (*Leg, chan Event) {
	b.t.Helper()
	events := make(chan Event, 1000)
	o.Notify = func(e Event) { events <- e }
	l, err := b.Open(o)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	return l, events
}

// connect makes a leg that talks to a new party.
func (b *bench) connect(name string, change ...func(*sdp.Negotiated)) (*Leg, *party) {
	b.t.Helper()
	l, _ := b.open(LegOptions{Name: name})
	p := newParty(b.t, l)
	configure(b.t, l, p.negotiated(change...))
	return l, p
}

func configure(t testing.TB, l *Leg, n sdp.Negotiated) {
	t.Helper()
	if err := l.Configure(n); err != nil {
		t.Fatalf("configure: %v", err)
	}
}

func (b *bench) join(x, y *Leg) *Bridge {
	b.t.Helper()
	br, err := b.Join(x, y)
	if err != nil {
		b.t.Fatalf("join: %v", err)
	}
	return br
}

// party is a peer with its own sockets.
type party struct {
	t           testing.TB
	rtp, rtcp   *net.UDPConn
	to, toRTCP  netip.AddrPort
	ssrc        uint32
	seq         uint16
	time        uint32
	pt          uint8
	payloadSize int
}

func newParty(t testing.TB, l *Leg) *party {
	t.Helper()
	p := &party{t: t, to: l.Addr(), ssrc: 0x1000, seq: 100, time: 8000, payloadSize: 160}
	p.toRTCP = netip.AddrPortFrom(p.to.Addr(), p.to.Port()+1)
	p.rtp, p.rtcp = listen(t), listen(t)
	return p
}

func listen(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// negotiated is what an offer/answer exchange with this party gives: PCMU, PCMA
// and telephone-event, 20 ms.
func (p *party) negotiated(change ...func(*sdp.Negotiated)) sdp.Negotiated {
	pcmu, _ := codec.Lookup(codec.PCMU, 0)
	pcma, _ := codec.Lookup(codec.PCMA, 0)
	event, _ := codec.Lookup(codec.Event, 8000)
	mu, a, ev := sdp.Codec{Info: pcmu, PT: 0}, sdp.Codec{Info: pcma, PT: 8}, sdp.Codec{Info: event, PT: 101}
	n := sdp.Negotiated{
		Remote: addrOf(p.rtp), RemoteRTCP: addrOf(p.rtcp),
		Send: mu, Receive: []sdp.Codec{mu, a, ev}, Event: &ev, Ptime: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&n)
	}
	return n
}

func pcma(n *sdp.Negotiated) { n.Send = n.Receive[1] }

// packet is a parsed RTP packet as a party sees it.
type packet struct {
	pt      uint8
	marker  bool
	seq     uint16
	time    uint32
	ssrc    uint32
	payload []byte
	from    netip.AddrPort
	at      time.Time
}

func (k packet) bytes() []byte {
	b := make([]byte, 12, 12+len(k.payload))
	b[0], b[1] = 0x80, k.pt
	if k.marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], k.seq)
	binary.BigEndian.PutUint32(b[4:], k.time)
	binary.BigEndian.PutUint32(b[8:], k.ssrc)
	return append(b, k.payload...)
}

// next makes the party's next packet, with a payload that no other packet has.
func (p *party) next() packet {
	k := packet{pt: p.pt, marker: p.seq == 100, seq: p.seq, time: p.time, ssrc: p.ssrc, payload: make([]byte, p.payloadSize)}
	for i := range k.payload {
		k.payload[i] = byte(int(p.seq)*7 + i*3 + int(p.ssrc))
	}
	p.seq++
	p.time += uint32(p.payloadSize)
	return k
}

// talk sends the party's next packet and returns it.
func (p *party) talk() packet {
	p.t.Helper()
	k := p.next()
	p.write(k.bytes())
	return k
}

func (p *party) write(b []byte) {
	p.t.Helper()
	if _, err := p.rtp.WriteToUDPAddrPort(b, p.to); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// hear waits for the next packet that comes to the party.
func (p *party) hear() packet {
	p.t.Helper()
	b, from := receive(p.t, p.rtp)
	if len(b) < 12 || b[0] != 0x80 {
		p.t.Fatalf("not a plain RTP packet: %x", b)
	}
	return packet{
		pt: b[1] & 0x7f, marker: b[1]&0x80 != 0,
		seq: binary.BigEndian.Uint16(b[2:]), time: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
		payload: b[12:], from: from, at: time.Now(),
	}
}

// hearVoice waits for the next packet that is not comfort silence.
func (p *party) hearVoice() packet {
	p.t.Helper()
	for {
		if k := p.hear(); !silent(k) {
			return k
		}
	}
}

func silent(k packet) bool {
	for _, b := range k.payload {
		if b != 0xff && b != 0xd5 {
			return false
		}
	}
	return true
}

func receive(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 4096)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return b[:n], from
}

// ear is a tap that keeps copies.
type ear struct {
	mu      sync.Mutex
	packets []rtp.Received
	reports []rtp.SenderReport
}

func (e *ear) Take(p *rtp.Received) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := *p
	k.Payload = append([]byte(nil), p.Payload...)
	e.packets = append(e.packets, k)
}

func (*ear) Touch() uint64 { return 0 }

func (e *ear) TakeReport(r *rtp.SenderReport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reports = append(e.reports, *r)
}

func (e *ear) heard() []rtp.Received {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]rtp.Received(nil), e.packets...)
}

func (e *ear) told() []rtp.SenderReport {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]rtp.SenderReport(nil), e.reports...)
}

// eventually waits for a condition.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, condition)
}
