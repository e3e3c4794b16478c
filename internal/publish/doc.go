// Package publish turns a finished journal into a published recording.
//
//	job → journal → render → temporary file → archive → row available, in one transaction with the job that sweeps the journal
//
// It also reconciles journals and rows after a crash, makes the file of what
// is there so far while a call still runs, and erases recordings. The job
// runner, the server's start-up and control call it. It starts no goroutine.
// It must never delete a journal before the file made of it is safe.
package publish
