// Package wav writes and reads 16-bit PCM in RIFF/WAVE files, and in RF64 where
// 32-bit sizes do not do (EBU Tech 3306).
//
//	[]int16 (interleaved) → Writer → io.WriteSeeker        io.Reader → Reader → []int16
//
// The renderer writes recordings with it, and what reads those is strict. Files of
// others, which are played to calls, are read by Foreign, in more forms. It
// keeps no file open, starts no goroutine, and never takes memory by a length
// that a file claims.
package wav
