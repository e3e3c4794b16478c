// Package render makes the audio file and the receipt of a recording from its
// journal.
//
//	journal.Reader → Make (pass 1: topology, clocks, rate) → Plan → Write (pass 2) → wav + peaks + Receipt
//	in Write: packet → place (timeline) → queue → decode, conceal → resample, stretch → lane → mix
//
// Everything is decided with hindsight: where each packet belongs on the
// session's sample clock (internal/timeline), which tracks are heard on which
// side, what is silent and why. Packets wait in the queue of their track until
// nothing older can come, and are decoded in the order in which they were sent:
// codecs have a memory, and only the packet after a hole tells whether it is loss.
// Both passes stream, so that memory grows with the length of a recording by a
// small point for each second and track only. The same journal and layout always
// give the same bytes.
//
// internal/publish and the command line call it. It starts no goroutine,
// writes only to the writer that it is handed, and must not look at a clock.
package render
