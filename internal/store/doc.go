// Package store keeps what must survive a crash: workspaces, channels, keys,
// calls, recordings, jobs and the answers to idempotent requests.
//
//	Update, Queue → one writer goroutine → savepoint per function → COMMIT (fsync) → done
//	Replace       → the same; of the states of a row that wait, only the last is written
//	View          → read pool → snapshot
//
// One set of queries is written in SQL that SQLite and PostgreSQL both
// understand; what is particular to a database (opening, pragmas, error codes)
// is in a sub-package, store/sqlite today.
//
// Session, the doors and the engines call it. It imports voice only, never logs
// (it returns errors), knows nothing of HTTP or SIP, and decides nothing about
// states: it keeps what it is given. The one writer goroutine is started by Open
// and joined by Close.
package store
