// Package callgen makes telephone parties that are not people: they dial or
// answer over SIP, speak to a schedule that does not drift, and remember every
// packet that they hear. Load makes many of them at once, with marked frames
// that show every loss, duplicate and wrong connection exactly.
//
//	Source → pacer (20 ms) → RTP socket → server → RTP socket → Heard
//
// The demo, the benchmarks and the tests of whole calls use it. It must not
// import the server or anything of it above sip and sdp: it meets the server on
// the wire only, so that it can stand in for any other peer.
//
// Goroutines: Endpoint.Run owns the SIP agent, one pacer for all parties, and
// two readers (RTP, RTCP) for each party. Load owns its own and waits for them.
package callgen
