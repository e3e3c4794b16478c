// Package timeline puts the packets of one track on the sample clock of a
// session. It knows RTP time and arrival time, and nothing of audio.
//
//	pass 1: Packet → Survey.Add …   Survey.Finish → Map
//	pass 2: Packet → Placer.Place → Placement (position and length in samples)
//
// The model. A packet's delay is its arrival, less its duration, less its RTP
// time. The network only adds to a delay, so the truth lies on the lower envelope
// of the delays. Packets of one SSRC whose delays stay together are a run; a
// new run begins where RTP time jumps, where the sender stood still with a
// frozen RTP clock, where the SSRC or the clock rate changes. Within a run the
// envelope is fitted by straight lines: a flat one as long as nothing else is
// proven, a sloping one when the sender's clock is off. A packet's place is its
// RTP time on that line. So jitter moves nothing, silence is as long as it was,
// and the end of a packet is never later than its arrival: what arrived before
// the recording stopped is in it.
//
// The second pass must see exactly the packets of the first, in the same order.
// The renderer (internal/render) calls it. The package does no I/O, starts no
// goroutine and imports nothing; memory grows by one small point per second of
// audio and stream, not by packet.
package timeline
