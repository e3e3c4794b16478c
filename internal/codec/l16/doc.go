// Package l16 is uncompressed audio: 16-bit samples in network byte order, RFC
// 3551 §4.5.11.
//
// IO flow: bytes → 16-bit PCM, and back.
//
// Called by codec. It imports nothing of Tapedeck, keeps no state, does no I/O
// and allocates nothing.
package l16
