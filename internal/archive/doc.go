// Package archive keeps finished recordings: the WAV and its receipt, under
// dated keys in a bucket.
//
//	WAV file + receipt → blob.PutFile, blob.Put → compare with what was expected → File
//
// Publish stores, control opens and erases. It decides nothing about a
// recording's status and writes no row: who calls it does. It starts no
// goroutine and never logs.
package archive
