// Package audiotest is an oracle for recorded audio: voices that say who they
// are and what time it is, four times a second, and a reader that finds every
// mark of them in a recording, with its place to a fraction of a sample.
//
//	Voice → Signal → telephone, server, file → Find → marks → Judge
//
// Only tests use it. It is pure: no I/O, no goroutine. It must not share code
// with what it judges.
package audiotest
