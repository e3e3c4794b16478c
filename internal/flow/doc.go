// Package flow decides which command of a call flow comes next.
//
//	steps, place, what was gathered → steps that are skipped, step that runs
//
// It is called by session, which runs the commands and keeps what they gather.
// It is pure: no clock, no goroutine, nothing of a call but the words of voice.
package flow
