package fetch

import "net/netip"

// Public reports whether an address is of the public internet: not this host, not
// a private or local network, and nothing that stands for one of these (RFC 6890
// §2.2, RFC 4193, RFC 6598).
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(a) {
			return false
		}
	}
	if b := a.As16(); a.Is6() && b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b {
		// RFC 6052 §2.1: an IPv4 address behind a translator.
		return Public(netip.AddrFrom4([4]byte(b[12:16])))
	}
	return true
}

func notPublic() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // of carriers
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"), // local translators
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"), // with Teredo
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), // 6to4: may hold any IPv4 address
		netip.MustParsePrefix("fec0::/10"),
	}
}
