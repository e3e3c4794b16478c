package dispatch

import (
	"net/netip"
	"testing"

	"tapedeck/internal/voice"
)

func TestMayCall(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		name string
		in   voice.Inbound
		from string
		want bool
	}{
		{"neither: loopback", voice.Inbound{}, "127.0.0.1", true},
		{"neither: loopback, mapped", voice.Inbound{}, "::ffff:127.0.0.1", true},
		{"neither: elsewhere", voice.Inbound{}, "192.0.2.1", false},
		{"networks: inside", voice.Inbound{Sources: networks}, "192.0.2.77", true},
		{"networks: inside, mapped", voice.Inbound{Sources: networks}, "::ffff:192.0.2.77", true},
		{"networks: IPv6", voice.Inbound{Sources: networks}, "2001:db8::1", true},
		{"networks: outside", voice.Inbound{Sources: networks}, "198.51.100.1", false},
		{"networks: loopback is not among them", voice.Inbound{Sources: networks}, "127.0.0.1", false},
		{"user: digest decides", voice.Inbound{Username: "u"}, "198.51.100.1", true},
		{"user and networks: both must hold", voice.Inbound{Username: "u", Sources: networks}, "198.51.100.1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mayCall(&c.in, netip.MustParseAddr(c.from)); got != c.want {
				t.Fatalf("mayCall(%s) = %v, want %v", c.from, got, c.want)
			}
		})
	}
}
