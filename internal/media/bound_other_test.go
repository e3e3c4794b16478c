//go:build !linux

package media

import (
	"net/netip"
	"testing"
)

// boundTo is asked on Linux only: elsewhere the portable driver is the only one.
func boundTo(t testing.TB, _ socket) netip.AddrPort {
	t.Fatal("there is no other driver")
	return netip.AddrPort{}
}
