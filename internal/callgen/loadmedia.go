package callgen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"tapedeck/internal/codec/g711"
	"tapedeck/internal/rtp"
	"tapedeck/internal/sdp"
)

const (
	legsPerSocket = 16
	loadPtime     = 20 * time.Millisecond
	loadFrame     = int(loadPtime * Rate / time.Second)
	loadSlots     = 20 // instants within a frame time, so that not all send at once
	readBatch     = 32
	// loadBuffer holds what 16 legs hear in two seconds.
	loadBuffer = 4 << 20
)

// loadMedia is the RTP side of a load: few sockets that many legs share, one
// pacer that sends in batches, one reader for each socket.
type loadMedia struct {
	now      func() time.Duration
	sockets  []*loadSocket
	counting atomic.Bool
	late     time.Duration // the pacer's, read when it has ended
	sent     uint64        // likewise
}

// loadSocket is a pair of UDP ports with the legs behind it.
type loadSocket struct {
	rtp, rtcp *net.UDPConn
	batch     *ipv4.PacketConn
	legs      []*loadLeg
	out       []ipv4.Message // the pacer's

	mu      sync.RWMutex
	byPeer  map[netip.AddrPort][]*loadLeg // one leg each, unless the far side shares ports too
	latency Latencies                     // the reader's
	strange uint64                        // the reader's: frames from an address that no leg knows
}

func newLoadMedia(now func() time.Duration, legs int) (*loadMedia, error) {
	m := &loadMedia{now: now}
	for range (legs + legsPerSocket - 1) / legsPerSocket {
		s := &loadSocket{byPeer: map[netip.AddrPort][]*loadLeg{}}
		var err error
		if s.rtp, s.rtcp, err = pair(netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
			return nil, errors.Join(err, m.close())
		}
		s.batch = ipv4.NewPacketConn(s.rtp)
		m.sockets = append(m.sockets, s)
		if err := s.rtp.SetReadBuffer(loadBuffer); err != nil {
			return nil, errors.Join(fmt.Errorf("callgen: receive buffer: %w", err), m.close())
		}
	}
	return m, nil
}

func (m *loadMedia) close() error {
	var errs []error
	for _, s := range m.sockets {
		for _, c := range []*net.UDPConn{s.rtp, s.rtcp} {
			if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// leg makes the next leg.
func (m *loadMedia) leg(call uint32, leg uint8) (*loadLeg, error) {
	for _, s := range m.sockets {
		if len(s.legs) == legsPerSocket {
			continue
		}
		g := &loadLeg{
			call: call, leg: leg, socket: s,
			up: make(chan struct{}), heard: make(chan struct{}), done: make(chan struct{}),
			desc: sdp.New(sdp.Options{Addr: addrOf(s.rtp), Codecs: listed(), Ptime: loadPtime}),
			ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), time: rand.Uint32(),
			packet: make([]byte, rtp.HeaderSize+loadFrame),
		}
		for i := range g.packet {
			g.packet[i] = g711.SilenceMu
		}
		s.legs = append(s.legs, g)
		return g, nil
	}
	return nil, errors.New("callgen: no socket has room for another leg")
}

func (s *loadSocket) learn(peer netip.AddrPort, g *loadLeg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.byPeer[peer], g) {
		s.byPeer[peer] = append(s.byPeer[peer], g)
	}
}

// count begins or ends the counting of frames.
func (m *loadMedia) count(on bool) { m.counting.Store(on) }

// run sends and reads until ctx ends.
func (m *loadMedia) run(ctx context.Context) error {
	var readers sync.WaitGroup
	for _, s := range m.sockets {
		readers.Go(func() { m.read(ctx, s) })
	}
	m.pace(ctx)
	for _, s := range m.sockets {
		if err := s.rtp.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return errors.Join(fmt.Errorf("callgen: end the readers: %w", err), m.close())
		}
	}
	readers.Wait()
	return nil
}

// pace sends the frames of each socket at its slot of the frame time.
func (m *loadMedia) pace(ctx context.Context) {
	const step = loadPtime / loadSlots
	timer := time.NewTimer(0)
	defer timer.Stop()
	pcm := make([]int16, StampSamples)
	for n := m.now()/step + 1; ; n++ {
		timer.Reset(n*step - m.now())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if counting := m.counting.Load(); counting {
			m.late = max(m.late, m.now()-n*step)
		}
		for i := int(n % loadSlots); i < len(m.sockets); i += loadSlots {
			m.send(m.sockets[i], pcm)
		}
	}
}

// send sends one frame of every leg of a socket in one call.
func (m *loadMedia) send(s *loadSocket, pcm []int16) {
	s.out = s.out[:0]
	counting := m.counting.Load()
	at := m.now()
	for _, g := range s.legs {
		to := g.remote.Load()
		if to == nil {
			continue
		}
		stamp := Stamp{Call: g.call, Leg: g.leg, Sent: at}
		if counting {
			g.counter++
			stamp.Counter = g.counter
			m.sent++
		}
		stamp.Put(pcm)
		p := g.packet
		p[0], p[1] = 0x80, 0 // version 2; PCMU
		binary.BigEndian.PutUint16(p[2:], g.seq)
		binary.BigEndian.PutUint32(p[4:], g.time)
		binary.BigEndian.PutUint32(p[8:], g.ssrc)
		g711.EncodeMu(p[rtp.HeaderSize:], pcm)
		g.seq++
		g.time += uint32(loadFrame)
		s.out = append(s.out, ipv4.Message{Buffers: [][]byte{p}, Addr: to})
	}
	for out := s.out; len(out) > 0; {
		n, err := s.batch.WriteBatch(out, 0)
		if n <= 0 || err != nil {
			n = 1 // the first one is refused: it is lost, and counts as that
		}
		out = out[n:]
	}
}

// read takes what comes to one socket.
func (m *loadMedia) read(ctx context.Context, s *loadSocket) {
	in := make([]ipv4.Message, readBatch)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	pcm := make([]int16, StampSamples)
	for {
		n, err := s.batch.ReadBatch(in, 0)
		at := m.now()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		counting := m.counting.Load()
		for _, msg := range in[:n] {
			m.hear(s, msg.Buffers[0][:msg.N], addrPortOf(msg.Addr), at, counting, pcm)
		}
	}
}

// who is the leg that hears an address; of several, the one that the stamp is
// for.
func (s *loadSocket) who(from netip.AddrPort, stamp Stamp) *loadLeg {
	s.mu.RLock()
	defer s.mu.RUnlock()
	legs := s.byPeer[from]
	for _, g := range legs {
		if g.call == stamp.Call && g.leg == 1-stamp.Leg {
			return g
		}
	}
	if len(legs) == 0 {
		return nil
	}
	return legs[0]
}

// hear takes one datagram.
func (m *loadMedia) hear(s *loadSocket, b []byte, from netip.AddrPort, at time.Duration, counting bool, pcm []int16) {
	var stamp Stamp
	ok := false
	if len(b) >= rtp.HeaderSize+StampSamples && b[1]&0x7f == 0 {
		g711.DecodeMu(pcm, b[rtp.HeaderSize:rtp.HeaderSize+StampSamples])
		stamp, ok = ReadStamp(pcm)
	}
	g := s.who(from, stamp)
	if g == nil {
		if counting {
			s.strange++
		}
		return
	}
	if !ok {
		if counting {
			g.unmarked++
		}
		return
	}
	if g.hears(stamp) && stamp.Counter > 0 {
		s.latency.Add(at - stamp.Sent)
	}
}

// report adds up everything. Nothing runs any more.
func (m *loadMedia) report(r *LoadReport) {
	r.Late, r.Sent = m.late, m.sent
	legs := map[uint32][2]*loadLeg{}
	for _, s := range m.sockets {
		r.Latency.Merge(&s.latency)
		r.Unmarked += s.strange
		for _, g := range s.legs {
			pair := legs[g.call]
			pair[g.leg] = g
			legs[g.call] = pair
			r.Received += g.received
			r.Duplicate += g.duplicate
			r.Reordered += g.reordered
			r.CrossTalk += g.crossTalk
			r.Unmarked += g.unmarked
		}
	}
	for call := range uint32(len(legs)) {
		for leg, g := range legs[call] {
			r.Legs = append(r.Legs, LegReport{Call: int(call), Leg: leg, Sent: uint64(g.counter), Received: legs[call][1-leg].received})
		}
	}
	r.Lost = r.Sent - r.Received
}
