package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// statements are those that the writer runs for every call: written once, and kept
// ready by the database. In a transaction they belong to the writer's goroutine.
type statements map[string]*sql.Stmt

// What stands between the functions of a transaction.
const (
	savepoint = "SAVEPOINT fn"
	undo      = "ROLLBACK TO fn"
	release   = "RELEASE fn"
)

// putCall writes a call. Of a known one it keeps what says which call it is.
const putCall = `INSERT INTO calls (
	id, workspace, channel, parent, from_party, from_key, to_party, to_key, direction, type,
	status, reason, hangup_cause, hangup_source, hangup_sip_code, user_agent, ring_timeout, max_duration,
	notification_url, tags, flow, commands, amd, request, quality, seconds,
	created_at, updated_at, ringing_at, answered_at, ended_at, scheduled_for
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
	status = EXCLUDED.status, reason = EXCLUDED.reason, hangup_cause = EXCLUDED.hangup_cause,
	hangup_source = EXCLUDED.hangup_source, hangup_sip_code = EXCLUDED.hangup_sip_code, user_agent = EXCLUDED.user_agent,
	ring_timeout = EXCLUDED.ring_timeout, max_duration = EXCLUDED.max_duration, notification_url = EXCLUDED.notification_url,
	flow = EXCLUDED.flow, commands = EXCLUDED.commands, amd = EXCLUDED.amd, request = EXCLUDED.request,
	quality = EXCLUDED.quality, seconds = EXCLUDED.seconds, updated_at = EXCLUDED.updated_at, ringing_at = EXCLUDED.ringing_at,
	answered_at = EXCLUDED.answered_at, ended_at = EXCLUDED.ended_at, scheduled_for = EXCLUDED.scheduled_for
WHERE calls.workspace = EXCLUDED.workspace`

func (r *callRow) values() []any {
	return []any{
		r.ID, r.Workspace, r.Channel, r.Parent, r.From, r.FromKey, r.To, r.ToKey, r.Direction, r.Type,
		r.Status, r.Reason, r.HangupCause, r.HangupSource, r.HangupSIPCode, r.UserAgent, r.RingTimeout, r.MaxDuration,
		r.NotificationURL, r.Tags, r.Flow, r.Commands, r.AMD, r.Request, r.Quality, r.Seconds, r.CreatedAt, r.UpdatedAt, r.RingingAt, r.AnsweredAt, r.EndedAt, r.ScheduledFor,
	}
}

// putRecording writes a recording. Of a known one it keeps what says which it is.
const putRecording = `INSERT INTO recordings (
	id, workspace, channel, call, status, origin, stereo, max_length, end_cause, problem,
	direction, from_party, from_key, to_party, to_key, duration, channels, file, receipt, size, sha256,
	transcribe, transcribed, created_at, updated_at, started_at, ended_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
	status = EXCLUDED.status, stereo = EXCLUDED.stereo, max_length = EXCLUDED.max_length, end_cause = EXCLUDED.end_cause,
	problem = EXCLUDED.problem, duration = EXCLUDED.duration, channels = EXCLUDED.channels, file = EXCLUDED.file,
	receipt = EXCLUDED.receipt, size = EXCLUDED.size, sha256 = EXCLUDED.sha256,
	updated_at = EXCLUDED.updated_at, started_at = EXCLUDED.started_at, ended_at = EXCLUDED.ended_at
WHERE recordings.workspace = EXCLUDED.workspace`

func (r *recordingRow) values() []any {
	return []any{
		r.ID, r.Workspace, r.Channel, r.Call, r.Status, r.Origin, r.Stereo, r.MaxLength, r.EndCause, r.Problem,
		r.Direction, r.From, r.FromKey, r.To, r.ToKey, r.Duration, r.Channels, r.File, r.Receipt, r.Size, r.SHA256,
		r.Transcribe, r.Transcribed, r.CreatedAt, r.UpdatedAt, r.StartedAt, r.EndedAt,
	}
}

// insertJob asks for a job, or for a known one again.
const insertJob = `INSERT INTO jobs (
	id, kind, ref, run_at, attempts, revision, owner, leased_until, last_error, created_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, ref) DO UPDATE SET
	revision = jobs.revision + 1,
	run_at = CASE WHEN jobs.run_at < EXCLUDED.run_at THEN jobs.run_at ELSE EXCLUDED.run_at END`

func (r *jobRow) values() []any {
	return []any{r.ID, r.Kind, r.Ref, r.RunAt, r.Attempts, r.Revision, r.Owner, r.LeasedUntil, r.LastError, r.CreatedAt}
}

// insertEvent tells of something that happened.
const insertEvent = `INSERT INTO events (id, workspace, type, channel, call, status, notify_url, subject, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

func (r *eventRow) values() []any {
	return []any{r.ID, r.Workspace, r.Type, r.Channel, r.Call, r.Status, r.NotifyURL, r.Subject, r.At}
}

// markEventsRead notes how far a reader has come.
const markEventsRead = `INSERT INTO event_readers (name, seq) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = EXCLUDED.seq`

// What events follow from, as it is stored.
const (
	stateOfCall          = `SELECT status, amd FROM calls WHERE id = ?`
	stateOfRecording     = `SELECT status FROM recordings WHERE id = ?`
	stateOfTranscription = `SELECT status FROM transcriptions WHERE id = ?`
	notifyURLOf          = `SELECT notification_url FROM calls WHERE id = ?`
)

// finishJob removes a job unless it was asked for again; freeJob gives that one back.
const (
	finishJob = `DELETE FROM jobs WHERE id = ? AND revision = ?`
	freeJob   = `UPDATE jobs SET owner = '', leased_until = 0, attempts = 0 WHERE id = ?`
)

// claimJobs takes jobs that are due, and nextWaiting and nextHeld find when the next
// one is. They hide the kind from the choice of an index: sweeps for days ahead can be
// many, so that what is due must be found by time and not by kind. Nor by who holds it:
// most are held by nobody, and would be sorted.
const (
	claimJobs = `UPDATE jobs SET owner = ?, leased_until = ?, attempts = attempts + 1 WHERE id IN (
	SELECT id FROM jobs WHERE run_at <= ? AND leased_until <= ? AND ` + ofKinds + ` ORDER BY run_at, id LIMIT ?
) RETURNING id, kind, ref, run_at, attempts, revision, last_error, created_at`
	nextWaiting = `SELECT run_at FROM jobs INDEXED BY jobs_due WHERE owner = '' AND ` + ofKinds + ` ORDER BY run_at, id LIMIT 1`
	nextHeld    = `SELECT leased_until FROM jobs WHERE owner > '' AND ` + ofKinds + ` ORDER BY leased_until LIMIT 1`
	ofKinds     = `kind || '' IN (SELECT value FROM json_each(?))`
)

// putRender writes a render. Of a known one it keeps what was asked for.
const putRender = `INSERT INTO renders (
	id, workspace, recording, kind, status, problem, stereo, swap, format,
	file, receipt, size, sha256, duration, created_at, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
	status = EXCLUDED.status, problem = EXCLUDED.problem, file = EXCLUDED.file, receipt = EXCLUDED.receipt,
	size = EXCLUDED.size, sha256 = EXCLUDED.sha256, duration = EXCLUDED.duration, updated_at = EXCLUDED.updated_at
WHERE renders.recording = EXCLUDED.recording`

func (r *renderRow) values() []any {
	return []any{
		r.ID, r.Workspace, r.Recording, r.Kind, r.Status, r.Problem, r.Stereo, r.Swap, r.Format,
		r.File, r.Receipt, r.Size, r.SHA256, r.Duration, r.CreatedAt, r.UpdatedAt,
	}
}

// prepare makes the statements ready.
func prepare(ctx context.Context, db *sql.DB) (statements, error) {
	s := statements{}
	for _, query := range []string{
		savepoint, undo, release, putCall, putRecording, insertEvent, markEventsRead,
		stateOfCall, stateOfRecording, notifyURLOf, insertJob, finishJob, freeJob,
		claimJobs, nextWaiting, nextHeld, putRender,
	} {
		st, err := db.PrepareContext(ctx, query) //nolint:sqlclosecheck // statements.close does, with the database
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %q: %w", query, err), s.close())
		}
		s[query] = st
	}
	return s, nil
}

func (s statements) close() error {
	var errs []error
	for _, st := range s {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

// exec runs a statement, a prepared one where there is one.
func (t *Tx) exec(query string, args ...any) (sql.Result, error) {
	if st := t.ready(query); st != nil { //nolint:sqlclosecheck // the transaction's end does
		return st.ExecContext(t.ctx, args...)
	}
	return t.db.ExecContext(t.ctx, query, args...)
}

// query is exec for a statement that returns rows.
func (t *Tx) query(query string, args ...any) (*sql.Rows, error) {
	if st := t.ready(query); st != nil { //nolint:sqlclosecheck // the transaction's end does
		return st.QueryContext(t.ctx, args...)
	}
	return t.db.QueryContext(t.ctx, query, args...)
}

// look reads the one row that a statement finds into the columns. They stay as they
// are when there is none.
func (t *Tx) look(query, about string, columns ...any) error {
	var row *sql.Row
	if st := t.ready(query); st != nil { //nolint:sqlclosecheck // the transaction's end does
		row = st.QueryRowContext(t.ctx, about)
	} else {
		row = t.db.QueryRowContext(t.ctx, query, about)
	}
	if err := row.Scan(columns...); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return nil
}

// ready is the prepared statement of a query in this transaction; nil when there is
// none.
func (t *Tx) ready(query string) *sql.Stmt {
	if own := t.own[query]; own != nil {
		return own
	}
	st := t.prepared[query]
	tx, ok := t.db.(interface {
		StmtContext(context.Context, *sql.Stmt) *sql.Stmt
	})
	if st == nil || !ok {
		return nil
	}
	own := tx.StmtContext(t.ctx, st)
	if t.own == nil {
		t.own = statements{}
	}
	t.own[query] = own
	return own
}
