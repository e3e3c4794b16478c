//go:build !linux

package media

import (
	"net/netip"
	"testing"
)

// boundTo is asked on Linux only: elsewhere the portable driver is the only one.
// systemNetworks are the drivers of this system beside the portable one.
func systemNetworks() map[string]network { return nil }

func boundTo(t testing.TB, _ socket) netip.AddrPort {
	t.Fatal("there is no other driver")
	return netip.AddrPort{}
}
