package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

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
		netip.MustParsePrefix("3fff::/20"), // documentation, as 2001:db8::/32
		netip.MustParsePrefix("5f00::/16"), // segments of a network
		netip.MustParsePrefix("2002::/16"), // 6to4: may hold any IPv4 address
		netip.MustParsePrefix("fec0::/10"),
	}
}

// name reports what keeps a host, in lower case, from being a name. What ends in a
// number is none: some programs read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses
// (WHATWG URL, section 3.5), and so could what stands between us and the receiver.
func name(host string) error {
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return errors.New("its host has characters that are in no name: write other letters as xn--…")
		}
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
		return fmt.Errorf("its host %s is neither a name nor an address in its usual form", host)
	}
	return nil
}

// local reports whether a name, in lower case, is never one of the public internet:
// one without a dot, and those of names that are kept for local use.
func local(host string) bool {
	if !strings.Contains(host, ".") {
		return true
	}
	for _, end := range []string{".localhost", ".localdomain", ".local", ".internal", ".home.arpa"} {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}
