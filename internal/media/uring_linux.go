package media

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tapedeck/internal/media/uring"
)

// Where the system has io_uring, the packets of linked sockets, which are nearly
// all, take another way than epoll: a multishot receive per socket, buffers that
// the kernel takes from a common heap, and one system call that sends what the last
// turn relayed and fetches what came. Everything else stays with epoll, whose
// descriptor the ring watches.

// ringSeat is a linked socket that a ring receives from. What a packet needs of the
// socket is copied here while the seat is taken: so a seat, one cache line, is all that
// a packet touches before its leg.
type ringSeat struct {
	port   *port
	socket *epollSocket
	peer   netip.AddrPort // whom the socket is connected to
	turn   uint32         // how often the seat was taken: results of a former one are old
	pile   int32          // of the link: reads to be made with care
	_      [8]byte
}

// What a key of the ring stands for is in its upper bits.
const (
	keyReceive = iota // seat, and its turn
	keySend           // seat, and where the datagram lies
	keyBell           // epoll has something

	keyShift  = 60
	seatBits  = 20
	seatMask  = 1<<seatBits - 1
	placeBits = 22 // of the ring's memory
	sizeShift = seatBits + placeBits
	sizeMask  = 1<<12 - 1
)

const bellKey = uint64(keyBell) << keyShift

func receiveKey(seat int32, turn uint32) uint64 { return uint64(seat) | uint64(turn)<<seatBits }

func sendKey(seat int32, at, size int) uint64 {
	return uint64(keySend)<<keyShift | uint64(seat) | uint64(at)<<seatBits | uint64(size)<<sizeShift
}

// ringSeats is how many sockets a ring may know: not more than the process may open.
func ringSeats() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return uring.MostSeats
	}
	return int(min(limit.Cur, uring.MostSeats))
}

// waitRing is wait where there is a ring.
func (p *epollPoller) waitRing(timeout time.Duration, to sink) error {
	r := p.ring
	if err := r.Enable(); err != nil {
		return err
	}
	if !p.watching {
		p.watching = r.Watch(p.fd, bellKey)
	}
	raw := p.busy || p.first
	if raw && (timeout < 0 || timeout > longestRaw) {
		timeout = longestRaw
	}
	if err := r.Enter(timeout, raw); err != nil {
		return err
	}
	p.busy = false
	p.foretell(to)
	// Only what is there now: what is asked for meanwhile may have results at once.
	for range r.Ready() {
		c, ok := r.Take()
		if !ok {
			break
		}
		switch c.UserData >> keyShift {
		case keyReceive:
			p.received(&c, to)
		case keySend:
			p.unsent(&c)
		case keyBell:
			p.watching = false
		}
	}
	r.Recycle()
	p.feed()
	if p.watching {
		return nil
	}
	return p.serve(0, to)
}

// foretell says whose datagrams have come.
func (p *epollPoller) foretell(to sink) {
	ready := p.ready[:0]
	p.ring.Waiting(func(c *uring.Result) {
		if c.UserData>>keyShift != keyReceive || len(ready) == cap(ready) {
			return
		}
		if at := p.seats[c.UserData&seatMask].port; at != nil {
			ready = append(ready, at)
		}
	})
	to.soon(ready)
}

// received takes one datagram of a linked socket.
func (p *epollPoller) received(c *uring.Result, to sink) {
	slot := int32(c.UserData & seatMask)
	s := &p.seats[slot]
	var data []byte
	if c.Flags&uring.HasBuffer != 0 {
		data = p.ring.Bytes(c) // counted as used, whatever it is
	}
	if s.port == nil || receiveKey(slot, s.turn) != c.UserData {
		return // of a leg that is gone
	}
	at, from := s.port, s.peer // rearm may take the seat away
	if c.Flags&uring.More == 0 {
		p.rearm(slot, s, c.Res)
	}
	if c.Res <= 0 || data == nil {
		return
	}
	p.busy = true
	dropped := p.piled(slot, s)
	p.single[0] = datagram{from: from, data: data, truncated: c.Res > datagramSize}
	to.receive(at, p.single[:], dropped)
}

// piled says how many datagrams the full buffer of a socket lost, when it looks as
// if it had been full: only then it is worth a question to the kernel.
func (p *epollPoller) piled(slot int32, s *ringSeat) uint32 {
	const full = 16 // datagrams of one socket in a row
	if p.lastSeat == slot {
		p.streak++
	} else {
		p.lastSeat, p.streak = slot, 0
	}
	if p.streak >= full {
		s.pile = pileFor
	}
	if s.pile == 0 || s.socket == nil {
		return 0
	}
	s.pile--
	l := &s.socket.link
	total, err := drops(l.fd)
	if err != nil {
		return 0
	}
	dropped := total - l.overflow
	l.overflow = total
	return dropped
}

// drops is how many datagrams a socket's full buffer lost.
func drops(fd int) (uint32, error) {
	const skMeminfoDrops = 8
	var info [skMeminfoDrops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	return info[skMeminfoDrops], nil
}

// rearm asks again for the datagrams of a socket, after the kernel stopped: no
// buffer was left, an empty datagram came, or one that was sent was refused
// (RFC 1122 §4.1.3.3). A socket that it does not receive from goes back to epoll.
func (p *epollPoller) rearm(slot int32, s *ringSeat, res int32) {
	switch res {
	case -int32(unix.ECANCELED):
		return
	case -int32(unix.ENOBUFS): // not before there are buffers again
		p.starved = append(p.starved, receiveKey(slot, s.turn))
		return
	}
	known := res >= 0
	for _, errno := range [...]unix.Errno{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EPROTO, unix.EMSGSIZE, unix.EACCES} {
		known = known || res == -int32(errno)
	}
	if known && p.ring.Receive(slot, receiveKey(slot, s.turn)) {
		return
	}
	at, socket := s.port, s.socket
	p.leaveSeat(socket)
	p.owed = append(p.owed, seat{port: at, socket: socket}) // what came before
	var err error
	if socket.link.slot, err = p.watch(socket.link.fd, seat{port: at, socket: socket, linked: true}); err != nil {
		// Nobody would hear the peer: without the link the first socket does.
		_ = unix.Close(socket.link.fd) // nothing was written to it that could be lost
		socket.link.fd, socket.link.peer = -1, netip.AddrPort{}
	}
}

// feed asks again for the datagrams of the sockets that there was no buffer for.
func (p *epollPoller) feed() {
	for _, key := range p.starved {
		slot := int32(key & seatMask)
		if s := &p.seats[slot]; s.port != nil && receiveKey(slot, s.turn) == key && !p.ring.Receive(slot, key) {
			p.rearm(slot, s, -int32(unix.EBUSY)) // to epoll
		}
	}
	p.starved = p.starved[:0]
}

// unsent deals with a datagram that was not sent. One whose error was that of an
// earlier one is sent again: it is still where it was.
func (p *epollPoller) unsent(c *uring.Result) {
	slot := int32(c.UserData & seatMask)
	s := &p.seats[slot]
	if c.Res >= 0 || s.port == nil {
		return
	}
	if c.Res == -int32(unix.ECONNREFUSED) {
		at, size := int(c.UserData>>seatBits)&(1<<placeBits-1), int(c.UserData>>sizeShift)&sizeMask
		p.sendNow(s.socket.link.fd, p.ring.At(at, size), 0, 0)
		return
	}
	p.refused++
}

// takeSeat lets the ring receive from a linked socket; false when it cannot.
func (p *epollPoller) takeSeat(s *epollSocket, at *port) bool {
	if p.ring == nil || p.ring.Enable() != nil {
		return false
	}
	slot := int32(len(p.seats))
	if n := len(p.freeSeats); n > 0 {
		slot = p.freeSeats[n-1]
		p.freeSeats = p.freeSeats[:n-1]
	} else if len(p.seats) == p.mostSeats {
		return false
	} else {
		p.seats = append(p.seats, ringSeat{})
	}
	r := &p.seats[slot]
	r.turn++
	if p.ring.SetFile(slot, int32(s.link.fd)) != nil || !p.ring.Receive(slot, receiveKey(slot, r.turn)) {
		p.freeSeats = append(p.freeSeats, slot)
		return false
	}
	r.port, r.socket, r.peer, r.pile = at, s, s.link.peer, s.link.pile
	s.link.seat = slot
	return true
}

// leaveSeat ends that. What came already and was not delivered is kept with the
// socket, see pay.
func (p *epollPoller) leaveSeat(s *epollSocket) {
	slot := s.link.seat
	if slot < 0 {
		return
	}
	r := &p.seats[slot]
	key := receiveKey(slot, r.turn)
	p.ring.Submit() // what is to be sent by this socket
	if err := p.ring.Cancel(key); err != nil {
		p.refused++ // it ends with the file, and its results are old then
	}
	p.ring.Waiting(func(c *uring.Result) {
		if c.UserData == key && c.Flags&uring.HasBuffer != 0 && c.Res > 0 {
			s.link.backlog = append(s.link.backlog, late{
				from: s.link.peer, data: slices.Clone(p.ring.Peek(c)), truncated: c.Res > datagramSize,
			})
		}
	})
	_ = p.ring.SetFile(slot, -1) // it fails only for a place that is empty
	s.link.pile = r.pile
	r.port, r.socket, r.peer = nil, nil, netip.AddrPort{}
	p.freeSeats = append(p.freeSeats, slot)
	s.link.seat = -1
}

// late is a datagram that was received on one poller and is delivered on another.
type late struct {
	from      netip.AddrPort
	data      []byte
	truncated bool
}

// pay delivers what the sockets that were attached brought with them.
func (p *epollPoller) pay(to sink) {
	for i := range p.owed {
		at := p.owed[i]
		p.owed[i] = seat{}
		if at.socket != nil {
			p.payOne(at.socket, at.port, to)
		}
	}
	p.owed = p.owed[:0]
}

func (p *epollPoller) payOne(s *epollSocket, at *port, to sink) {
	list := s.link.backlog
	s.link.backlog = nil
	for i := range list {
		p.single[0] = datagram{from: list[i].from, data: list[i].data, truncated: list[i].truncated}
		to.receive(at, p.single[:], 0)
	}
}

// withoutRing says why there is no ring although one was wanted.
func (p *epollPoller) withoutRing() error { return p.ringless }

// errNoRing says why a poller works without io_uring.
func errNoRing(err error) error {
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("the system has no io_uring for us (Linux 6.1 or later, and allowed): %w", err)
	}
	return err
}
