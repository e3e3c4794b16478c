// Package blob keeps finished files under keys.
//
//	Put, PutFile → check key → driver (write, fsync, publish whole) → read back, compare SHA-256 → Info
//
// Bucket is the front: it checks keys, hashes what is written and verifies it.
// A driver moves bytes; blob/fileblob keeps them in a folder. Archive and the
// jobs call it. It knows nothing of recordings or calls, imports nothing of
// ours, never logs and starts no goroutine.
package blob
