// Package publish turns a finished journal into a published recording.
//
//	job → journal → render → temporary file → archive → row available, in one transaction with the job that sweeps the journal
//
// It also makes what is made of a recording later: other formats and peaks of
// the file when somebody asks for them, and other files from the journal. It
// reconciles journals and rows after a crash, and makes the file of what is
// there so far while a call still runs. The job
// runner, the server's start-up and control call it. It starts no goroutine.
// It must never delete a journal before the file made of it is safe.
package publish
