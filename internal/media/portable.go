package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// portableNetwork is the driver for systems without epoll: a goroutine per socket
// reads, and hands every datagram to the worker through a Go channel. It is
// slower, not different.
type portableNetwork struct{}

type portableSocket struct {
	conn *net.UDPConn
	stop chan struct{} // made by attach, closed by detach: the reader ends
	done chan struct{} // closed by the reader when it ended
	// unsent is what the reader had in hand when it was stopped.
	unsent *letter
	// backlog was read by the poller that the socket was detached from, and not
	// delivered yet: the next poller does it.
	backlog []*letter
}

func (portableNetwork) listen(addr netip.AddrPort, buffer int) (socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", addr, err)
	}
	if err := conn.SetReadBuffer(buffer); err != nil {
		return nil, errors.Join(fmt.Errorf("size the receive buffer of %s: %w", addr, err), conn.Close())
	}
	return &portableSocket{conn: conn}, nil
}

func (s *portableSocket) close() error { return s.conn.Close() }

// portablePoller collects what the readers of a worker's sockets bring.
type portablePoller struct {
	// inbox: readers send, nobody closes; when it is full, readers wait and the
	// sockets' buffers fill.
	inbox chan *letter
	// free: letters that readers may fill; readers and the worker put them back.
	// When it is empty, readers wait; when it is full, a letter is thrown away.
	free chan *letter
	// pending: letters that come before those of the inbox.
	pending []*letter
	// woken: wake sends, wait receives; when it is full, a wake is due already.
	woken   chan struct{}
	timer   *time.Timer
	refused int
	batch   [1]datagram
}

// letter is a datagram on its way from a reader to the worker.
type letter struct {
	port *port
	datagram
	buffer [datagramSize + 1]byte // one more, to see that a datagram was longer
}

func (portableNetwork) poller() (poller, error) {
	p := &portablePoller{
		inbox: make(chan *letter, 2*batchSize),
		free:  make(chan *letter, 2*batchSize),
		woken: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
	}
	for range cap(p.free) {
		p.free <- new(letter)
	}
	return p, nil
}

func (p *portablePoller) attach(s socket, to *port) error {
	ps := s.(*portableSocket)
	if err := ps.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("attach %s: %w", ps.conn.LocalAddr(), err)
	}
	p.pending = append(p.pending, ps.backlog...)
	ps.backlog = nil
	ps.stop, ps.done = make(chan struct{}), make(chan struct{})
	go p.read(ps, to)
	return nil
}

// detach stops the reader and waits for it, which takes microseconds.
func (p *portablePoller) detach(s socket) {
	ps := s.(*portableSocket)
	if ps.stop == nil {
		return
	}
	close(ps.stop)
	// A deadline in the past ends a read that waits. It fails only on a closed
	// socket, and there the read has ended already.
	_ = ps.conn.SetReadDeadline(time.Unix(1, 0))
	<-ps.done
	ps.stop = nil
	for range len(p.inbox) { // readers may add to it meanwhile: only what is there now
		p.pending = append(p.pending, <-p.inbox)
	}
	if ps.unsent != nil {
		p.pending = append(p.pending, ps.unsent)
		ps.unsent = nil
	}
	others := p.pending[:0]
	for _, l := range p.pending {
		if l.port.socket == s {
			ps.backlog = append(ps.backlog, l)
			p.release(new(letter))
		} else {
			others = append(others, l)
		}
	}
	p.pending = others
}

func (p *portablePoller) release(l *letter) {
	select {
	case p.free <- l:
	default:
	}
}

// read brings the datagrams of a socket until stop.
func (p *portablePoller) read(s *portableSocket, to *port) {
	defer close(s.done)
	for {
		var l *letter
		select {
		case l = <-p.free:
		case <-s.stop:
			return
		}
		n, from, err := s.conn.ReadFromUDPAddrPort(l.buffer[:])
		if err != nil {
			p.release(l)
			select {
			case <-s.stop:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // some systems report here that a datagram sent before was refused
		}
		l.port = to
		l.from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		l.data, l.truncated = l.buffer[:min(n, datagramSize)], n > datagramSize
		select {
		case p.inbox <- l:
		case <-s.stop:
			s.unsent = l
			return
		}
	}
}

func (p *portablePoller) wait(timeout time.Duration, to sink) error {
	for len(p.pending) > 0 {
		l := p.pending[0]
		p.pending = p.pending[1:]
		p.deliver(l, to)
	}
	var expired <-chan time.Time
	if timeout >= 0 {
		p.timer.Reset(timeout)
		expired = p.timer.C
	}
	select {
	case l := <-p.inbox:
		p.deliver(l, to)
	case <-p.woken:
	case <-expired:
	}
	p.timer.Stop()
	for range batchSize {
		select {
		case l := <-p.inbox:
			p.deliver(l, to)
		default:
			return nil
		}
	}
	return nil
}

func (p *portablePoller) deliver(l *letter, to sink) {
	defer p.release(l)
	p.batch[0] = l.datagram
	to.receive(l.port, p.batch[:], 0)
}

func (*portablePoller) urgent(bool) {}

func (*portablePoller) postpone(bool) {}

func (p *portablePoller) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *portablePoller) send(s socket, to netip.AddrPort, datagram []byte) {
	if _, err := s.(*portableSocket).conn.WriteToUDPAddrPort(datagram, to); err != nil {
		p.refused++
	}
}

func (p *portablePoller) flush() int {
	n := p.refused
	p.refused = 0
	return n
}

func (p *portablePoller) close() error {
	p.timer.Stop()
	return nil
}
