package media

import (
	"net/netip"
	"time"

	"tapedeck/internal/media/uring"
)

// network makes sockets and pollers. There are two: epoll (Linux) and portable
// (package net). Both give the same behaviour to workers.
type network interface {
	// listen binds a UDP socket whose receive buffer holds about so many bytes; with
	// sharedBuffer it is one that legs share. Any goroutine may call it.
	listen(addr netip.AddrPort, buffer int) (socket, error)
	// poller makes the door of one worker.
	poller() (poller, error)
}

// socket is a bound UDP socket. Between attach and detach it belongs to the
// poller's worker.
type socket interface {
	// close may be called by any goroutine, once, after detach.
	close() error
}

// poller moves datagrams between the sockets of one worker and the worker. Only
// wake may be called from elsewhere.
type poller interface {
	// attach delivers what the socket receives to a port, from the next wait on.
	attach(socket, *port) error
	// detach ends that. Nothing of the socket is delivered afterwards.
	detach(socket)
	// wait waits for datagrams, a wake or the end of the timeout (below zero: no
	// end), and hands all datagrams that are there to sink, in batches per socket.
	wait(timeout time.Duration, sink sink) error
	// urgent says that the worker's thread goes before all others, or no longer. While it
	// does, it waits in short steps and without telling the run-time: a thread that comes
	// back from a wait that the run-time knows of spins while the garbage collector reads
	// its stack, and on its core nothing else could end that.
	urgent(on bool)
	// postpone says that what needs memory is to be done later, where it can be, or no
	// longer.
	postpone(on bool)
	// wake lets wait return, now or the next time.
	wake()
	// send queues a datagram. Its bytes must stay as they are until flush.
	send(s socket, to netip.AddrPort, datagram []byte)
	// flush sends what is queued and returns how many datagrams the system did not
	// take since the last flush.
	flush() (refused int)
	close() error
}

// sink is a worker, for its poller.
type sink interface {
	// soon tells of ports whose datagrams will be handed over in this wait, as far as
	// that is known before. Nothing may be sent or changed by it.
	soon([]*port)
	// receive takes the datagrams of one batch of one socket. They are valid until it
	// returns. dropped is how many the socket's full buffer lost since the last batch.
	receive(p *port, batch []datagram, dropped uint32)
}

// datagram is one received UDP datagram.
type datagram struct {
	from      netip.AddrPort
	data      []byte
	truncated bool // it was longer than data
}

// port is one of the two UDP ports of a leg, or of those that legs share.
type port struct {
	leg     *Leg // nil = of all that share it
	control bool // the RTCP port
	socket  socket
	number  int
}

const (
	// datagramSize is the longest datagram that is read whole.
	datagramSize = uring.DatagramSize
	// batchSize is how many datagrams are taken from a socket at once.
	batchSize = 32
	// maxEvents is how many sockets are served in a turn, before timers and commands.
	maxEvents = 128
)

// Receive buffers, bytes. Linux counts about 0.8 KiB for a packet of 20 ms, so
// that RTP survives a stall of some five seconds.
const (
	mediaBuffer   = 256 << 10
	controlBuffer = 32 << 10
	// sharedBuffer is for all legs of a shared port: half a second of 1,600 calls. The
	// system gives less to who has no right to more (net.core.rmem_max).
	sharedBuffer = 32 << 20
)
