package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

func openTemp(t testing.TB) *DB {
	t.Helper()
	db, err := Open(t.Context(), Options{URL: filepath.Join(t.TempDir(), FileName)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func someCall(n int) voice.Call {
	at := time.Unix(1_800_000_000+int64(n), 0)
	return voice.Call{
		ID: voice.CallID(NewID()), Workspace: "w", Channel: "c", Status: voice.CallOngoing,
		From: "100", To: "200", CreatedAt: at, UpdatedAt: at,
	}
}

func pragma(t testing.TB, db *DB, text string) {
	t.Helper()
	if _, err := db.raw.Write.ExecContext(t.Context(), "PRAGMA "+text); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull: SQLite is given no room to grow, which it reports as it reports
// a full disk. It then gives up whole transactions on its own.
func TestDiskFull(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	db := openTemp(t)
	pragma(t, db, "wal_checkpoint(TRUNCATE)")
	pragma(t, db, "max_page_count=1") // means: no more than now
	big := func(tx *Tx) error {
		c := someCall(1)
		c.Reason = strings.Repeat("x", 100_000)
		return tx.PutCall(c)
	}
	check := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrFull) || voice.CodeOf(err) != voice.CodeUnavailable {
			t.Fatalf("got %v", err)
		}
		if text := err.Error(); !strings.Contains(text, "free space") || !strings.Contains(text, db.Path()) {
			t.Errorf("does not say what to do and where: %s", text)
		}
		var told *voice.Error
		if errors.As(err, &told); strings.Contains(told.Message, db.Path()) || told.RetryAfter == 0 {
			t.Errorf("what the user is told: %q, retry after %v", told.Message, told.RetryAfter)
		}
	}
	check(db.Update(t.Context(), big))
	// In company: nobody is told of a success that is not on disk.
	entered, gate := make(chan struct{}), make(chan struct{})
	pragma(t, db, "max_page_count=1")
	db.Queue(func(*Tx) error { close(entered); <-gate; return nil }, nil)
	<-entered
	results := make(chan error, 10)
	small := make([]voice.Call, 9)
	for i := range small {
		small[i] = someCall(i)
		db.Queue(func(tx *Tx) error { return tx.PutCall(small[i]) }, func(err error) { results <- err })
	}
	db.Queue(big, func(err error) { results <- err })
	close(gate)
	// What fails takes its transaction with it, and a slow machine makes two of them:
	// then the second has a connection of its own, to which nothing is full.
	ok, failed := 0, 0
	for i := range 10 {
		switch err := <-results; {
		case err != nil:
			check(err)
			failed++
		case i < len(small):
			ok++
		}
	}
	if failed == 0 {
		t.Error("the disk was full for nobody")
	}
	// Later it goes on.
	pragma(t, db, "max_page_count=1000000")
	if err := db.Update(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	found := 0
	if err := db.View(t.Context(), func(tx *Tx) error {
		for i := range small {
			if _, err := tx.Call("w", "c", small[i].ID); err == nil {
				found++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found != ok {
		t.Errorf("%d were told of success, %d are there", ok, found)
	}
}

func TestReadOnly(t *testing.T) {
	db := openTemp(t)
	pragma(t, db, "query_only=1")
	err := db.Update(t.Context(), func(tx *Tx) error { return tx.PutCall(someCall(1)) })
	if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "owner and mode") {
		t.Fatalf("got %v", err)
	}
	pragma(t, db, "query_only=0")
	if err := db.Update(t.Context(), func(tx *Tx) error { return tx.PutCall(someCall(1)) }); err != nil {
		t.Fatal(err)
	}
}

// TestBusy: another process holds the write lock for too long.
func TestBusy(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	path := filepath.Join(t.TempDir(), FileName)
	holder, err := Open(t.Context(), Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Options{URL: path, BusyTimeout: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	gate, entered, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	holder.Queue(func(*Tx) error { close(entered); <-gate; return nil }, func(err error) { done <- err })
	<-entered
	err = db.Update(t.Context(), func(tx *Tx) error { return tx.PutCall(someCall(1)) })
	if !errors.Is(err, ErrBusy) || voice.CodeOf(err) != voice.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	close(gate)
	if err := errors.Join(<-done, db.Update(t.Context(), func(tx *Tx) error { return tx.PutCall(someCall(1)) }), db.Close(), holder.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	text := testkit.WriteFile(t, dir, "notes.txt", strings.Repeat("this is no database\n", 100))
	for name, c := range map[string]struct {
		o    Options
		says string
	}{
		"nothing":       {Options{}, "no path"},
		"scheme":        {Options{URL: "postgres://localhost/x"}, `scheme "postgres"`},
		"no file":       {Options{URL: "sqlite://"}, "names no file"},
		"a directory":   {Options{URL: dir}, "not a file"},
		"no directory":  {Options{URL: filepath.Join(dir, "a", "b.db")}, "directory does not exist"},
		"must exist":    {Options{URL: filepath.Join(dir, "new.db"), MustExist: true}, "start the server once"},
		"not a databas": {Options{URL: text}, "not a database"},
	} {
		db, err := Open(t.Context(), c.o)
		if err == nil {
			t.Errorf("%s: opened", name)
			err = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err == nil {
		t.Error("MustExist made a database")
	}
	// Odd names, and a mode that keeps trunk passwords private.
	path := filepath.Join(dir, "a?b%20 #.db")
	db, err := Open(t.Context(), Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *Tx) error { return tx.PutCall(someCall(1)) }); err != nil {
		t.Error(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		stat, err := os.Stat(path + suffix)
		if err != nil {
			t.Error(err)
		} else if stat.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", stat.Name(), stat.Mode())
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestNewerSchema: an old program leaves a newer database alone.
func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	db, err := Open(t.Context(), Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.raw.Write.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), Options{URL: path}); err == nil || !strings.Contains(err.Error(), "run the newer version") {
		t.Fatalf("got %v", err)
	}
}

// queries notes the SQL that passes.
type queries struct{ seen []string }

func (q *queries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (q *queries) AfterQuery(_ context.Context, e *bun.QueryEvent)                    { q.seen = append(q.seen, e.Query) }

// TestPlans: every list is read from an index in its order, and never sorted.
func TestPlans(t *testing.T) {
	db := openTemp(t)
	hook := &queries{}
	db.read = db.read.WithQueryHook(hook)
	page := voice.Page{Limit: 5, Token: place{at: 5, id: "x"}.token(listCalls)}
	recPage := voice.Page{Limit: 5, Token: place{at: 5, id: "x"}.token(listRecordings)}
	rendersPage := voice.Page{Limit: 5, Token: place{at: 5, id: "x"}.token(listRenders)}
	calls := func(f voice.CallFilter) func(*Tx) error {
		f.Workspace, f.Page = "w", page
		return func(tx *Tx) error { _, _, err := tx.Calls(f); return err }
	}
	recordings := func(f voice.RecordingFilter) func(*Tx) error {
		f.Workspace, f.Page = "w", recPage
		return func(tx *Tx) error { _, _, err := tx.Recordings(f); return err }
	}
	live := []voice.CallStatus{voice.CallRinging, voice.CallOngoing}
	for name, c := range map[string]struct {
		list func(*Tx) error
		uses string
	}{
		"calls":               {calls(voice.CallFilter{}), "calls_workspace"},
		"calls, channel":      {calls(voice.CallFilter{Channels: []voice.ChannelID{"c"}}), "calls_channel"},
		"calls, status":       {calls(voice.CallFilter{Statuses: live[:1]}), "calls_status"},
		"calls, statuses":     {calls(voice.CallFilter{Statuses: live}), "calls_status"},
		"calls, both":         {calls(voice.CallFilter{Statuses: live, Channels: []voice.ChannelID{"c", "d"}}), "calls_channel_status"},
		"calls, from":         {calls(voice.CallFilter{From: "1"}), "calls_from"},
		"calls, to":           {calls(voice.CallFilter{To: "1"}), "calls_to"},
		"unfinished calls":    {func(tx *Tx) error { _, err := tx.UnfinishedCalls(); return err }, "calls_unfinished"},
		"recordings":          {recordings(voice.RecordingFilter{}), "recordings_workspace"},
		"recordings, channel": {recordings(voice.RecordingFilter{Channel: "c"}), "recordings_channel"},
		"recordings, call":    {recordings(voice.RecordingFilter{Call: "c"}), "recordings_call"},
		"recordings, status":  {recordings(voice.RecordingFilter{Status: "available"}), "recordings_workspace_status"},
		"recordings, live":    {recordings(voice.RecordingFilter{Live: true}), "recordings_workspace_status"},
		"recordings, from":    {recordings(voice.RecordingFilter{From: "1"}), "recordings_from"},
		"recordings, to":      {recordings(voice.RecordingFilter{To: "1"}), "recordings_to"},
		"count of recordings": {func(tx *Tx) error { _, err := tx.CountRecordings(); return err }, "recordings_status"},
		"renders":             {func(tx *Tx) error { _, _, err := tx.Renders("r", rendersPage); return err }, "renders_recording"},
		"waiting renders":     {func(tx *Tx) error { _, err := tx.WaitingRenders(); return err }, "renders_waiting"},
		"channels":            {func(tx *Tx) error { _, _, err := tx.Channels("w", voice.Page{}); return err }, "channels_workspace"},
	} {
		hook.seen = nil
		if err := db.View(t.Context(), c.list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, query := range hook.seen {
			if !strings.HasPrefix(query, "SELECT") {
				continue
			}
			plan := planOf(t, db, query)
			if strings.Contains(query, "owner >") { // the few that are held, by their lease
				if !strings.Contains(plan, "jobs_owner ") {
					t.Errorf("%s: %s\n%s", name, plan, query)
				}
				continue
			}
			if !strings.Contains(plan, c.uses+" ") || strings.Contains(plan, "TEMP B-TREE") && c.uses != "calls_unfinished" {
				t.Errorf("%s: %s\n%s", name, plan, query)
			}
		}
	}
}

func planOf(t testing.TB, db *DB, query string) string {
	t.Helper()
	rows, err := db.raw.Read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + " \n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// TestClaimPlan: jobs for days ahead do not slow down the claim of what is due, nor
// the look for the next one.
func TestClaimPlan(t *testing.T) {
	db := openTemp(t)
	for query, index := range map[string]string{claimJobs: "jobs_due", nextWaiting: "jobs_due", nextHeld: "jobs_owner"} {
		// Which values there are does not matter.
		plan := planOf(t, db, strings.ReplaceAll(query, "?", "1"))
		// Those that are held are few, and sorted.
		if !strings.Contains(plan, index+" ") && !strings.Contains(plan, index+"\n") || strings.Contains(plan, "TEMP B-TREE") && query != nextHeld {
			t.Errorf("%s:\n%s", query, plan)
		}
	}
}
