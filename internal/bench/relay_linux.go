package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Relay is the wall: the least that a server in Go, with a socket a leg, can do
// for a call. It reads where the legs of all calls hear, from a JSON array of
// pairs, binds a socket for each leg, connected to it, writes their addresses in
// the same shape, and then, in one thread, waits by epoll, reads a packet and
// sends it from the socket of the other leg, until its input ends. It looks at
// nothing, keeps nothing, counts nothing, and never collects garbage.
func Relay(in *os.File, out io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var legs [][2]netip.AddrPort
	if err := json.NewDecoder(in).Decode(&legs); err != nil {
		return fmt.Errorf("bench: read the legs of the relay: %w", err)
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	fds := make([]int, 0, 2*len(legs))
	defer func() {
		for _, fd := range append(fds, poll) {
			_ = unix.Close(fd) // the process ends
		}
	}()
	here := make([][2]netip.AddrPort, len(legs))
	for i, call := range legs {
		for leg, peer := range call {
			fd, at, err := relaySocket(peer)
			if err != nil {
				return err
			}
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(fds))}
			fds, here[i][leg] = append(fds, fd), at
			if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
				return os.NewSyscallError("epoll_ctl", err)
			}
		}
	}
	// Its input is a pipe; when the other end is closed, epoll tells.
	event := unix.EpollEvent{Fd: int32(len(fds))}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, int(in.Fd()), &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if err := json.NewEncoder(out).Encode(here); err != nil {
		return err
	}
	return relay(poll, fds)
}

// relay is the loop. Leg i and leg i^1 are one call.
func relay(poll int, fds []int) error {
	var events [256]unix.EpollEvent
	var packet [2048]byte
	for {
		n, err := unix.EpollWait(poll, events[:], -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:n] {
			if int(e.Fd) == len(fds) {
				return nil
			}
			// Raw: neither blocks.
			size, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fds[e.Fd]), uintptr(unsafe.Pointer(&packet)), uintptr(len(packet)), unix.MSG_DONTWAIT, 0, 0)
			if errno != 0 {
				continue
			}
			// A packet that is refused is lost, and the far end counts it.
			_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fds[e.Fd^1]), uintptr(unsafe.Pointer(&packet)), size, unix.MSG_DONTWAIT, 0, 0)
		}
	}
}

// relaySocket makes a socket that is connected to a leg, so that the kernel finds
// the way once, and not for each packet.
func relaySocket(peer netip.AddrPort) (fd int, at netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, at, fmt.Errorf("bench: make a UDP socket: %w", err)
	}
	var name unix.Sockaddr
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: peer.Addr().As4()})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: peer.Addr().As4(), Port: int(peer.Port())})
	}
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		return -1, at, errors.Join(fmt.Errorf("bench: a socket to %s: %w", peer, err), unix.Close(fd))
	}
	return fd, netip.AddrPortFrom(peer.Addr(), uint16(name.(*unix.SockaddrInet4).Port)), nil
}
