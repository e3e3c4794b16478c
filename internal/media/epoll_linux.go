package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// epollNetwork is the driver for Linux: raw non-blocking sockets, epoll, and
// recvmmsg and sendmmsg in batches.
type epollNetwork struct{}

type epollSocket struct {
	fd       int
	six      bool   // AF_INET6
	slot     int32  // in the poller's table while attached
	overflow uint32 // packets that the full buffer lost, as counted by the kernel
}

func (epollNetwork) listen(addr netip.AddrPort, buffer int) (socket, error) {
	six := addr.Addr().Is6()
	family := unix.AF_INET
	if six {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a UDP socket for %s: %w", addr, err)
	}
	if err := prepare(fd, six, addr, buffer); err != nil {
		return nil, errors.Join(fmt.Errorf("bind %s: %w", addr, err), unix.Close(fd))
	}
	return &epollSocket{fd: fd, six: six}, nil
}

// expedited is the traffic class of telephony, DSCP EF (RFC 4594 §4.1).
const expedited = 46 << 2

func prepare(fd int, six bool, addr netip.AddrPort, buffer int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
		return os.NewSyscallError("setsockopt SO_RCVBUF", err)
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

func (s *epollSocket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// epollPoller is the door of one worker. All its buffers are made once.
type epollPoller struct {
	fd     int
	signal *os.File // eventfd; an os.File so that wake and close cannot race
	bell   int      // its descriptor, for reading

	// table finds the port of an event. An event of a socket that was detached in
	// the meantime finds an empty place, or a socket that simply has nothing to read.
	table []*port
	empty []int32 // free places of table

	events [64]unix.EpollEvent
	in     *inbatch
	out    *outbatch
}

// bellSlot stands in an event for the eventfd.
const bellSlot = -1

func (epollNetwork) poller() (poller, error) {
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
	return p, nil
}

func (p *epollPoller) attach(s socket, to *port) error {
	es := s.(*epollSocket)
	if n := len(p.empty); n > 0 {
		es.slot = p.empty[n-1]
		p.empty = p.empty[:n-1]
	} else {
		es.slot = int32(len(p.table))
		p.table = append(p.table, nil)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: es.slot}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, es.fd, &event); err != nil {
		p.empty = append(p.empty, es.slot)
		return fmt.Errorf("watch UDP port %d: %w", to.number, os.NewSyscallError("epoll_ctl", err))
	}
	p.table[es.slot] = to
	return nil
}

func (p *epollPoller) detach(s socket) {
	es := s.(*epollSocket)
	if int(es.slot) >= len(p.table) || p.table[es.slot] == nil || p.table[es.slot].socket != s {
		return
	}
	// It fails only for a descriptor that is not watched: then there is nothing to do.
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, es.fd, nil)
	p.table[es.slot] = nil
	p.empty = append(p.empty, es.slot)
}

func (p *epollPoller) wait(timeout time.Duration, to sink) error {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(p.fd, p.events[:], ms)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return os.NewSyscallError("epoll_wait", err)
	}
	for i := range p.events[:n] {
		slot := p.events[i].Fd
		if slot == bellSlot {
			var counter [8]byte
			if _, err := unix.Read(p.bell, counter[:]); err != nil && !errors.Is(err, unix.EINTR) {
				return os.NewSyscallError("read eventfd", err)
			}
			continue
		}
		if target := p.table[slot]; target != nil {
			p.receive(target, to)
		}
	}
	return nil
}

// receive takes one batch from a socket. When there is more, epoll says so again,
// after the other sockets had their turn.
func (p *epollPoller) receive(from *port, to sink) {
	es := from.socket.(*epollSocket)
	n, overflow := p.in.read(es.fd)
	if n == 0 {
		return
	}
	dropped := uint32(0)
	if overflow != 0 {
		dropped = overflow - es.overflow
		es.overflow = overflow
	}
	to(from, p.in.batch[:n], dropped)
}

func (p *epollPoller) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// It fails only when the poller is closed, and then nobody has to wake.
	_, _ = p.signal.Write(one[:])
}

func (p *epollPoller) send(s socket, to netip.AddrPort, datagram []byte) {
	es := s.(*epollSocket)
	p.out.add(es.fd, es.six, to, datagram)
}

func (p *epollPoller) flush() int { return p.out.flush() }

func (p *epollPoller) close() error {
	return errors.Join(os.NewSyscallError("close epoll", unix.Close(p.fd)), p.signal.Close())
}
