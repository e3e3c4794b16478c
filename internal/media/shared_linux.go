package media

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// room is how many bytes the receive buffer holds; Linux counts what it needs itself
// among them.
func (s *epollSocket) room() int {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return n
}

// post queues a datagram of a shared port, which lies in the batch that is being read.
func (p *epollPoller) post(s *epollSocket, to netip.AddrPort, datagram []byte) {
	if p.out.fd != s.fd {
		p.deliver()
		p.out.fd = s.fd
	}
	if !p.out.add(datagram, s.six, to) {
		p.deliver()
		p.out.add(datagram, s.six, to)
	}
}

// deliver sends what is queued.
func (p *epollPoller) deliver() {
	if p.out.n > 0 {
		p.refused += p.out.send()
	}
}

// holds says whether bytes are of a datagram of the batch.
func (b *inbatch) holds(datagram []byte) bool {
	at := uintptr(unsafe.Pointer(&datagram[0])) - uintptr(unsafe.Pointer(&b.buffers))
	return at < unsafe.Sizeof(b.buffers)
}

// outbatch holds what is to be sent by one socket, by one sendmmsg. The bytes stay
// where they are, with the batch that they were received in.
type outbatch struct {
	fd, n   int
	headers [batchSize]mmsghdr
	vectors [batchSize]unix.Iovec
	names   [batchSize]address
}

func newOutbatch() *outbatch {
	b := new(outbatch)
	for i := range b.headers {
		h := &b.headers[i].hdr
		h.Name = &b.names[i][0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// add takes a datagram; false when there is no room.
func (b *outbatch) add(datagram []byte, six bool, to netip.AddrPort) bool {
	if b.n == batchSize {
		return false
	}
	b.vectors[b.n].Base = &datagram[0]
	b.vectors[b.n].SetLen(len(datagram))
	b.headers[b.n].hdr.Namelen = destination(&b.names[b.n], six, to)
	b.n++
	return true
}

// send sends everything, and returns how many datagrams the system did not take.
func (b *outbatch) send() (refused int) {
	for at := 0; at < b.n; {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.headers[at])), uintptr(b.n-at), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			at++ // the first one: it is lost, as it would be in the network
			refused++
		default:
			at += int(r)
		}
	}
	b.n = 0
	return refused
}
