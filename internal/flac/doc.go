// Package flac writes 16-bit PCM as FLAC (RFC 9639): lossless, about half the
// size of WAV for speech and a tenth for silence.
//
//	[]int16 (interleaved) → Writer (blocks → prediction → Rice codes) → io.WriteSeeker
//
// render makes .flac files with it. It keeps one block in memory, starts no
// goroutine, keeps no file open, and imports nothing of Tapedeck. Reading FLAC
// is not its business: the tests leave that to other people's programs.
package flac
