package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"tapedeck/internal/rtp"
)

// into is a sink of tests.
type into func(p *port, batch []datagram, dropped uint32)

func (f into) receive(p *port, batch []datagram, dropped uint32) { f(p, batch, dropped) }
func (into) soon([]*port)                                        {}

// void is a poller without a network: the cost of a worker alone.
type void struct{ sent int }

func (*void) attach(socket, *port) error                  { return nil }
func (*void) detach(socket)                               {}
func (*void) wait(time.Duration, sink) error              { return nil }
func (*void) urgent(bool)                                 {}
func (*void) postpone(bool)                               {}
func (*void) wake()                                       {}
func (v *void) send(_ socket, _ netip.AddrPort, _ []byte) { v.sent++ }
func (*void) flush() int                                  { return 0 }
func (*void) close() error                                { return nil }

// counter is the least tap.
type counter struct{ n int }

func (c *counter) Take(*rtp.Received)           { c.n++ }
func (c *counter) TakeReport(*rtp.SenderReport) {}
func (*counter) Touch() uint64                  { return 0 }

// rig is two bridged legs on a worker that runs nowhere.
type rig struct {
	w       *worker
	out     void
	legs    [2]*Leg
	batch   [1]datagram
	bytes   [172]byte
	seq     uint16
	elapsed time.Duration
	port    *port
	remote  netip.AddrPort // of the first leg
}

func newRig(t testing.TB, transcode bool) *rig {
	r := &rig{}
	e := &Engine{now: func() time.Duration { return r.elapsed }, wall: time.Now()}
	r.w = newWorker(e, 0, &r.out)
	for i := range r.legs {
		l := newLeg(e, fmt.Sprint(i))
		l.worker.Store(r.w)
		if err := l.arrive(r.w); err != nil {
			t.Fatal(err)
		}
		n := (&party{t: t, rtp: listen(t), rtcp: listen(t)}).negotiated()
		n.Remote = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(5000+2*i))
		if transcode && i == 1 {
			pcma(&n)
		}
		l.configure(&n, 0)
		l.taps = tapsOf([]Tap{&counter{}})
		r.legs[i] = l
	}
	if err := (&Bridge{a: r.legs[0], b: r.legs[1]}).link(0); err != nil {
		t.Fatal(err)
	}
	r.port, r.remote = &r.legs[0].media, r.legs[0].agreed.Remote
	return r
}

// turn lets one packet of the first leg pass.
func (r *rig) turn() {
	r.prepare()
	r.pass()
}

// prepare makes the next packet.
func (r *rig) prepare() {
	r.seq++
	r.elapsed += 20 * time.Millisecond
	b := r.bytes[:]
	b[0], b[1] = 0x80, 0
	binary.BigEndian.PutUint16(b[2:], r.seq)
	binary.BigEndian.PutUint32(b[4:], uint32(r.seq)*160)
	binary.BigEndian.PutUint32(b[8:], 7)
	r.batch[0] = datagram{from: r.remote, data: b}
}

// pass gives it to the worker.
func (r *rig) pass() { r.w.receive(r.port, r.batch[:], 0) }

func TestThePathOfAPacketAllocatesNothing(t *testing.T) {
	for _, transcode := range []bool{false, true} {
		r := newRig(t, transcode)
		if got := testing.AllocsPerRun(1000, r.turn); got != 0 {
			t.Errorf("transcode %t: %v allocations a packet", transcode, got)
		}
		if r.out.sent < 1000 {
			t.Errorf("transcode %t: only %d packets were relayed", transcode, r.out.sent)
		}
	}
}

func TestComfortSilenceAllocatesNothing(t *testing.T) {
	r := newRig(t, false)
	r.legs[0].bridge.part(0)
	if got := testing.AllocsPerRun(1000, func() {
		r.elapsed += 20 * time.Millisecond
		r.w.wheel.advance(r.elapsed, r.w.fire)
	}); got != 0 {
		t.Errorf("%v allocations a frame", got)
	}
	if r.out.sent < 1900 {
		t.Errorf("only %d packets of silence", r.out.sent)
	}
}

// TestReportsAllocateNothing: who reads and writes them goes before other threads, also
// while garbage is collected (Engine.Relent).
func TestReportsAllocateNothing(t *testing.T) {
	r := newRig(t, false)
	r.turn()
	l := r.legs[1] // which has sent
	report := rtp.Report{
		SSRC: 7, CNAME: "a peer", Sender: &rtp.SenderReport{NTP: 1 << 32, RTPTime: 8000, Packets: 1, Octets: 160},
		Reception: &rtp.Reception{SSRC: l.out.SSRC(), LastSR: 1, Jitter: 3},
	}
	b, err := report.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	from := datagram{from: l.agreed.RemoteRTCP, data: b}
	sent := r.out.sent
	if got := testing.AllocsPerRun(1000, func() {
		r.elapsed += time.Second
		r.w.accept(l, true, &from, r.elapsed)
		l.report(r.elapsed, false)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if r.out.sent < sent+1000 || l.badControl+l.alienControl > 0 || l.remote.jitter == 0 {
		t.Errorf("%d reports were sent, %d not read, the peer says %+v", r.out.sent-sent, l.badControl+l.alienControl, l.remote)
	}
}

func TestABatchThroughTheSystemAllocatesNothing(t *testing.T) {
	eachDriver(t, func(t *testing.T, n network) {
		runtime.LockOSThread() // as a worker does
		defer runtime.UnlockOSThread()
		s, err := n.listen(netip.MustParseAddrPort("127.0.0.1:0"), mediaBuffer)
		if err != nil {
			t.Fatal(err)
		}
		p, err := n.poller()
		if err != nil {
			t.Fatal(err)
		}
		to := &port{socket: s}
		if err := p.attach(s, to); err != nil {
			t.Fatal(err)
		}
		defer func() {
			p.detach(s)
			if err := s.close(); err != nil {
				t.Error(err)
			}
			if err := p.close(); err != nil {
				t.Error(err)
			}
		}()
		var self netip.AddrPort
		switch s := s.(type) {
		case *portableSocket:
			self = addrOf(s.conn)
		default:
			self = boundTo(t, s)
		}
		data, got := make([]byte, 172), 0
		count := into(func(_ *port, batch []datagram, _ uint32) { got += len(batch) })
		turn := func() {
			got = 0
			for range 4 {
				p.send(s, self, data)
			}
			if refused := p.flush(); refused != 0 {
				t.Fatalf("%d refused", refused)
			}
			for got < 4 {
				if err := p.wait(patience, count); err != nil {
					t.Fatal(err)
				}
			}
		}
		if allocations := testing.AllocsPerRun(200, turn); allocations != 0 {
			t.Errorf("%v allocations for four packets", allocations)
		}
	})
}

// BenchmarkRelay is a packet of a bridged leg, without the system.
func BenchmarkRelay(b *testing.B) {
	for _, transcode := range []bool{false, true} {
		b.Run(fmt.Sprintf("transcode=%t", transcode), func(b *testing.B) {
			r := newRig(b, transcode)
			b.ReportAllocs()
			for b.Loop() {
				r.turn()
			}
		})
	}
}

// BenchmarkRelayUDP is the whole way: party, kernel, worker, kernel, party.
func BenchmarkRelayUDP(b *testing.B) {
	for name, n := range map[string]network{"system": defaultNetwork(true), "portable": portableNetwork{}} {
		b.Run(name, func(b *testing.B) {
			bench := start(b, Options{network: n, Workers: 1})
			la, p := bench.connect("A")
			lb, q := bench.connect("B")
			bench.join(la, lb)
			data := p.talk().bytes()
			q.hearVoice()
			in := make([]byte, 2048)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				binary.BigEndian.PutUint16(data[2:], uint16(101+i))
				binary.BigEndian.PutUint32(data[4:], uint32(101+i)*160)
				p.write(data)
				if _, _, err := q.rtp.ReadFromUDPAddrPort(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
