package media

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2). Go pads it as C does, because Msghdr
// holds pointers.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // bytes received or sent
}

// address is room for a sockaddr_in or sockaddr_in6.
type address [unix.SizeofSockaddrInet6]byte

// control is room for the one control message that we ask for, SO_RXQ_OVFL.
type control struct {
	header unix.Cmsghdr
	count  uint32
	_      [4]byte
}

// inbatch holds the buffers of one recvmmsg.
type inbatch struct {
	headers  [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]address
	controls [batchSize]control
	buffers  [batchSize][datagramSize]byte
	batch    [batchSize]datagram
}

func newInbatch() *inbatch {
	b := new(inbatch)
	for i := range b.headers {
		h := &b.headers[i].hdr
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].SetLen(datagramSize)
		h.Name = &b.names[i][0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&b.controls[i]))
	}
	b.reset(batchSize)
	return b
}

// reset makes the first n headers ready again: the kernel overwrote the sizes.
func (b *inbatch) reset(n int) {
	for i := range b.headers[:n] {
		h := &b.headers[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.Flags = 0
		h.SetControllen(int(unsafe.Sizeof(control{})))
	}
}

// read fills batch from a socket without waiting, and returns how many datagrams
// there were, and the kernel's count of packets lost by a full buffer, 0 = not
// told. An error of the socket counts as nothing to read: epoll tells again.
func (b *inbatch) read(fd int) (n int, overflow uint32) {
	// Raw: the socket does not block, and the scheduler need not know.
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers)), batchSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, 0
	}
	n = int(r)
	for i := range b.headers[:n] {
		h := &b.headers[i]
		b.batch[i] = datagram{
			from:      source(&b.names[i]),
			data:      b.buffers[i][:h.n],
			truncated: h.hdr.Flags&unix.MSG_TRUNC != 0,
		}
		if h.hdr.Controllen >= unix.SizeofCmsghdr+4 {
			c := &b.controls[i]
			if c.header.Level == unix.SOL_SOCKET && c.header.Type == unix.SO_RXQ_OVFL {
				overflow = c.count
			}
		}
	}
	b.reset(n)
	return n, overflow
}

// source reads a socket address. The port is in network order.
func source(a *address) netip.AddrPort {
	port := binary.BigEndian.Uint16(a[2:])
	if binary.NativeEndian.Uint16(a[:]) == unix.AF_INET6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[8:24])).Unmap(), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port)
}

// destination writes a socket address and returns its size.
func destination(a *address, six bool, to netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(a[2:], to.Port())
	if !six {
		binary.NativeEndian.PutUint16(a[:], unix.AF_INET)
		ip := to.Addr().As4()
		copy(a[4:8], ip[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(a[:], unix.AF_INET6)
	clear(a[4:8]) // flow information
	ip := to.Addr().As16()
	copy(a[8:24], ip[:])
	clear(a[24:28]) // scope
	return unix.SizeofSockaddrInet6
}
