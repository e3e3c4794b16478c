// Package plc conceals lost packets of codecs that cannot do it themselves: it
// goes on with what was said last, for 60 ms at most.
//
// IO flow: decoded frames → Concealer.Good; Concealer.Conceal → what is missing.
//
// The method is that of ITU-T G.711 Appendix I (the last pitch period again and
// again, more of them as time goes on, faded out by 60 ms, overlapped with what
// comes after) with two changes that save its delay of 3.75 ms: it is the
// residual of a linear prediction that is repeated, and the prediction filter
// goes on from its state, so that the start has no seam; and noise takes the part
// of the residual that has no pitch.
//
// Called by codec. It imports nothing, does no I/O, starts no goroutine and
// allocates nothing per frame. The same frames always give the same sound.
package plc
