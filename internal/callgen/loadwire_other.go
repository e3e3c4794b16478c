//go:build !linux

package callgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// loadConn is a pair of sockets.
type loadConn struct {
	rtp, rtcp *net.UDPConn
	addr      netip.AddrPort
}

func openLoadConn() (c loadConn, err error) {
	if c.rtp, c.rtcp, err = pair(netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
		return c, err
	}
	c.addr = addrOf(c.rtp)
	if err := c.rtp.SetReadBuffer(loadBuffer); err != nil {
		return c, errors.Join(fmt.Errorf("callgen: receive buffer: %w", err), c.close())
	}
	return c, nil
}

// host is the address of a leg: the same for all at a socket.
func (c *loadConn) host(int) netip.Addr { return c.addr.Addr() }

func (c *loadConn) close() error {
	var errs []error
	for _, s := range []*net.UDPConn{c.rtp, c.rtcp} {
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// run sends and hears until ctx ends: one goroutine that sends, one for each
// socket that hears, and a lock around all state. It is portable, and slower than
// that of Linux; a packet has come when a goroutine was woken for it.
func (m *loadMedia) run(ctx context.Context) error {
	var owner sync.Mutex
	var readers sync.WaitGroup
	for i := range m.sockets {
		readers.Go(func() { m.read(ctx, int32(i), &owner) })
	}
	m.pace(ctx, &owner)
	for i := range m.sockets {
		if err := m.sockets[i].rtp.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return errors.Join(fmt.Errorf("callgen: end the readers: %w", err), m.close())
		}
	}
	readers.Wait()
	m.obey()
	return nil
}

// pace sends what is due in each slot.
func (m *loadMedia) pace(ctx context.Context, owner *sync.Mutex) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	packet := newPacket()
	owner.Lock()
	m.start()
	owner.Unlock()
	for {
		timer.Reset(loadSlot - m.clock()%loadSlot)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		owner.Lock()
		m.obey()
		for left := m.due(); left > 0; left-- {
			if g := &m.out[m.next]; g.remote != 0 {
				g.frame(&packet, m.round, m.stampClock())
				// What is refused is lost, and counts as that.
				_, _ = m.sockets[m.next/legsPerSocket].rtp.WriteToUDPAddrPort(packet[:], unpacked(g.remote))
			}
			m.step()
		}
		owner.Unlock()
	}
}

// read takes what comes to one socket.
func (m *loadMedia) read(ctx context.Context, socket int32, owner *sync.Mutex) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := m.sockets[socket].rtp.ReadFromUDPAddrPort(buffer)
		at := m.stampClock()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		owner.Lock()
		m.hear(place{socket, anyLeg}, buffer[:n], packed(from), at)
		owner.Unlock()
	}
}

func unpacked(a uint64) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), uint16(a>>32))
}
