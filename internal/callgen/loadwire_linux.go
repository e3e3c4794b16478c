package callgen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBatch = 32
	// readSize is more than a packet of a load.
	readSize = 256
	// readTurns is in how many slots every socket is read once.
	readTurns = 4
	// mediaNice lets the thread of the media go before those of SIP where a real-time
	// priority, the lowest there is, is not allowed.
	mediaNice     = -10
	mediaPriority = 1
)

// loadConn is a pair of sockets that nobody waits for: who does not wait is not
// woken, and waking is paid by who sends, on loopback the server.
type loadConn struct {
	rtp, rtcp int
	addr      netip.AddrPort
}

func openLoadConn() (c loadConn, err error) {
	everywhere := netip.IPv4Unspecified()
	for range 100 {
		if c.rtp, c.addr, err = bound(netip.AddrPortFrom(everywhere, 0)); err != nil {
			return c, err
		}
		if c.addr.Port()%2 == 0 {
			if c.rtcp, _, err = bound(netip.AddrPortFrom(everywhere, c.addr.Port()+1)); err == nil {
				return c, c.prepare()
			}
		}
		if err := unix.Close(c.rtp); err != nil {
			return c, os.NewSyscallError("close", err)
		}
	}
	return c, errors.New("callgen: no two neighbouring UDP ports are free")
}

// host is the address of a leg, which the others at its socket do not have: all of
// 127.0.0.0/8 is this machine. So who looks only at where packets come from can
// tell the legs apart, as he could those of a trunk.
func (c *loadConn) host(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, hostNet, byte(n + 1)})
}

// hostNet is the third byte of the addresses of legs.
const hostNet = 1

func bound(addr netip.AddrPort) (fd int, at netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, at, fmt.Errorf("callgen: make a UDP socket: %w", err)
	}
	var name unix.Sockaddr
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		return -1, at, errors.Join(fmt.Errorf("callgen: bind %s: %w", addr, err), unix.Close(fd))
	}
	return fd, netip.AddrPortFrom(addr.Addr(), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// prepare sets the options. What comes to the RTCP port is not read: there is
// room for little, and the rest is dropped.
func (c *loadConn) prepare() error {
	err := unix.SetsockoptInt(c.rtp, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, loadBuffer)
	if err != nil { // not root: as much as everybody may have
		err = unix.SetsockoptInt(c.rtp, unix.SOL_SOCKET, unix.SO_RCVBUF, loadBuffer)
	}
	err = errors.Join(err,
		unix.SetsockoptInt(c.rtp, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(c.rtp, unix.IPPROTO_IP, unix.IP_PKTINFO, 1),
		unix.SetsockoptInt(c.rtcp, unix.SOL_SOCKET, unix.SO_RCVBUF, 0))
	if err != nil {
		return errors.Join(os.NewSyscallError("setsockopt", err), c.close())
	}
	return nil
}

func (c *loadConn) close() error {
	if c.rtp == 0 {
		return nil
	}
	err := errors.Join(unix.Close(c.rtp), unix.Close(c.rtcp))
	c.rtp = 0
	return os.NewSyscallError("close", err)
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // bytes received or sent
}

// sockaddr is struct sockaddr_in.
type sockaddr [unix.SizeofSockaddrInet4]byte

// hosted is the control message of IP_PKTINFO: which address a packet leaves from,
// or came to.
type hosted struct {
	header unix.Cmsghdr
	info   unix.Inet4Pktinfo
	_      [4]byte
}

// arrived are the control messages of a packet that came, in the order in which
// Linux writes them: SO_TIMESTAMPNS, IP_PKTINFO.
type arrived struct {
	header unix.Cmsghdr
	at     unix.Timespec
	to     hosted
}

// leg is which one of those at a socket the packet came to; -1 = none.
func (a *arrived) leg() int {
	ip := a.to.info.Addr
	if ip[0] != 127 || ip[1] != 0 || ip[2] != hostNet {
		return -1
	}
	return int(ip[3]) - 1
}

// loadWire is the memory of system calls. All of it is made once, and small enough to
// stay near.
type loadWire struct {
	out        [loadBatch]mmsghdr
	outVectors [loadBatch]unix.Iovec
	outNames   [loadBatch]sockaddr
	outHosts   [loadBatch]hosted
	packets    [loadBatch][packetSize]byte

	in        [readBatch]mmsghdr
	inVectors [readBatch]unix.Iovec
	inNames   [readBatch]sockaddr
	inTimes   [readBatch]arrived
	buffers   [readBatch][readSize]byte
}

func newLoadWire() *loadWire {
	w := new(loadWire)
	for i := range w.out {
		w.packets[i] = newPacket()
		w.outVectors[i].Base = &w.packets[i][0]
		w.outVectors[i].SetLen(packetSize)
		binary.NativeEndian.PutUint16(w.outNames[i][:], unix.AF_INET)
		h := &w.out[i].hdr
		h.Name, h.Namelen = &w.outNames[i][0], unix.SizeofSockaddrInet4
		h.Iov = &w.outVectors[i]
		h.SetIovlen(1)
		from := &w.outHosts[i]
		from.header.Level, from.header.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		from.header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		from.info.Spec_dst = [4]byte{127, 0, hostNet}
		h.Control = (*byte)(unsafe.Pointer(from))
		h.SetControllen(int(unsafe.Sizeof(*from)))
	}
	for i := range w.in {
		w.inVectors[i].Base = &w.buffers[i][0]
		w.inVectors[i].SetLen(readSize)
		h := &w.in[i].hdr
		h.Name = &w.inNames[i][0]
		h.Iov = &w.inVectors[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&w.inTimes[i]))
	}
	w.reset(readBatch)
	return w
}

// reset makes the first n headers ready again: the kernel overwrote the sizes.
func (w *loadWire) reset(n int) {
	for i := range w.in[:n] {
		h := &w.in[i].hdr
		h.Namelen = unix.SizeofSockaddrInet4
		h.SetControllen(int(unsafe.Sizeof(arrived{})))
	}
}

// run sends and hears until ctx ends. It has a thread of its own, which is gone
// with it: nobody else gets its priority.
func (m *loadMedia) run(ctx context.Context) error {
	runtime.LockOSThread()
	// Both are for a rhythm that is kept better; without the right to it, it is kept
	// worse, and LoadReport.Late says how badly.
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: mediaPriority, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if unix.SchedSetAttr(0, &first, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), mediaNice)
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	w := newLoadWire()
	m.start()
	for turn := 0; ctx.Err() == nil; turn++ {
		m.obey()
		m.sendDue(w)
		for i := turn % readTurns; i < len(m.sockets); i += readTurns {
			m.drain(w, int32(i))
		}
		now := m.clock()
		rest := unix.NsecToTimespec(int64(loadSlot - now%loadSlot))
		// When a signal ends it early, the slot is a little short. Raw: a thread that goes
		// first must not wait where the run-time could hold it.
		_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&rest)), 0, 0, 0)
	}
	for i := range m.sockets {
		m.drain(w, int32(i))
	}
	m.obey()
	return nil
}

// sendDue sends what is due.
func (m *loadMedia) sendDue(w *loadWire) {
	for left := m.due(); left > 0; {
		left -= m.send(w, min(left, loadBatch))
	}
}

// send sends the frames of up to n legs of one socket, and returns how many legs
// that were, with those that send nothing.
func (m *loadMedia) send(w *loadWire, n int) (legs int) {
	n = min(n, len(m.out)-m.next, legsPerSocket-m.next%legsPerSocket)
	fd := m.sockets[m.next/legsPerSocket].rtp
	count, at := 0, m.stampClock()
	for range n {
		if g := &m.out[m.next]; g.remote != 0 {
			g.frame(&w.packets[count], m.round, at)
			binary.BigEndian.PutUint16(w.outNames[count][2:], uint16(g.remote>>32))
			binary.BigEndian.PutUint32(w.outNames[count][4:], uint32(g.remote))
			w.outHosts[count].info.Spec_dst[3] = byte(m.next%legsPerSocket + 1)
			count++
		}
		m.step()
	}
	for i := 0; i < count; {
		// Raw: the socket does not block, and the scheduler need not know.
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&w.out[i])), uintptr(count-i), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			i++ // the first one is refused: it is lost, and counts as that
		default:
			i += int(r)
		}
	}
	return n
}

// drain hears all that has come to a socket.
func (m *loadMedia) drain(w *loadWire, socket int32) {
	fd := m.sockets[socket].rtp
	zero := m.zero.UnixNano()
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&w.in)), readBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return // nothing there
		}
		n := int(r)
		for i := range w.in[:n] {
			from := binary.BigEndian.Uint64(w.inNames[i][:8]) & (1<<48 - 1)
			at := time.Duration(w.inTimes[i].at.Nano() - zero)
			m.hear(place{socket, int32(w.inTimes[i].leg())}, w.buffers[i][:min(w.in[i].n, readSize)], from, at)
		}
		w.reset(n)
		if n < readBatch {
			return
		}
	}
}
