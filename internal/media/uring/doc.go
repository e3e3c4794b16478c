// Package uring is an io_uring(7) of one thread, for connected UDP sockets: many are
// received from, and many datagrams sent, by one system call.
//
//	socket → multishot receive → buffer of the ring → caller → the same buffer → socket
//
// Package media's workers use it. It knows sockets by their places in a table, and
// nothing of RTP; it starts no goroutine and imports nothing of this module. Where the
// system has no io_uring, or forbids it, New says so.
package uring

// DatagramSize is the longest datagram that is received whole, in bytes. RTP audio stays
// far below the 1500 bytes of an Ethernet frame.
const DatagramSize = 2048
