// Package mp3 writes 16-bit PCM as MP3 by the system's libmp3lame, and reads MP3
// by its libmpg123.
//
//	[]int16 (interleaved) → Writer → libmp3lame → io.WriteSeeker
//	io.Reader → libmpg123 → Reader → []int16 (interleaved)
//
// render makes .mp3 files with it, and prompt reads those that are played to
// calls. It keeps a frame in memory, starts no goroutine and keeps no file open;
// what a library takes for an encoder or a decoder is given back by Close. Without
// the library every writer, or reader, is native.ErrMissing.
package mp3
