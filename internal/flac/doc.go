// Package flac writes 16-bit PCM as FLAC (RFC 9639): lossless, about half the
// size of WAV for speech and a tenth for silence. It reads FLAC of every width.
//
//	[]int16 (interleaved) → Writer (blocks → prediction → Rice codes) → io.WriteSeeker
//	io.Reader → Reader (the same way back) → []int16 (interleaved)
//
// render makes .flac files with it, and prompt reads those that are played to
// calls. It keeps one block in memory, starts no goroutine, keeps no file open,
// imports nothing of Tapedeck, and never takes memory by a length that a file
// claims. Its writer is judged by other people's programs, its reader by files of
// theirs.
package flac
