// Package compare tells how much of one signal is in another: where it lies,
// how alike both are, and what leaked in from a third.
//
//	what was said, what was recorded → Align, Correlation, CrossTalk → numbers
//
// The demo and tests call it. It is pure: no I/O, no goroutine, no state. It
// must not know where the signals come from.
package compare
