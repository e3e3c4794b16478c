package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	gosip "github.com/emiago/sipgo/sip"
)

// The transports.
const (
	udp = "udp"
	tcp = "tcp"
)

// ErrTransport is wrapped by errors of sending: no address, no connection, no route.
var ErrTransport = errors.New("sip: message could not be sent")

// flow is a way to a peer: where a message came from, or where it goes.
type flow struct {
	network string
	at      netip.AddrPort
	conn    *conn // tcp only
}

// send writes one message. It does not block: UDP goes to the kernel, TCP to the
// connection's writer.
func (a *Agent) send(f flow, b []byte) error {
	a.m.sent(f.network)
	if f.network == tcp {
		return f.conn.send(b)
	}
	if _, err := a.udp.WriteToUDPAddrPort(b, f.at); err != nil {
		return fmt.Errorf("%w to %s over UDP: %w", ErrTransport, f.at, err)
	}
	return nil
}

// hop is the next place for a request: the host of a URI, resolved.
type hop struct {
	network string
	host    string
	port    int
	secure  bool
}

// hopOf reads where a request with this URI on top goes (RFC 3263 §4.1, without NAPTR).
// network is what to take when the URI does not say.
func hopOf(u *gosip.Uri, network string) hop {
	h := hop{network: network, host: strings.Trim(u.Host, "[]"), port: u.Port, secure: strings.EqualFold(u.Scheme, "sips")}
	if maddr := param(u.UriParams, "maddr"); maddr != "" {
		h.host = strings.Trim(maddr, "[]")
	}
	if t := param(u.UriParams, "transport"); t != "" {
		h.network = strings.ToLower(t)
	}
	return h
}

// resolve finds the addresses of a hop. It may wait for the name service.
func (a *Agent) resolve(ctx context.Context, h hop) ([]netip.AddrPort, error) {
	if h.secure || h.network != udp && h.network != tcp {
		return nil, fmt.Errorf("%w to %s: transport %q is not supported, use udp or tcp", ErrTransport, h.host, h.network)
	}
	port := uint16(5060) // RFC 3261 §19.1.2
	if h.port > 0 {
		port = uint16(h.port)
	}
	if ip, err := netip.ParseAddr(h.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), port)}, nil
	}
	if h.port <= 0 {
		// RFC 3263 §4.2: without a port the SRV records of the name count first.
		if out := a.lookupSRV(ctx, h); len(out) > 0 {
			return out, nil
		}
	}
	return a.lookupHost(ctx, h.host, port)
}

func (a *Agent) lookupSRV(ctx context.Context, h hop) []netip.AddrPort {
	var out []netip.AddrPort
	_, records, err := a.resolver.LookupSRV(ctx, "sip", h.network, h.host)
	if err != nil {
		return nil // no such records is the usual case; the host's own address is next
	}
	for _, r := range records {
		addrs, err := a.lookupHost(ctx, strings.TrimSuffix(r.Target, "."), r.Port)
		if err == nil {
			out = append(out, addrs...)
		}
	}
	return out
}

func (a *Agent) lookupHost(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	ips, err := a.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot resolve %q: %w", ErrTransport, host, err)
	}
	var out, other []netip.AddrPort
	for _, ip := range ips {
		ip = ip.Unmap()
		if ip.Is4() == a.addr.Addr().Is4() { // the family that our socket has
			out = append(out, netip.AddrPortFrom(ip, port))
			continue
		}
		other = append(other, netip.AddrPortFrom(ip, port))
	}
	return append(out, other...), nil
}

// reach finds a way to a hop: an address for UDP, a connection for TCP, an open one
// where there is one.
func (a *Agent) reach(ctx context.Context, h hop) (flow, error) {
	addrs, err := a.resolve(ctx, h)
	if err != nil {
		return flow{}, err
	}
	if h.network == udp {
		return flow{network: udp, at: addrs[0]}, nil
	}
	for _, at := range addrs {
		var c *conn
		if c, err = a.conns.dial(ctx, at); err == nil {
			return flow{network: tcp, at: at, conn: c}, nil
		}
	}
	return flow{}, err
}

// routes remembers which of our addresses the kernel sends from, by peer.
type routes struct {
	mu sync.Mutex
	m  map[netip.Addr]netip.Addr
}

// own is our address as the peer at the other end sees it in Via and Contact.
func (a *Agent) own(peer netip.Addr) netip.AddrPort {
	if !a.addr.Addr().IsUnspecified() {
		return a.addr
	}
	a.routes.mu.Lock()
	local, ok := a.routes.m[peer]
	a.routes.mu.Unlock()
	if !ok {
		local = routedFrom(peer)
		a.routes.mu.Lock()
		if a.routes.m == nil || len(a.routes.m) >= maxRoutes {
			a.routes.m = make(map[netip.Addr]netip.Addr) // strangers cannot make it grow
		}
		a.routes.m[peer] = local
		a.routes.mu.Unlock()
	}
	return netip.AddrPortFrom(local, a.addr.Port())
}

// routedFrom is the address that the kernel sends from to a peer. Connecting a UDP
// socket sends nothing.
func routedFrom(peer netip.Addr) netip.Addr {
	c, err := net.DialUDP(udp, nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 9)))
	if err != nil {
		return peer // no route: whatever stands there will not be reached
	}
	defer c.Close() //nolint:errcheck // it never sent anything
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return peer
	}
	return local.Addr().Unmap().WithZone("")
}
