// Package recorder keeps what arrived on the tracks of a call session: it
// copies RTP facts into blocks and appends the blocks to one journal file per
// recording.
//
//	media worker → Track.Take → filling block → (full, or 400 ms) → writer → <dir>/<recording>.journal → (1 s) → fsync
//
// The call never waits for the recorder: Take copies under a lock that is held
// for nanoseconds, and never does I/O. When the disk does not keep up, blocks
// wait in memory up to Options.Buffer; what comes beyond is counted, and said
// in the journal by a gap entry. A pause is fail-closed by construction: Take
// and Pause share one lock, so no packet enters a block after the marker.
//
// The session (internal/session) starts captures and puts their tracks on the
// legs as taps. The package must not decode, mix, re-order or judge audio, and
// must not import media, sip or anything above it. Its two goroutines, the
// writer and the syncer, belong to Run; the syncer waits for the ones that it
// starts to fsync several files at once.
package recorder
