// Package fileblob keeps blobs as files in a folder, and keeps them through a
// crash.
//
//	bytes → .incoming/<random> → fsync → rename to <key> → fsync of the directory
//
// The server makes a driver and gives it to blob.New. A key cannot leave the
// folder, not even by a symbolic link in it: all but the folder itself is
// reached through os.Root. It knows nothing of recordings, imports blob only,
// never logs and starts no goroutine.
package fileblob
