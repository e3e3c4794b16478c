package sip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Limits of a TCP connection.
const (
	writeQueue   = 8 << 20          // bytes that wait for a slow reader: seconds of a trunk's burst
	writeTimeout = 10 * time.Second // for what waits at one time
	idleTimeout  = time.Hour        // longer than a session timer's interval
	partTimeout  = 32 * time.Second // between two pieces of one message
	dialTimeout  = 5 * time.Second
	closeTimeout = 200 * time.Millisecond // for what is queued when we close
)

// conns is the table of TCP connections, by remote address. Connections are kept open
// and used again, in both directions (RFC 3261 §18).
type conns struct {
	a   *Agent
	max int

	mu      sync.Mutex
	open    map[netip.AddrPort]*conn
	dialing map[netip.AddrPort]*dialing
	closed  bool
	wg      sync.WaitGroup // readers and writers; Add happens under mu before closed is set
}

// dialing is a connection on its way; all who want it wait for the same one.
type dialing struct {
	done chan struct{} // closed by the one who dials
	c    *conn
	err  error
}

// conn is one TCP connection. Its reader and its writer end with it.
type conn struct {
	t    *conns
	c    net.Conn
	at   netip.AddrPort
	wake chan struct{} // one token: there is something in out; sent by anybody, never closed
	done chan struct{} // closed by shut

	mu     sync.Mutex
	out    [][]byte // messages to write, in order
	size   int      // bytes of them, and of those being written
	last   bool     // when out is written, the connection ends
	broken bool
	users  map[*Dialog]struct{} // dialogs to tell when the connection breaks
}

// add takes a new connection into the table and starts its reader and writer.
func (t *conns) add(nc net.Conn) (*conn, error) {
	at, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return nil, fmt.Errorf("sip: address of a TCP peer %q: %w", nc.RemoteAddr(), err)
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	c := &conn{t: t, c: nc, at: at, wake: make(chan struct{}, 1), done: make(chan struct{}), users: make(map[*Dialog]struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	if len(t.open) >= t.max {
		t.a.m.reject(rejectFlood)
		return nil, fmt.Errorf("%w: %d TCP connections are open already", ErrTransport, t.max)
	}
	t.open[at] = c
	t.a.m.connections.Set(float64(len(t.open)))
	t.wg.Go(c.read)
	t.wg.Go(c.write)
	return c, nil
}

// accept takes inbound connections until the listener is closed.
func (t *conns) accept(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return fmt.Errorf("sip: accepting TCP on %s: %w", l.Addr(), err)
		}
		if _, err := t.add(nc); err != nil {
			_ = nc.Close() // refused: nobody is to be told
		}
	}
}

// dial gives the open connection to an address, or makes one. Many callers share one
// attempt.
func (t *conns) dial(ctx context.Context, at netip.AddrPort) (*conn, error) {
	t.mu.Lock()
	if c := t.open[at]; c != nil {
		t.mu.Unlock()
		return c, nil
	}
	if t.closed {
		t.mu.Unlock()
		return nil, ErrClosed
	}
	if w := t.dialing[at]; w != nil {
		t.mu.Unlock()
		select {
		case <-w.done:
			return w.c, w.err
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: connecting to %s: %w", ErrTransport, at, ctx.Err())
		}
	}
	w := &dialing{done: make(chan struct{})}
	t.dialing[at] = w
	t.mu.Unlock()

	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, tcp, at.String())
	if err == nil {
		if w.c, w.err = t.add(nc); w.err != nil {
			_ = nc.Close()
		}
	} else {
		w.err = fmt.Errorf("%w: connecting to %s: %w", ErrTransport, at, err)
	}
	t.mu.Lock()
	delete(t.dialing, at)
	t.mu.Unlock()
	close(w.done)
	return w.c, w.err
}

// close breaks every connection and waits for their goroutines.
func (t *conns) close() {
	t.mu.Lock()
	t.closed = true
	all := make([]*conn, 0, len(t.open))
	for _, c := range t.open {
		all = append(all, c)
	}
	t.mu.Unlock()
	// What was queued last (a BYE, an answer to one) may still go out.
	for _, c := range all {
		c.finish()
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	for _, c := range all {
		select {
		case <-c.done:
		case <-timer.C:
			timer.Reset(0) // the others get no more time either
		}
		c.shut()
	}
	t.wg.Wait()
}

// finish tells the writer to send what is queued and then to end the connection.
func (c *conn) finish() {
	c.mu.Lock()
	c.last = true
	c.mu.Unlock()
	c.rouse()
}

func (c *conn) rouse() {
	select {
	case c.wake <- struct{}{}:
	default: // the writer will look anyway
	}
}

// send queues one message for the writer.
func (c *conn) send(b []byte) error {
	c.mu.Lock()
	switch {
	case c.broken || c.last:
		c.mu.Unlock()
		return fmt.Errorf("%w: the TCP connection to %s is closed", ErrTransport, c.at)
	case c.size+len(b) > writeQueue:
		c.mu.Unlock()
		c.shut()
		return fmt.Errorf("%w: %s does not read its TCP connection", ErrTransport, c.at)
	}
	c.out = append(c.out, b)
	c.size += len(b)
	c.mu.Unlock()
	c.rouse()
	return nil
}

// alive tells whether the connection can still be used.
func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// use makes sure that the dialog hears of the connection's end.
func (c *conn) use(d *Dialog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.broken {
		c.users[d] = struct{}{}
	}
}

func (c *conn) unuse(d *Dialog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.users, d)
}

func (c *conn) shut() {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return
	}
	c.broken = true
	users := c.users
	c.users = nil
	c.mu.Unlock()
	close(c.done)
	_ = c.c.Close() // whatever it says, the connection is over
	c.t.mu.Lock()
	if c.t.open[c.at] == c {
		delete(c.t.open, c.at)
	}
	c.t.a.m.connections.Set(float64(len(c.t.open)))
	c.t.mu.Unlock()
	for d := range users {
		d.post(input{run: func() { d.connectionLost(c) }})
	}
}

func (c *conn) write() {
	defer c.shut()
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
		}
		c.mu.Lock()
		batch, last := net.Buffers(c.out), c.last
		c.out = nil
		c.mu.Unlock()
		if len(batch) > 0 {
			if err := c.c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
				return
			}
			n, err := batch.WriteTo(c.c)
			if err != nil {
				return
			}
			c.mu.Lock()
			c.size -= int(n)
			c.mu.Unlock()
		}
		if last {
			return
		}
	}
}

func (c *conn) read() {
	defer c.shut()
	stream := c.t.a.parser.NewSIPStream()
	defer stream.Close()
	buf := make([]byte, 16<<10)
	idle := true // between two messages
	for {
		wait := idleTimeout
		if !idle {
			wait = partTimeout
		}
		if err := c.c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return
		}
		n, err := c.c.Read(buf)
		if err != nil {
			return
		}
		if _, err := stream.Write(buf[:n]); err != nil {
			return
		}
		var ok bool
		if idle, ok = c.drainStream(stream, idle); !ok {
			return
		}
	}
}

// drainStream handles every whole message that has arrived. It reports whether the
// stream is between two messages, and whether it can go on: a fault in the framing
// leaves no boundary to find again (RFC 3261 §18.3).
func (c *conn) drainStream(stream *gosip.ParserStream, idle bool) (bool, bool) {
	for {
		if idle {
			if c.keepAlive(stream) {
				return true, true
			}
		}
		msg, err := c.t.a.next(stream)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return false, true
		}
		from := flow{network: tcp, at: c.at, conn: c}
		if err != nil {
			c.t.a.unreadable(msg, from, err)
			c.finish() // the 400 goes out first
			<-c.done
			return false, false
		}
		idle = true
		c.t.a.m.received(tcp)
		c.t.a.take(msg, from)
	}
}

// keepAlive eats the blank lines between messages; two of them are a ping, answered by
// one (RFC 5626 §3.5.1). It reports whether nothing else has arrived.
func (c *conn) keepAlive(stream *gosip.ParserStream) bool {
	buf := stream.Buffer()
	n := 0
	for _, b := range buf.Bytes() {
		if b != '\r' && b != '\n' {
			break
		}
		n++
	}
	buf.Next(n)
	if n >= 4 {
		_ = c.send([]byte("\r\n")) // a connection that breaks tells everybody itself
	}
	return buf.Len() == 0
}
