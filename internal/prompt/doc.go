// Package prompt makes what calls hear: files of the web, files that were
// uploaded, and texts that an engine speaks.
//
//	URL → fetch → bytes ┐
//	media:id → bucket ──┼→ WAV, FLAC, MP3, Ogg → one channel, 16 kHz at the most → cache → audio.Clip
//	text → speech ──────┘
//
// session asks a Library for it and goes on with its call meanwhile; control has
// it keep what is uploaded; jobs has it delete what is no longer needed. What comes
// from outside is bounded: in bytes, in the time that it takes to come, in how long
// it plays. It never knows a call. A Library starts a goroutine for every question
// and joins them in Close.
package prompt
