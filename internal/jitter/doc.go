// Package jitter evens out the arrival times of one RTP stream for somebody who
// must listen to it live: a bridge that transcodes.
//
// IO flow: Packet → Put → Buffer (bounded, own memory) → Pop(time) → a frame to
// decode, a loss to conceal, silence to fill in, or nothing.
//
// Called by media. Recording never goes through it. It does no I/O, reads no
// clock (time is passed in), starts no goroutine, logs nothing, and allocates
// nothing once its slots have met the stream's longest payload. A Buffer belongs
// to one goroutine at a time.
//
// # Delay
//
// A packet is due at base + its media time + delay. Base is the lower envelope of
// arrival against media time over the last four seconds, so that it follows the
// sender's clock; delay is what the slowest packet of late needed. A packet that
// was slower raises it at once, to Options.Max at most; it falls by 5 ms a second.
// The listener follows by frames that are 1/160 longer or shorter, or during
// silence. The latency from arrival to Pop is never more than Max + Lead + 60 ms:
// what would be older is skipped.
package jitter
