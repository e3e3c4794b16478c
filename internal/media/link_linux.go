package media

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// link is the second socket of a UDP port, connected to the peer. The kernel keeps
// the route of a connected socket and finds it faster, which saves an eighth of
// what a relayed packet costs. What others send still comes to the first socket,
// so a peer that moves is seen as without a link.
type link struct {
	fd     int            // -1 = none
	slot   int32          // in the poller's table; -1 = not there
	seat   int32          // in the poller's ring; -1 = not there
	peer   netip.AddrPort // whom it is connected to
	strays int32          // how many in a row went without the link, to the same address
	pile   int32          // reads to be made with care: there was more than one datagram
	last   uint64         // turn of the last read

	to       netip.AddrPort // where the datagrams go that do not use the link
	backlog  []late         // received by a poller that it was detached from
	overflow uint32
}

const (
	// linkAfter is how many datagrams go to the same peer before it is worth a link.
	linkAfter = 50
	// pileFor is how many reads go by in batches after datagrams had piled up. Only
	// they tell how many the buffer lost.
	pileFor = 64
)

// wants counts a datagram that goes to an address without the link, and says when
// it is time for one.
func (l *link) wants(to netip.AddrPort) bool {
	if l.to != to {
		l.to, l.strays = to, 0
	}
	l.strays++
	return l.strays%linkAfter == 0
}

// piles says whether datagrams pile up in the socket, which is read in the given
// turn: then it has been ready in the turn before, too.
func (l *link) piles(turn uint64) bool {
	if turn == l.last+1 {
		l.pile = pileFor
	}
	l.last = turn
	if l.pile == 0 {
		return false
	}
	l.pile--
	return true
}

var errDetached = errors.New("media: the port is not watched any more")

// makeLinks connects the ports that have found their peers. A port that cannot be
// linked works as before.
func (p *epollPoller) makeLinks(to sink) {
	if len(p.wanted) == 0 {
		return
	}
	list := p.wanted
	p.wanted = p.making[:0] // what is read meanwhile may let others want a link
	for i := range list {
		if s := list[i].socket; s != nil && s.slot >= 0 {
			p.makeLink(s, list[i].port, to)
		}
		list[i] = seat{}
	}
	p.making = list
}

func (p *epollPoller) makeLink(s *epollSocket, at *port, to sink) {
	l := &s.link
	if l.fd < 0 {
		fd, err := s.openBeside()
		if err != nil {
			return
		}
		l.fd = fd
	}
	p.leaveSeat(s)
	p.payOne(s, at, to) // of the former peer
	err := connect(l.fd, s.six, l.to)
	// Until it was connected the link heard everybody, or the former peer: what came
	// then is read with the addresses that it came from. And what the first socket
	// has is older than all that the link will get.
	l.peer, l.pile = netip.AddrPort{}, pileFor
	for p.receiveBatch(s.fd, at, &s.overflow, to) > 0 {
	}
	for p.receiveBatch(l.fd, at, &l.overflow, to) > 0 {
	}
	if s.slot < 0 { // the leg has ended by what it read
		err = errDetached
	}
	if err == nil {
		l.peer, l.strays = l.to, 0
		if l.slot < 0 && !p.takeSeat(s, at) {
			l.slot, err = p.watch(l.fd, seat{port: at, socket: s, linked: true})
		}
	}
	if err != nil {
		if l.slot >= 0 {
			p.forget(l.fd, &l.slot)
		}
		_ = unix.Close(l.fd) // nothing was written to it that could be lost
		l.fd, l.peer = -1, netip.AddrPort{}
	}
}

// openBeside binds a second socket to the port. The port is shared for that moment
// only: no other program can slip in afterwards.
func (s *epollSocket) openBeside() (int, error) {
	if err := share(s.fd, true); err != nil {
		return -1, err
	}
	fd, err := s.open(true)
	if err == nil {
		err = share(fd, false)
	}
	err = errors.Join(err, share(s.fd, false))
	if err != nil && fd >= 0 {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, err
}

func share(fd int, on bool) error {
	value := 0
	if on {
		value = 1
	}
	return os.NewSyscallError("setsockopt SO_REUSEADDR", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, value))
}

func connect(fd int, six bool, to netip.AddrPort) error {
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}
	if six {
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	return os.NewSyscallError("connect", unix.Connect(fd, sa))
}
