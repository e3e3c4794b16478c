// Package ogg puts Opus packets into an Ogg file and takes them out again
// (RFC 3533, RFC 7845).
//
//	packets → Writer → pages → io.Writer        io.Reader → pages → Reader → packets
//
// render makes .ogg files with it. It knows nothing of sound: packets come from
// codec/opus. It keeps one page in memory, starts no goroutine, keeps no file open,
// imports nothing of Tapedeck, and never takes memory by a length that a file
// claims.
package ogg
