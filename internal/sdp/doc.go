// Package sdp speaks the offer/answer model of RFC 3264 for one audio stream: it
// writes our offers, answers the peer's, and turns each finished exchange into a
// Negotiated, which is everything that media and recording need to know about it.
//
//	description (bytes) → parse (pion/sdp) → Negotiator → answer (bytes) + Negotiated
//
// Called by session (one Negotiator per leg) and by synthetic parties; media takes
// Negotiated. It must never do I/O, log, keep time, or know what a call is. It is the
// only home of pion/sdp. It starts no goroutine; a Negotiator belongs to one goroutine.
package sdp
