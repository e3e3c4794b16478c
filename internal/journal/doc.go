// Package journal is the file format of a running recording: an append-only row
// of facts in blocks with checksums, readable after a crash at any byte.
//
//	Block (entries as bytes) → Writer.Append (frame, CRC-32C, one write) → file → Reader.Next → Entry
//
// The bytes are described in docs/format/journal.md. The recorder writes
// journals, the renderer and the command line read them. The package must not
// know what an entry means to a call or a file of audio, does not log, and
// starts no goroutine. A Writer and a Reader serve one goroutine at a time; only
// Writer.Sync may run beside Writer.Append.
package journal
