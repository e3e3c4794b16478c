package callgen

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	legsPerSocket = 64
	loadPtime     = 20 * time.Millisecond
	loadFrame     = int(loadPtime * Rate / time.Second)
	// loadSlot is how often it is looked what is due, and what has come.
	loadSlot = 500 * time.Microsecond
	// loadBatch packets are sent with one stamp of time and one system call. The
	// kernel delivers one after the other, some microseconds each, and what it needs
	// for those before is in the latency of the last.
	loadBatch = 16
	// loadStep is by how much the schedule goes on at once, at most, and loadCatchUp by
	// which part of the time it goes faster when it is behind.
	loadStep    = 2 * time.Millisecond
	loadCatchUp = 10
	// loadBehind is how much of a delay is made good. What a longer one has cost was
	// never sent.
	loadBehind = 200 * time.Millisecond
	// loadBuffer holds what the legs of a socket hear in some seconds.
	loadBuffer = 4 << 20
)

// loadMedia is the RTP side of a load: few sockets that many legs share, and one
// owner of all state, who sends, hears, and in between does what the others ask
// him to.
//
// The legs are sent in an order of their own, by chance but the same in each
// run: neighbours in time are of different calls, as they would be of people.
type loadMedia struct {
	zero    time.Time // of both clocks: that of the slots, and that of the stamps
	out     []outLeg  // in the order of sending; legsPerSocket neighbours share a socket
	in      []inLeg   // 2*place of the call + leg
	order   []int32   // where in out the leg of in is
	sockets []loadSocket

	round   uint32        // of the frames that are sent now
	next    int           // the leg of out that is sent next
	looked  time.Duration // when it was last looked what is due
	reached time.Duration // how far the schedule has come

	mu     sync.Mutex
	asked  []func()
	asking atomic.Bool

	// Totals of legs that are gone, and what belongs to no leg.
	gone     LoadReport
	counting int // how many legs are counted at the moment
	latency  Latencies
	strange  uint64 // frames from an address that no leg knows
	late     time.Duration
	skipped  uint64
}

// loadSocket is a pair of UDP ports with the legs behind it.
type loadSocket struct {
	loadConn
	peers map[uint64][]int32 // far address: legs of in; one, unless the far side shares ports too
}

func newLoadMedia(zero time.Time, calls int, frames int) (*loadMedia, error) {
	legs := 2 * calls
	m := &loadMedia{
		zero: zero, out: make([]outLeg, legs), in: make([]inLeg, legs), order: make([]int32, legs),
		sockets: make([]loadSocket, (legs+legsPerSocket-1)/legsPerSocket),
	}
	words := frames/64 + 2
	seen := make([]uint64, legs*words)
	for i, at := range rand.New(rand.NewPCG(1, 1)).Perm(legs) {
		m.order[i] = int32(at)
		m.in[i] = inLeg{socket: int32(at / legsPerSocket), seen: seen[i*words : (i+1)*words : (i+1)*words]}
	}
	for i := range m.sockets {
		s := &m.sockets[i]
		s.peers = map[uint64][]int32{}
		var err error
		if s.loadConn, err = openLoadConn(); err != nil {
			m.sockets = m.sockets[:i]
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

func (m *loadMedia) close() error {
	var errs []error
	for i := range m.sockets {
		errs = append(errs, m.sockets[i].close())
	}
	return errors.Join(errs...)
}

// clock is the time of slots.
func (m *loadMedia) clock() time.Duration { return time.Since(m.zero) }

// stampClock is the time of stamps: the one by which the kernel says when it
// received a packet.
func (m *loadMedia) stampClock() time.Duration {
	return time.Duration(time.Now().UnixNano() - m.zero.UnixNano())
}

// ask has something done by the owner of the media.
func (m *loadMedia) ask(do func()) {
	m.mu.Lock()
	m.asked = append(m.asked, do)
	m.mu.Unlock()
	m.asking.Store(true)
}

// obey does what was asked for.
func (m *loadMedia) obey() {
	if !m.asking.Load() {
		return
	}
	m.asking.Store(false)
	m.mu.Lock()
	asked := m.asked
	m.asked = nil
	m.mu.Unlock()
	for _, do := range asked {
		do()
	}
}

// index is the place of a leg in m.in. Calls of the same place follow each other.
func (m *loadMedia) index(call uint32, leg uint8) int {
	return 2*(int(call)%(len(m.in)/2)) + int(leg)
}

// addr is where a leg hears. Everybody may ask.
func (m *loadMedia) addr(call uint32, leg uint8) netip.AddrPort {
	at := int(m.order[m.index(call, leg)])
	s := &m.sockets[at/legsPerSocket]
	return netip.AddrPortFrom(s.host(at%legsPerSocket), s.addr.Port())
}

// begin makes ready for a call.
func (m *loadMedia) begin(call uint32, heard [2]chan time.Duration) {
	for leg := range uint8(2) {
		i := m.index(call, leg)
		m.out[m.order[i]] = outLeg{call: call, leg: leg, ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), time: rand.Uint32()}
		g := &m.in[i]
		clear(g.seen)
		*g = inLeg{call: call, leg: leg, socket: g.socket, seen: g.seen, heard: heard[leg]}
	}
}

// learn takes the far address of a leg, to which frames go and from which they
// come. Frames may still come from those before.
func (m *loadMedia) learn(call uint32, leg uint8, remote netip.AddrPort) {
	i := m.index(call, leg)
	g, to := &m.in[i], packed(remote)
	if g.call != call {
		return // it is over
	}
	m.out[m.order[i]].remote, g.peer = to, to
	peers := m.sockets[g.socket].peers
	for _, known := range peers[to] {
		if known == int32(i) {
			return
		}
	}
	peers[to] = append(peers[to], int32(i))
}

// mute ends what a leg sends.
func (m *loadMedia) mute(call uint32, leg uint8) {
	if g := &m.out[m.order[m.index(call, leg)]]; g.call == call {
		g.remote = 0
	}
}

// count begins or ends the counting of the frames of a call.
func (m *loadMedia) count(call uint32, on bool) {
	for leg := range uint8(2) {
		g := &m.out[m.order[m.index(call, leg)]]
		if g.counts != on && g.call == call {
			g.counts = on
			if on {
				m.counting++
			} else {
				m.counting--
			}
		}
	}
}

// end adds up what became of a call, and forgets it.
func (m *loadMedia) end(call uint32) {
	m.count(call, false)
	for leg := range uint8(2) {
		i := m.index(call, leg)
		m.mute(call, leg)
		m.in[i].add(&m.gone)
		m.gone.Sent += uint64(m.out[m.order[i]].counter)
		peers := m.sockets[m.in[i].socket].peers
		for addr, legs := range peers {
			kept := legs[:0]
			for _, known := range legs {
				if known != int32(i) {
					kept = append(kept, known)
				}
			}
			if peers[addr] = kept; len(kept) == 0 {
				delete(peers, addr)
			}
		}
		m.out[m.order[i]].counter = 0
		m.in[i].forget()
	}
}

// due is how many more legs should have been sent by now. After a delay the
// schedule comes back slowly: that this machine was kept from its core says nothing
// of people, who would not all speak faster, so the server should not have to
// bear a burst. All that was due is sent in the end.
func (m *loadMedia) due() int {
	now := m.clock()
	step := min(now-m.looked, loadStep)
	m.looked = now
	m.reached = min(now, m.reached+step+step/loadCatchUp)
	behind := now - m.instant()
	if m.counting > 0 {
		m.late = max(m.late, behind)
	}
	if behind > loadBehind {
		rounds := behind / loadPtime
		m.round += uint32(rounds)
		m.reached += rounds * loadPtime
		m.skipped += uint64(rounds) * uint64(m.counting)
	}
	return int(m.reached*time.Duration(len(m.out))/loadPtime) - int(m.round)*len(m.out) - m.next
}

// start lets the schedule begin now.
func (m *loadMedia) start() {
	m.looked = m.clock()
	m.round = uint32(m.looked / loadPtime)
	m.reached = time.Duration(m.round) * loadPtime
}

// instant is when the next leg is due.
func (m *loadMedia) instant() time.Duration {
	return time.Duration(m.round)*loadPtime + time.Duration(m.next)*loadPtime/time.Duration(len(m.out))
}

// step goes on to the leg after the next one.
func (m *loadMedia) step() {
	if m.next++; m.next == len(m.out) {
		m.next = 0
		m.round++
	}
}

// report adds up everything. Nothing runs any more.
func (m *loadMedia) report(r *LoadReport) {
	r.Late, r.Skipped, r.Latency = m.late, m.skipped, m.latency
	r.Sent, r.Received, r.Duplicate, r.Reordered = m.gone.Sent, m.gone.Received, m.gone.Duplicate, m.gone.Reordered
	r.CrossTalk, r.Unmarked = m.gone.CrossTalk, m.gone.Unmarked+m.strange
	for i := range m.in {
		g, sent := &m.in[i], uint64(m.out[m.order[i]].counter)
		g.add(r)
		r.Sent += sent
		r.Legs = append(r.Legs, LegReport{Call: i / 2, Leg: i % 2, Sent: sent, Received: m.in[i^1].received})
	}
	r.Lost = r.Sent - r.Received
}

// packed is an IPv4 address and port as one number.
func packed(a netip.AddrPort) uint64 {
	ip := a.Addr().Unmap().As4()
	return uint64(a.Port())<<32 | uint64(ip[0])<<24 | uint64(ip[1])<<16 | uint64(ip[2])<<8 | uint64(ip[3])
}
