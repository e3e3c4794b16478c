// Package rtp reads RTP and RTCP once and for all: a datagram becomes a Received
// with extended sequence and time, and a verdict. It keeps the source latch and
// the reception statistics of a leg, and writes RTCP reports. It is the only
// home of pion/rtp. RTCP it reads and writes itself, because a library takes memory for
// each report, and media workers have to do without (media.Engine.Relent); tests and a
// fuzz target hold it against pion/rtcp.
//
// IO flow: datagram + arrival time → Receiver → Received (payload aliases the
// datagram) → taps, bridges; Receiver → report blocks → RTCP datagram.
//
// Called by media (workers) and, for its types, by recorder. Never does I/O,
// never reads a clock (time is passed in), never logs, never allocates per
// packet. It starts no goroutine; a Receiver belongs to one worker.
package rtp
