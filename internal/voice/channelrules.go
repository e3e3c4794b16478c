package voice

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Codecs lists the codecs that a channel may name. L16 is used only where it is
// named: it takes four times the room of G.711.
func Codecs() []string { return []string{"opus", "G722", "PCMU", "PCMA", "L16"} }

// Faults returns what is wrong with a channel, by member as the API names it;
// nil when nothing is.
func (c *Channel) Faults() map[string][]string {
	faults := map[string][]string{}
	say := func(member, what string) {
		if what != "" {
			faults[member] = append(faults[member], what)
		}
	}
	if len(c.Name) > 100 {
		say("name", "must have 100 characters at most")
	}
	say("number", numberFault(c.Number))
	say("trunk.uri", trunkFault(c.Trunk.URI))
	for at, credential := range map[string]string{
		"trunk.username": c.Trunk.Username, "trunk.password": c.Trunk.Password,
		"inbound.username": c.Inbound.Username, "inbound.password": c.Inbound.Password,
	} {
		say(at, credentialFault(credential))
	}
	if c.Trunk.Password != "" && c.Trunk.Username == "" {
		say("trunk.username", "is required with a password")
	}
	if c.Inbound.Password != "" && c.Inbound.Username == "" {
		say("inbound.username", "is required with a password")
	}
	if c.Inbound.Username != "" && c.Inbound.Password == "" {
		say("inbound.password", "is required with a user name: an empty one lets in whoever knows the name")
	}
	for i, network := range c.Inbound.Sources {
		if !network.IsValid() || network != network.Masked() {
			say(fmt.Sprintf("inbound.sources.%d", i), "must be a network as 192.0.2.0/24")
		}
	}
	say("inbound.ringTimeout", ringTimeoutFault(c.Inbound.RingTimeout))
	flowFaults(c.Inbound.Flow, "inbound.callFlow", InboundKinds(), say)
	for i, codec := range c.Codecs {
		if !slices.Contains(Codecs(), codec) {
			say(fmt.Sprintf("codecs.%d", i), "must be one of "+strings.Join(Codecs(), ", "))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}

func ringTimeoutFault(seconds int) string {
	if seconds != 0 && (seconds < 3 || seconds > 120) {
		return "must be 3 to 120 seconds"
	}
	return ""
}

// numberFault: a number is the user part of a SIP URI (RFC 3261 §25.1) without
// what would have to be escaped.
func numberFault(number string) string {
	switch {
	case number == "":
		return "is required"
	case number == AnyNumber:
		return ""
	case len(number) > 64 || !only(number, "+#*._~!$'()-"):
		return "must be *, or 1 to 64 letters, digits and +#*._~!$'()-"
	}
	return ""
}

func credentialFault(s string) string {
	if len(s) > 128 {
		return "must have 128 characters at most"
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f || c == '"' || c == '\\' {
			return `must have no control character, no " and no \`
		}
	}
	return ""
}

// trunkFault: a trunk is a SIP URI without user, its parameters being the
// transport alone.
func trunkFault(uri string) string {
	const form = "must be sip:host or sip:host:port, with ;transport=udp or ;transport=tcp"
	rest, found := strings.CutPrefix(uri, "sip:")
	if uri == "" {
		return ""
	}
	at, transport, named := strings.Cut(rest, ";transport=")
	if !found || len(uri) > 256 || named && transport != "udp" && transport != "tcp" || !hostPort(at) {
		return form
	}
	return ""
}

// hostPort accepts a name, an IPv4 address or an IPv6 address in brackets, with
// or without a port (RFC 3261 §25.1, hostport).
func hostPort(s string) bool {
	host, port := s, ""
	if end := strings.LastIndexByte(s, ']'); end >= 0 {
		addr, err := netip.ParseAddr(strings.TrimPrefix(s[:end], "["))
		if err != nil || s[0] != '[' || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		host, port = "v6", s[end+1:]
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, port = s[:colon], s[colon:]
	}
	if port != "" {
		if _, err := netip.ParseAddrPort("192.0.2.1" + port); err != nil {
			return false
		}
	}
	return host != "" && len(host) <= 253 && only(host, ".-_")
}

// only reports whether s is of ASCII letters, digits, and what is in others.
func only(s, others string) bool {
	for _, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}
