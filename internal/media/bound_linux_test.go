package media

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// boundTo is the address that a socket of this system's driver is bound to.
// systemNetworks are the drivers of this system beside the portable one.
func systemNetworks() map[string]network {
	return map[string]network{"epoll": epollNetwork{}, "io_uring": epollNetwork{ring: true}}
}

func boundTo(t testing.TB, s socket) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(s.(*epollSocket).fd)
	if err != nil {
		t.Fatal(err)
	}
	in := sa.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
}
