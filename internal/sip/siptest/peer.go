package siptest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience is how long Expect waits for a message.
const Patience = 10 * time.Second

// Peer is a UDP socket or a TCP connection on the loopback interface.
type Peer struct {
	t     testing.TB
	udp   *net.UDPConn
	to    netip.AddrPort
	tcp   net.Conn
	lines *bufio.Reader
	local netip.AddrPort
}

// New makes a UDP peer that sends to the given address.
func New(t testing.TB, to netip.AddrPort) *Peer {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &Peer{t: t, udp: c, to: to, local: netip.MustParseAddrPort(c.LocalAddr().String())}
}

// Dial makes a TCP peer that is connected to the given address.
func Dial(t testing.TB, to netip.AddrPort) *Peer {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	return Conn(t, c)
}

// Conn makes a TCP peer of a connection, for example an accepted one.
func Conn(t testing.TB, c net.Conn) *Peer {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	return &Peer{t: t, tcp: c, lines: bufio.NewReader(c), local: netip.MustParseAddrPort(c.LocalAddr().String())}
}

// Addr is the peer's own address.
func (p *Peer) Addr() netip.AddrPort { return p.local }

// Close ends the peer before the test does.
func (p *Peer) Close() {
	if p.tcp != nil {
		_ = p.tcp.Close()
		return
	}
	_ = p.udp.Close()
}

// Send sends the text as it is.
func (p *Peer) Send(raw string) {
	p.t.Helper()
	var err error
	if p.tcp != nil {
		_, err = io.WriteString(p.tcp, raw)
	} else {
		_, err = p.udp.WriteToUDPAddrPort([]byte(raw), p.to)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// Receive gives the next message; false when none came in time.
func (p *Peer) Receive(wait time.Duration) (Message, bool) {
	p.t.Helper()
	deadline := time.Now().Add(wait)
	if p.tcp != nil {
		return p.receiveTCP(deadline)
	}
	if err := p.udp.SetReadDeadline(deadline); err != nil {
		p.t.Fatal(err)
	}
	buf := make([]byte, 65536)
	n, from, err := p.udp.ReadFromUDPAddrPort(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Message{}, false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.to = from
	return Parse(string(buf[:n])), true
}

func (p *Peer) receiveTCP(deadline time.Time) (Message, bool) {
	p.t.Helper()
	if err := p.tcp.SetReadDeadline(deadline); err != nil {
		p.t.Fatal(err)
	}
	var head strings.Builder
	length := 0
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			return Message{}, false // nothing in time, or the connection is closed
		}
		if head.Len() == 0 && line == "\r\n" {
			continue
		}
		head.WriteString(line)
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(p.lines, body); err != nil {
		return Message{}, false
	}
	return Parse(head.String() + string(body)), true
}

// Expect gives the next message that is wanted ("INVITE", "200", "200 BYE"); others that
// come before it are passed over. It fails the test when none comes.
func (p *Peer) Expect(want string) Message {
	p.t.Helper()
	deadline := time.Now().Add(Patience)
	var seen []string
	for {
		m, ok := p.Receive(time.Until(deadline))
		if !ok {
			p.t.Fatalf("no %s came; instead: %q", want, seen)
		}
		if m.Is(want) {
			return m
		}
		seen = append(seen, m.Start)
	}
}

// Quiet fails the test when a message comes within the time; for things that must not
// be sent.
func (p *Peer) Quiet(wait time.Duration) {
	p.t.Helper()
	if m, ok := p.Receive(wait); ok {
		p.t.Fatalf("an unexpected message: %s", m.Start)
	}
}
