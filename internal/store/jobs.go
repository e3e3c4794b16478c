package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Job is work that must be done, also across a restart. There is at most one
// job of a kind for a ref.
type Job struct {
	ID        string // empty: InsertJob makes one
	Kind      string // which handler does it
	Ref       string // what it is about, as a recording's id
	RunAt     time.Time
	Attempts  int    // how often it was claimed, this time included
	LastError string // of the attempt before; empty on the first
	CreatedAt time.Time
	// Revision goes up whenever the same job is asked for again. FinishJob
	// needs it.
	Revision int
}

type jobRow struct {
	bun.BaseModel `bun:"table:jobs"`

	ID          string `bun:"id,pk"`
	Kind        string `bun:"kind"`
	Ref         string `bun:"ref"`
	RunAt       int64  `bun:"run_at"`
	Attempts    int    `bun:"attempts"`
	Revision    int    `bun:"revision"`
	Owner       string `bun:"owner"`
	LeasedUntil int64  `bun:"leased_until"`
	LastError   string `bun:"last_error"`
	CreatedAt   int64  `bun:"created_at"`
}

func (r *jobRow) noun() Job {
	return Job{
		ID: r.ID, Kind: r.Kind, Ref: r.Ref, RunAt: timeOf(r.RunAt), Attempts: r.Attempts,
		Revision: r.Revision, LastError: r.LastError, CreatedAt: timeOf(r.CreatedAt),
	}
}

// InsertJob asks for a job, not before RunAt (zero = now). When the same job
// (Kind and Ref) is waiting, that one is brought forward instead; when it is
// being done, it is done once more afterwards. So a job that is inserted in the
// same Tx as the fact it is about always sees that fact.
func (t *Tx) InsertJob(j Job) error {
	if j.ID == "" {
		j.ID = NewID()
	}
	if j.CreatedAt.IsZero() {
		j.CreatedAt = time.Now()
	}
	if j.RunAt.IsZero() {
		j.RunAt = j.CreatedAt
	}
	r := &jobRow{
		ID: j.ID, Kind: j.Kind, Ref: j.Ref, RunAt: micros(j.RunAt),
		LastError: text(j.LastError), CreatedAt: micros(j.CreatedAt),
	}
	_, err := t.exec(insertJob, r.values()...)
	return fail("insert job", err)
}

// Claim says who wants jobs.
type Claim struct {
	Owner string        // name of this node
	Kinds []string      // what it can do; empty = nothing
	Now   time.Time     // wall clock
	Lease time.Duration // until then they are this owner's; see RenewJobs
	Limit int
}

// ClaimJobs takes jobs that are due and that nobody holds, or whose holder let
// the lease run out, and returns them, the longest due first.
func (t *Tx) ClaimJobs(c Claim) ([]Job, error) {
	if len(c.Kinds) == 0 || c.Limit < 1 {
		return nil, nil
	}
	kinds, err := encode(c.Kinds)
	if err != nil {
		return nil, fail("claim jobs", err)
	}
	now := micros(c.Now)
	rows, err := t.query(claimJobs, c.Owner, micros(c.Now.Add(c.Lease)), now, now, kinds, c.Limit)
	if err != nil {
		return nil, fail("claim jobs", err)
	}
	out, err := jobsOf(rows)
	return out, fail("claim jobs", err)
}

// jobsOf reads what claimJobs returns.
func jobsOf(rows *sql.Rows) (out []Job, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r jobRow
		if err := rows.Scan(&r.ID, &r.Kind, &r.Ref, &r.RunAt, &r.Attempts, &r.Revision, &r.LastError, &r.CreatedAt); err != nil {
			return nil, err
		}
		out = append(out, r.noun())
	}
	return out, rows.Err()
}

// RenewJobs prolongs the leases of an owner's jobs and returns the ids of those
// that are still its own. A job that is missing has run out and may be done
// elsewhere.
func (t *Tx) RenewJobs(owner string, ids []string, until time.Time) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []jobRow
	err := t.db.NewUpdate().Model(&rows).Set("leased_until = ?", micros(until)).
		Where("owner = ? AND id IN (?)", owner, bun.List(ids)).Returning("id").Scan(t.ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fail("renew jobs", err)
	}
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].ID
	}
	return out, nil
}

// FinishJob removes a job that was done. When it was asked for again since it
// was claimed, it stays and becomes due.
func (t *Tx) FinishJob(j Job) error {
	res, err := t.exec(finishJob, j.ID, j.Revision)
	if err != nil {
		return fail("finish job", err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 1 {
		return nil // it is not there any more
	}
	_, err = t.exec(freeJob, j.ID)
	return fail("finish job", err)
}

// RetryJob gives a job back, to be done again not before at. reason is kept as
// LastError.
func (t *Tx) RetryJob(j Job, at time.Time, reason string) error {
	_, err := t.db.NewUpdate().Model((*jobRow)(nil)).
		Set("owner = ''").Set("leased_until = 0").
		Set("run_at = CASE WHEN revision = ? THEN ? ELSE run_at END", j.Revision, micros(at)).
		Set("last_error = ?", text(reason)).
		Where("id = ?", j.ID).Exec(t.ctx)
	return fail("retry job", err)
}

// ReleaseJobs gives back all jobs of an owner, due at once. An owner calls it
// at its end, where the attempt it broke off does not count (forgive), and at
// its start, because what it held before it cannot be doing; there the attempt
// counts, since it may be what ended the process.
func (t *Tx) ReleaseJobs(owner string, forgive bool) error {
	q := t.db.NewUpdate().Model((*jobRow)(nil)).Set("owner = ''").Set("leased_until = 0")
	if forgive {
		q = q.Set("attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END")
	}
	_, err := q.Where("owner = ?", owner).Exec(t.ctx)
	return fail("release jobs", err)
}

// NextJob is when the next job of these kinds can be claimed, which may be in
// the past; zero = there is none.
func (t *Tx) NextJob(kinds []string) (time.Time, error) {
	if len(kinds) == 0 {
		return time.Time{}, nil
	}
	list, err := encode(kinds)
	if err != nil {
		return time.Time{}, fail("look for the next job", err)
	}
	var waiting, held sql.NullInt64
	if err = t.look(nextWaiting, list, &waiting); err == nil {
		// What is held can be claimed when its lease runs out.
		err = t.look(nextHeld, list, &held)
	}
	switch {
	case err != nil:
		return time.Time{}, fail("look for the next job", err)
	case !waiting.Valid && !held.Valid:
		return time.Time{}, nil
	case !held.Valid || waiting.Valid && waiting.Int64 < held.Int64:
		return timeOf(waiting.Int64), nil
	}
	return timeOf(held.Int64), nil
}

// CountJobs counts all jobs by kind.
func (t *Tx) CountJobs() (map[string]int, error) {
	var rows []struct {
		Kind string
		N    int
	}
	err := t.db.NewSelect().Model((*jobRow)(nil)).Column("kind").ColumnExpr("COUNT(*) AS n").
		Group("kind").Scan(t.ctx, &rows)
	if err != nil {
		return nil, fail("count jobs", err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.Kind] = r.N
	}
	return out, nil
}
