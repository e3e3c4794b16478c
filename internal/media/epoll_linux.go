package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tapedeck/internal/media/uring"
)

// epollNetwork is the driver for Linux: raw non-blocking sockets, epoll, and one
// system call a packet. Packets of a call come one by one, every 20 ms on a socket
// of their own, so that there is nothing to gather: recvfrom and sendto cost less
// than recvmmsg and sendmmsg of one.
//
// With ring, pollers use io_uring where the system has it (uring_linux.go).
type epollNetwork struct{ ring bool }

// epollSocket is a UDP port: a socket that hears everybody and, once it is clear
// whom the leg talks to, a second one on the same port that is connected to the
// peer (link_linux.go). The kernel gives what the peer sends to the connected one, what
// others send to the first.
type epollSocket struct {
	link link // first: what a relayed packet needs of it is one cache line

	fd   int
	addr netip.AddrPort // as bound
	size int            // of the receive buffer

	slot     int32  // in the poller's table while attached
	overflow uint32 // packets that the full buffer lost, as counted by the kernel
	six      bool   // AF_INET6
	media    bool   // worth a link: attached as the RTP port
	shared   bool   // many legs use it: it has no link, and sends in batches
}

func (epollNetwork) listen(addr netip.AddrPort, buffer int) (socket, error) {
	s := &epollSocket{fd: -1, addr: addr, six: addr.Addr().Is6(), slot: -1, size: buffer, shared: buffer == sharedBuffer, link: link{fd: -1, slot: -1, seat: -1}}
	fd, err := s.open(false)
	if err != nil {
		return nil, err
	}
	s.fd = fd
	if addr.Port() == 0 { // the system chose: a link has to be bound to the same
		if s.addr, err = boundAddr(fd); err != nil {
			return nil, errors.Join(fmt.Errorf("bind %s: %w", addr, err), unix.Close(fd))
		}
	}
	return s, nil
}

// open makes a socket that is bound to the address of s. Shared: it may be bound
// beside another one.
func (s *epollSocket) open(shared bool) (fd int, err error) {
	family := unix.AF_INET
	if s.six {
		family = unix.AF_INET6
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("make a UDP socket for %s: %w", s.addr, err)
	}
	if shared {
		err = share(fd, true)
	}
	if err == nil {
		err = prepare(fd, s.six, s.addr, s.size)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("bind %s: %w", s.addr, err), unix.Close(fd))
	}
	return fd, nil
}

func boundAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("getsockname: a socket of family %T", sa)
}

// expedited is the traffic class of telephony, DSCP EF (RFC 4594 §4.1).
const expedited = 46 << 2

func prepare(fd int, six bool, addr netip.AddrPort, buffer int) error {
	// More than others may have is for who has the right to it.
	if buffer <= mediaBuffer || unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
			return os.NewSyscallError("setsockopt SO_RCVBUF", err)
		}
	}
	// From then on recvmmsg tells how many packets the buffer had no room for.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_RXQ_OVFL", err)
	}
	level, class := unix.IPPROTO_IP, unix.IP_TOS
	if six {
		level, class = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		only := 1
		if addr.Addr().IsUnspecified() {
			only = 0 // "::" takes IPv4 too
		}
		if err := unix.SetsockoptInt(fd, level, unix.IPV6_V6ONLY, only); err != nil {
			return os.NewSyscallError("setsockopt IPV6_V6ONLY", err)
		}
	}
	if err := unix.SetsockoptInt(fd, level, class, expedited); err != nil {
		return os.NewSyscallError("setsockopt traffic class", err)
	}
	var sa unix.Sockaddr
	if six {
		sa = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	} else {
		sa = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

func (s *epollSocket) close() error {
	err := os.NewSyscallError("close", unix.Close(s.fd))
	if s.link.fd >= 0 {
		err = errors.Join(err, os.NewSyscallError("close", unix.Close(s.link.fd)))
	}
	return err
}

// seat is a place in the table of a poller: a descriptor that is watched.
type seat struct {
	port   *port
	socket *epollSocket
	linked bool // the descriptor is the connected one
}

// epollPoller is the door of one worker. All its buffers are made once.
type epollPoller struct {
	fd     int
	signal *os.File // eventfd; an os.File so that wake and close cannot race
	bell   int      // its descriptor, for reading

	// table finds the port of an event. An event of a socket that was detached in
	// the meantime finds an empty place, or a socket that simply has nothing to read.
	table []seat
	empty []int32 // free places of table

	turns   uint64 // how often wait was called
	busy    bool   // the last wait brought datagrams
	first   bool   // the thread goes before all others: see poller.urgent
	wanted  []seat // ports that are to be linked before the next wait,
	making  []seat // room for the next such list
	refused int    // datagrams that the system did not take

	postponed bool // but not as long as this holds: see poller.postpone

	ring      *uring.Ring // nil = there is none, and this is why:
	ringless  error
	seats     []ringSeat
	freeSeats []int32
	mostSeats int
	starved   []uint64 // keys of seats that wait for a buffer
	watching  bool     // the ring tells when epoll has something
	owed      []seat   // sockets whose backlog is to be delivered
	lastSeat  int32    // which seat the last datagram was of
	streak    int      // how many in a row were of it

	events [maxEvents]unix.EpollEvent
	ready  [maxEvents]*port // whose datagrams will be taken
	in     *inbatch
	name   address // of where a datagram goes
	single [1]datagram
	out    *outbatch
	buffer [datagramSize]byte
}

// longestRaw is how long a busy poller waits without telling the run-time: that long a
// garbage collection may have to wait for its signal.
const longestRaw = 5 * time.Millisecond

// bellSlot stands in an event for the eventfd.
const bellSlot = -1

func (n epollNetwork) poller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Blocking, so that the runtime leaves it alone: it is read only when epoll says
	// that there is something, and a write never waits.
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(fd))
	}
	p := &epollPoller{fd: fd, bell: bell, signal: os.NewFile(uintptr(bell), "eventfd"), in: newInbatch(), out: newOutbatch()}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: bellSlot}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, bell, &event); err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), p.close())
	}
	if n.ring {
		p.mostSeats = ringSeats()
		if p.ring, p.ringless = uring.New(p.mostSeats); p.ringless != nil {
			p.ring, p.ringless = nil, errNoRing(p.ringless)
		}
	}
	return p, nil
}

func (p *epollPoller) attach(s socket, to *port) (err error) {
	es := s.(*epollSocket)
	es.media = !to.control
	if es.slot, err = p.watch(es.fd, seat{port: to, socket: es}); err != nil {
		return fmt.Errorf("watch UDP port %d: %w", to.number, err)
	}
	if es.link.fd < 0 {
		return nil
	}
	if len(es.link.backlog) > 0 {
		p.owed = append(p.owed, seat{port: to, socket: es})
	}
	if p.takeSeat(es, to) {
		return nil
	}
	if es.link.slot, err = p.watch(es.link.fd, seat{port: to, socket: es, linked: true}); err != nil {
		p.forget(es.fd, &es.slot)
		return fmt.Errorf("watch UDP port %d: %w", to.number, err)
	}
	return nil
}

// watch adds a descriptor to the table. Its events come level-triggered: what a
// turn leaves in a socket is told again, and no call is needed to see that it is empty.
func (p *epollPoller) watch(fd int, at seat) (slot int32, err error) {
	if n := len(p.empty); n > 0 {
		slot = p.empty[n-1]
		p.empty = p.empty[:n-1]
	} else {
		slot = int32(len(p.table))
		p.table = append(p.table, seat{})
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: slot}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		p.empty = append(p.empty, slot)
		return -1, os.NewSyscallError("epoll_ctl", err)
	}
	p.table[slot] = at
	return slot, nil
}

func (p *epollPoller) forget(fd int, slot *int32) {
	// It fails only for a descriptor that is not watched: then there is nothing to do.
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
	p.table[*slot] = seat{}
	p.empty = append(p.empty, *slot)
	*slot = -1
}

func (p *epollPoller) detach(s socket) {
	es := s.(*epollSocket)
	if es.slot < 0 || int(es.slot) >= len(p.table) || p.table[es.slot].socket != es {
		return
	}
	p.forget(es.fd, &es.slot)
	if es.link.slot >= 0 {
		p.forget(es.link.fd, &es.link.slot)
	}
	p.leaveSeat(es)
	for _, list := range [][]seat{p.wanted, p.owed} {
		for i := range list {
			if list[i].socket == es {
				list[i] = seat{}
			}
		}
	}
}

func (p *epollPoller) wait(timeout time.Duration, to sink) error {
	p.turns++
	p.pay(to)
	if !p.postponed {
		p.makeLinks(to)
	}
	if p.ring != nil {
		return p.waitRing(timeout, to)
	}
	return p.serve(timeout, to)
}

// serve waits for events of epoll and hands over what they tell of.
func (p *epollPoller) serve(timeout time.Duration, to sink) error {
	n, err := p.pending(timeout)
	if err != nil {
		return err
	}
	ready := p.ready[:0]
	for i := range p.events[:n] {
		if slot := p.events[i].Fd; slot != bellSlot && p.table[slot].port != nil {
			ready = append(ready, p.table[slot].port)
		}
	}
	to.soon(ready)
	for i := range p.events[:n] {
		slot := p.events[i].Fd
		if slot == bellSlot {
			var counter uint64
			// Raw, as the wait is: see poller.urgent.
			_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.bell), uintptr(unsafe.Pointer(&counter)), unsafe.Sizeof(counter))
			if errno != 0 && errno != unix.EINTR {
				return os.NewSyscallError("read eventfd", errno)
			}
			continue
		}
		if at := &p.table[slot]; at.port != nil {
			p.busy = true
			p.receive(at, to)
		}
	}
	return nil
}

// pending waits for events and returns how many there are.
func (p *epollPoller) pending(timeout time.Duration) (int, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	if p.busy || p.first || timeout == 0 {
		// Packets come: the next ones are a moment away. Raw, so that the scheduler of
		// the run-time does not take the processor away from this thread and give it
		// back for each of them. It can still stop the thread: by a signal, which ends
		// the call.
		if most := int(longestRaw / time.Millisecond); ms < 0 || ms > most {
			ms = most
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), maxEvents, uintptr(ms), 0, 0)
		if errno != 0 {
			n = 0 // a signal; another error comes again below
		}
		if n == 0 && timeout != 0 {
			p.busy = false
		}
		return int(n), nil
	}
	n, err := unix.EpollWait(p.fd, p.events[:], ms)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return 0, os.NewSyscallError("epoll_wait", err)
	}
	return n, nil
}

// receive takes what a socket has: of a linked one a datagram, which is all there
// is when the peer is in time. When there is more, epoll says so again, after the
// other sockets had their turn.
func (p *epollPoller) receive(at *seat, to sink) {
	s := at.socket
	if !at.linked {
		p.receiveBatch(s.fd, at.port, &s.overflow, to)
		return
	}
	if s.link.piles(p.turns) {
		p.receiveBatch(s.link.fd, at.port, &s.link.overflow, to)
		return
	}
	// MSG_TRUNC: the length that it had, although no more is read than fits.
	// Raw: the socket does not block, and the scheduler need not know.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.link.fd), uintptr(unsafe.Pointer(&p.buffer)), datagramSize,
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return // nothing, or what became of a datagram that was sent (RFC 1122 §4.1.3.3)
	}
	p.single[0] = datagram{from: s.link.peer, data: p.buffer[:min(int(n), datagramSize)], truncated: n > datagramSize}
	to.receive(at.port, p.single[:], 0)
}

// receiveBatch takes up to batchSize datagrams with their addresses, and returns
// how many there were.
func (p *epollPoller) receiveBatch(fd int, at *port, overflow *uint32, to sink) int {
	n, total := p.in.read(fd)
	if n == 0 {
		return 0
	}
	dropped := uint32(0)
	if total != 0 {
		dropped = total - *overflow
		*overflow = total
	}
	to.receive(at, p.in.batch[:n], dropped)
	return n
}

func (p *epollPoller) urgent(on bool) { p.first = on }

func (p *epollPoller) postpone(on bool) { p.postponed = on }

func (p *epollPoller) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// It fails only when the poller is closed, and then nobody has to wake.
	_, _ = p.signal.Write(one[:])
}

// send sends at once. A datagram that the system does not take (buffer full, no
// route) is lost, as it would be in the network.
func (p *epollPoller) send(s socket, to netip.AddrPort, datagram []byte) {
	if len(datagram) == 0 {
		return
	}
	es := s.(*epollSocket)
	if es.shared && p.in.holds(datagram) {
		p.post(es, to, datagram)
		return
	}
	fd, name, size := es.fd, uintptr(0), uintptr(0)
	if l := &es.link; l.fd >= 0 && l.peer == to {
		fd = l.fd
		if l.strays != 0 {
			l.strays = 0
		}
		if l.seat >= 0 {
			if at, ok := p.ring.Holds(datagram); ok && p.ring.Send(l.seat, datagram, sendKey(l.seat, at, len(datagram))) {
				return
			}
		}
	} else {
		name, size = uintptr(unsafe.Pointer(&p.name)), uintptr(destination(&p.name, es.six, to))
		if es.shared {
			p.deliver() // nothing overtakes what was relayed before
		} else if es.media && l.wants(to) {
			p.wanted = append(p.wanted, seat{port: p.table[es.slot].port, socket: es})
		}
	}
	if p.ring != nil {
		p.ring.Submit() // nothing overtakes what was relayed before
	}
	p.sendNow(fd, datagram, name, size)
}

// sendNow sends to an address, or to whom the socket is connected.
func (p *epollPoller) sendNow(fd int, datagram []byte, name, size uintptr) {
	for tries := 0; ; tries++ {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&datagram[0])), uintptr(len(datagram)),
			unix.MSG_DONTWAIT, name, size)
		switch {
		case errno == 0:
			return
		case tries == 0 && (errno == unix.ECONNREFUSED || errno == unix.EINTR):
			// What became of an earlier datagram was told instead; this one is not sent yet.
		default:
			p.refused++
			return
		}
	}
}

func (p *epollPoller) flush() int {
	p.deliver()
	n := p.refused
	p.refused = 0
	return n
}

func (p *epollPoller) close() error {
	var err error
	if p.ring != nil {
		err = p.ring.Close()
		p.ring = nil
	}
	return errors.Join(err, os.NewSyscallError("close epoll", unix.Close(p.fd)), p.signal.Close())
}
