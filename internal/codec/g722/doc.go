// Package g722 is ITU-T G.722: wideband audio of 16 kHz as two sub-bands of
// ADPCM, 64 kbit/s. Two samples make one byte. The decoder also takes the modes
// of 56 and 48 kbit/s, in which the lowest one or two bits of each byte carry
// other data.
//
// IO flow: bytes → sub-bands → synthesis filter → 16-bit PCM; PCM → analysis
// filter → sub-bands → bytes.
//
// Called by codec. It imports nothing, does no I/O, starts no goroutine and
// allocates nothing per frame. Names in capitals are the blocks of G.722 §6,
// whose integer arithmetic the results follow bit by bit.
package g722
