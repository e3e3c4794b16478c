// Package jobs does work that must happen, and keeps it in the database until it
// is done: rendering a recording, sweeping a journal.
//
//	row in table jobs → claim with a lease → Handler → done: row removed | error: row due again, later
//
// The server makes a Runner, gives it the handlers, and runs it; whoever commits
// a job calls Wake. A job whose process was killed is done after the restart.
// Run starts the goroutines of the workers and joins them before it returns. It
// knows nothing of what the jobs do.
package jobs
