// Package render makes the audio file and the receipt of a recording from its
// journal.
//
//	journal.Reader → Make (pass 1: topology, clocks) → Plan → Write (pass 2: decode, place, mix) → wav + Receipt
//
// Everything is decided with hindsight: where each packet belongs on the
// session's sample clock (internal/timeline), which tracks are heard on which
// side, what is silent and why. Both passes stream, so that memory does not
// grow with the length of the recording. The same journal and layout always
// give the same bytes.
//
// internal/publish and the command line call it. It starts no goroutine,
// writes only to the writer that it is handed, and must not look at a clock.
package render
