// Package mp3 writes 16-bit PCM as MP3 by the system's libmp3lame.
//
//	[]int16 (interleaved) → Writer → libmp3lame → io.WriteSeeker
//
// render makes .mp3 files with it. It keeps a frame in memory, starts no
// goroutine and keeps no file open; what the library takes for an encoder is given
// back by Close. Without the library every writer is native.ErrMissing.
package mp3
