package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promtest "github.com/prometheus/client_golang/prometheus/testutil"

	"tapedeck/internal/jobs"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
)

// inBubble runs a test on a clock of its own, with a database in it.
func inBubble(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	path := filepath.Join(t.TempDir(), store.FileName)
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), store.Options{URL: path})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, db)
	})
}

func insert(t testing.TB, db *store.DB, list ...store.Job) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, j := range list {
			if err := tx.InsertJob(j); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pending(t testing.TB, db *store.DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		counts, err := tx.CountJobs()
		for _, c := range counts {
			n += c
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// run starts a runner. stop ends it and waits for it.
func run(t testing.TB, o jobs.Options) (r *jobs.Runner, stop func()) {
	t.Helper()
	if o.Node == "" {
		o.Node = "n1"
	}
	r, err := jobs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// little is how long a few transactions take that nobody is in a hurry for.
const little = 200 * time.Millisecond

func handlers(h jobs.Handler) map[string]jobs.Handler { return map[string]jobs.Handler{"work": h} }

func work(ref string) store.Job { return store.Job{Kind: "work", Ref: ref} }

func TestDoes(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var did []string
		r, stop := run(t, jobs.Options{DB: db, Workers: 1, Poll: 24 * time.Hour, Handlers: handlers(func(_ context.Context, j store.Job) error {
			did = append(did, fmt.Sprint(j.Ref, j.Attempts))
			return nil
		})})
		defer stop()
		synctest.Wait()
		start := time.Now()
		insert(t, db, work("a"), work("b"), store.Job{Kind: "other", Ref: "x"})
		r.Wake()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > little {
			t.Errorf("a job that was announced waited %v", took)
		}
		if got := strings.Join(did, " "); got != "a1 b1" {
			t.Errorf("did %s", got)
		}
		if n := pending(t, db); n != 1 {
			t.Errorf("%d jobs left, want the one of a kind that nobody handles", n)
		}
	})
}

// TestTimes: what is not announced is found by polling; what is for later is
// done at its time, not at the next poll.
func TestTimes(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		start := time.Now()
		did := map[string]time.Duration{}
		_, stop := run(t, jobs.Options{DB: db, Poll: 5 * time.Second, Handlers: handlers(func(_ context.Context, j store.Job) error {
			did[j.Ref] = time.Since(start)
			return nil
		})})
		defer stop()
		synctest.Wait()
		later := work("later")
		later.RunAt = start.Add(12 * time.Second)
		insert(t, db, work("quiet"), later)
		<-time.After(20 * time.Second) // on the bubble's clock
		synctest.Wait()
		if did["quiet"] != 5*time.Second || did["later"] != 12*time.Second {
			t.Errorf("done after %v", did)
		}
	})
}

func TestBackoff(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var at []time.Time
		_, stop := run(t, jobs.Options{DB: db, BackoffMin: time.Second, BackoffMax: 20 * time.Second, Handlers: handlers(func(_ context.Context, j store.Job) error {
			at = append(at, time.Now())
			if j.Attempts != len(at) {
				t.Errorf("attempt %d is called %d", len(at), j.Attempts)
			}
			if j.Attempts > 1 && j.LastError == "" {
				t.Error("does not know why it failed")
			}
			switch {
			case j.Attempts == 3:
				panic("boom")
			case j.Attempts < 8:
				return errors.New("not yet")
			}
			return nil
		})})
		defer stop()
		insert(t, db, work("a"))
		<-time.After(5 * time.Minute)
		synctest.Wait()
		if len(at) != 8 || pending(t, db) != 0 {
			t.Fatalf("%d attempts, %d jobs left", len(at), pending(t, db))
		}
		for i, seconds := range []int{1, 2, 4, 8, 16, 20, 20} {
			want := time.Duration(seconds) * time.Second
			if wait := at[i+1].Sub(at[i]); wait < want*8/10-time.Millisecond || wait > want*12/10+time.Millisecond {
				t.Errorf("after attempt %d: %v, want about %v", i+1, wait, want)
			}
		}
	})
}

func TestPermanent(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var attempts atomic.Int32
		reg := prometheus.NewRegistry()
		r, stop := run(t, jobs.Options{DB: db, Registerer: reg, Handlers: handlers(func(_ context.Context, j store.Job) error {
			attempts.Add(1)
			if j.Ref == "good" {
				return jobs.Permanent(nil)
			}
			return fmt.Errorf("render: %w", jobs.Permanent(errors.New("no such journal")))
		})})
		defer stop()
		insert(t, db, work("bad"), work("good"))
		r.Wake()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if attempts.Load() != 2 || pending(t, db) != 0 {
			t.Errorf("%d attempts, %d left", attempts.Load(), pending(t, db))
		}
		if err := promtest.GatherAndCompare(reg, strings.NewReader(`
			# HELP tapedeck_jobs_attempts_total Attempts at jobs by result: done, retry, given_up, broken_off.
			# TYPE tapedeck_jobs_attempts_total counter
			tapedeck_jobs_attempts_total{kind="work",result="done"} 1
			tapedeck_jobs_attempts_total{kind="work",result="given_up"} 1
			# HELP tapedeck_jobs_running Jobs that are being done.
			# TYPE tapedeck_jobs_running gauge
			tapedeck_jobs_running 0
		`), "tapedeck_jobs_attempts_total", "tapedeck_jobs_running"); err != nil {
			t.Error(err)
		}
		later := work("later")
		later.RunAt = time.Now().Add(time.Hour)
		insert(t, db, later)
		if err := promtest.GatherAndCompare(reg, strings.NewReader(`
			# HELP tapedeck_jobs_pending Jobs that are not done: due, waiting for their time, or being done.
			# TYPE tapedeck_jobs_pending gauge
			tapedeck_jobs_pending{kind="work"} 1
		`), "tapedeck_jobs_pending"); err != nil {
			t.Error(err)
		}
	})
	if jobs.Permanent(nil) != nil {
		t.Error("nothing became an error")
	}
}

func TestWorkersAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var now, most atomic.Int32
		var done atomic.Int32
		r, stop := run(t, jobs.Options{DB: db, Workers: 3, Handlers: handlers(func(context.Context, store.Job) error {
			most.Store(max(most.Load(), now.Add(1)))
			<-time.After(time.Second)
			now.Add(-1)
			done.Add(1)
			return nil
		})})
		defer stop()
		start := time.Now()
		for i := range 12 {
			insert(t, db, work(fmt.Sprint(i)))
		}
		r.Wake()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); done.Load() != 12 || most.Load() != 3 || took < 4*time.Second || took > 4*time.Second+little {
			t.Errorf("%d done, %d at once, in %v", done.Load(), most.Load(), took)
		}
	})
}

// TestLimits: a queue of one kind, however long it was due, leaves workers for
// the others, and theirs is found at its time.
func TestLimits(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var now, most atomic.Int32
		var mu sync.Mutex
		urgent := map[string]time.Duration{}
		start := time.Now()
		r, stop := run(t, jobs.Options{
			DB: db, Workers: 3, Poll: time.Hour, Limits: map[string]int{"slow": 2},
			Handlers: map[string]jobs.Handler{
				"slow": func(context.Context, store.Job) error {
					most.Store(max(most.Load(), now.Add(1)))
					<-time.After(time.Minute)
					now.Add(-1)
					return nil
				},
				"work": func(_ context.Context, j store.Job) error {
					mu.Lock()
					defer mu.Unlock()
					urgent[j.Ref] = time.Since(start)
					return nil
				},
			},
		})
		defer stop()
		for i := range 6 {
			insert(t, db, store.Job{Kind: "slow", Ref: fmt.Sprint(i), RunAt: time.UnixMicro(1)})
		}
		insert(t, db, work("now"), store.Job{Kind: "work", Ref: "soon", RunAt: start.Add(7 * time.Second)})
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); most.Load() != 2 || took < 3*time.Minute || took > 3*time.Minute+little {
			t.Errorf("%d slow ones at once, all in %v", most.Load(), took)
		}
		mu.Lock()
		defer mu.Unlock()
		if now, soon := urgent["now"], urgent["soon"]-7*time.Second; now > little || soon < 0 || soon > little {
			t.Errorf("the others were done after %v", urgent)
		}
	})
}

// TestStop: what is interrupted is given back, not counted as an attempt, and
// done after the restart. What just succeeded is not done again.
func TestStop(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		finish := make(chan struct{}) // closed by the test
		started := make(chan string, 2)
		_, stop := run(t, jobs.Options{DB: db, Handlers: handlers(func(ctx context.Context, j store.Job) error {
			started <- j.Ref
			if j.Ref == "deaf" { // ends well although it was told to stop
				<-finish
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})})
		insert(t, db, work("deaf"), work("broken"))
		<-started
		<-started
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("did not wait for its workers")
		default:
		}
		close(finish)
		<-stopped

		var did []string
		r, stop := run(t, jobs.Options{DB: db, Poll: 24 * time.Hour, Handlers: handlers(func(_ context.Context, j store.Job) error {
			did = append(did, fmt.Sprint(j.Ref, j.Attempts))
			return nil
		})})
		defer stop()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(did, " "); got != "broken1" {
			t.Errorf("after the restart: %s", got)
		}
	})
}

// TestCrash: what this node held when it was killed is done at once after its
// start; what another node holds, when its lease runs out.
func TestCrash(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		start := time.Now()
		insert(t, db, work("mine"))
		claim := func(node string) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				got, err := tx.ClaimJobs(store.Claim{Owner: node, Kinds: []string{"work"}, Now: time.Now(), Lease: time.Minute, Limit: 1})
				if len(got) != 1 {
					t.Errorf("claimed %+v", got)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		claim("n1")
		insert(t, db, work("theirs"))
		claim("n2")
		did := map[string]time.Duration{}
		_, stop := run(t, jobs.Options{DB: db, Handlers: handlers(func(_ context.Context, j store.Job) error {
			did[j.Ref] = time.Since(start)
			if j.Attempts != 2 {
				t.Errorf("%s: attempt %d, want the one of the crash counted", j.Ref, j.Attempts)
			}
			return nil
		})})
		defer stop()
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if mine, ok := did["mine"]; !ok || mine > little {
			t.Errorf("its own: %v, %v", mine, ok)
		}
		if theirs := did["theirs"]; theirs < time.Minute || theirs > time.Minute+time.Second {
			t.Errorf("the other's: %v", theirs)
		}
	})
}

// TestLease: a job that takes many leases stays with its worker.
func TestLease(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var runs atomic.Int32
		long := handlers(func(ctx context.Context, _ store.Job) error {
			runs.Add(1)
			select {
			case <-time.After(10 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		_, stop1 := run(t, jobs.Options{DB: db, Node: "n1", Lease: 30 * time.Second, Handlers: long})
		defer stop1()
		_, stop2 := run(t, jobs.Options{DB: db, Node: "n2", Lease: 30 * time.Second, Handlers: long})
		defer stop2()
		insert(t, db, work("a"))
		<-time.After(11 * time.Minute)
		synctest.Wait()
		if runs.Load() != 1 || pending(t, db) != 0 {
			t.Errorf("%d runs, %d left", runs.Load(), pending(t, db))
		}
	})
}

// TestLeaseLost: a job that another node took is broken off here, and its row
// left alone.
func TestLeaseLost(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		ended := make(chan time.Duration, 1)
		_, stop := run(t, jobs.Options{DB: db, Node: "n1", Lease: 30 * time.Second, Handlers: handlers(func(ctx context.Context, _ store.Job) error {
			start := time.Now()
			<-ctx.Done()
			ended <- time.Since(start)
			return ctx.Err()
		})})
		defer stop()
		insert(t, db, work("a"))
		<-time.After(6 * time.Second)
		synctest.Wait()
		// As if this node had slept for an hour.
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			got, err := tx.ClaimJobs(store.Claim{Owner: "n2", Kinds: []string{"work"}, Now: time.Now().Add(time.Hour), Lease: time.Hour, Limit: 1})
			if len(got) != 1 {
				t.Errorf("claimed %+v", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := <-ended; took > 10*time.Second {
			t.Errorf("broken off after %v", took)
		}
		synctest.Wait()
		stop()
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			kept, err := tx.RenewJobs("n2", ids(t, tx), time.Now())
			if len(kept) != 1 {
				t.Error("the other node lost its job")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// ids claims, far in the future and undone at once, nothing: it only tells the
// ids of the jobs held by n2.
func ids(t testing.TB, tx *store.Tx) []string {
	t.Helper()
	got, err := tx.ClaimJobs(store.Claim{Owner: "n2", Kinds: []string{"work"}, Now: time.Now().Add(24 * time.Hour), Lease: time.Hour, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, j := range got {
		if j.Attempts != 3 { // the first node's, the second's, and this one
			t.Errorf("attempt %d", j.Attempts)
		}
		out = append(out, j.ID)
	}
	return out
}

func TestIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		gate := make(chan struct{}) // closed by the test
		r, stop := run(t, jobs.Options{DB: db, Workers: 1, Handlers: handlers(func(context.Context, store.Job) error { <-gate; return nil })})
		later := work("later")
		later.RunAt = time.Now().Add(time.Hour)
		insert(t, db, later)
		if err := r.Idle(t.Context()); err != nil { // what is for later does not count
			t.Fatal(err)
		}
		insert(t, db, work("a"), work("b"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("idle while at work: %v", err)
		}
		result := make(chan error, 1)
		go func() { result <- r.Idle(t.Context()) }()
		synctest.Wait()
		if len(result) > 0 {
			t.Errorf("idle while at work: %v", <-result)
		}
		close(gate)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if n := pending(t, db); n != 1 {
			t.Errorf("idle with %d jobs", n)
		}
		stop()
		if err := r.Idle(t.Context()); err == nil {
			t.Error("idle although stopped")
		}
	})
}

// TestLeave: who is to end does not wait for what takes long and can be begun anew;
// the next start does that, and all else is done.
func TestLeave(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		var did []string
		hangs := true
		o := jobs.Options{DB: db, Workers: 3, Limits: map[string]int{"long": 1}, Handlers: map[string]jobs.Handler{
			"long": func(ctx context.Context, j store.Job) error {
				if hangs {
					<-ctx.Done()
					return ctx.Err()
				}
				did = append(did, j.Ref)
				return nil
			},
			"work": func(_ context.Context, j store.Job) error {
				did = append(did, j.Ref)
				return nil
			},
		}}
		r, stop := run(t, o)
		insert(t, db, store.Job{Kind: "long", Ref: "a"}, store.Job{Kind: "long", Ref: "b"})
		r.Wake()
		synctest.Wait()
		r.Leave("long")
		insert(t, db, work("c"))
		start := time.Now()
		if err := r.Idle(t.Context()); err != nil || time.Since(start) > little {
			t.Errorf("idle after %v: %v", time.Since(start), err)
		}
		stop()
		if got := strings.Join(did, " "); got != "c" || pending(t, db) != 2 {
			t.Errorf("did %q, %d jobs are left", got, pending(t, db))
		}
		hangs = false
		r, stop = run(t, o)
		defer stop()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := pending(t, db); n != 0 || len(did) != 3 {
			t.Errorf("did %q, %d jobs are left", did, n)
		}
	})
}

func TestNew(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		for name, o := range map[string]jobs.Options{
			"no database": {Node: "n"}, "no node": {DB: db}, "negative": {DB: db, Node: "n", Lease: -1},
			"backoff": {DB: db, Node: "n", BackoffMin: time.Hour},
			"limit":   {DB: db, Node: "n", Limits: map[string]int{"work": 0}},
		} {
			if _, err := jobs.New(o); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		r, err := jobs.New(jobs.Options{DB: db, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Errorf("told to stop before it began: %v", err)
		}
		if r, err = jobs.New(jobs.Options{DB: db, Node: "n"}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("on a closed database: %v", err)
		}
	})
}

// TestTransactions: what is over is settled in the transaction that claims what is
// next, and work in the background waits for the transactions of others.
func TestTransactions(t *testing.T) {
	inBubble(t, func(t *testing.T, db *store.DB) {
		r, stop := run(t, jobs.Options{DB: db, Workers: 10, Poll: time.Hour, Handlers: handlers(func(context.Context, store.Job) error { return nil })})
		defer stop()
		synctest.Wait()
		var all []store.Job
		for i := range 100 {
			all = append(all, work(fmt.Sprint(i)))
		}
		insert(t, db, all...)
		before := db.Stats().Transactions
		r.Wake()
		if err := r.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := db.Stats().Transactions - before; n > 30 {
			t.Errorf("%d transactions for 100 jobs, 10 at a time", n)
		}
	})
}
