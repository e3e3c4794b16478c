// Package g711 is ITU-T G.711: µ-law and A-law companding, and the direct
// conversion between them, all by table.
//
// IO flow: bytes → table → 16-bit PCM, and back.
//
// Called by codec (as Decoder and Encoder) and media (transcoding in place).
// It imports nothing, keeps no state, does no I/O and allocates nothing.
package g711
