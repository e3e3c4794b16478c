package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

const (
	lease = 30 * time.Second
	node  = "n1"
)

func claim(t testing.TB, db *store.DB, owner string, at time.Time) []store.Job {
	t.Helper()
	var jobs []store.Job
	update(t, db, func(tx *store.Tx) (err error) {
		jobs, err = tx.ClaimJobs(store.Claim{Owner: owner, Kinds: []string{"render", "erase"}, Now: at, Lease: lease, Limit: 10})
		return err
	})
	return jobs
}

func insertJob(t testing.TB, db *store.DB, j store.Job) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error { return tx.InsertJob(j) })
}

func testJobs(t *testing.T, open Opener) {
	db := opened(t, open)
	now := epoch()
	later := store.Job{ID: "j2", Kind: "render", Ref: "r2", RunAt: now.Add(time.Hour), CreatedAt: now}
	due := store.Job{ID: "j1", Kind: "render", Ref: "r1", RunAt: now, CreatedAt: now}
	other := store.Job{ID: "j3", Kind: "unknown", Ref: "r1", RunAt: now, CreatedAt: now}
	for _, j := range []store.Job{later, due, other} {
		insertJob(t, db, j)
	}
	got := claim(t, db, node, now)
	due.Attempts = 1
	wantEqual(t, got, []store.Job{due})
	if again := claim(t, db, node, now); len(again) > 0 {
		t.Fatalf("claimed twice: %+v", again)
	}
	update(t, db, func(tx *store.Tx) error {
		if none, err := tx.ClaimJobs(store.Claim{Owner: node, Now: now, Lease: lease, Limit: 1}); err != nil || none != nil {
			t.Errorf("claimed without a kind: %v %v", none, err)
		}
		return tx.RetryJob(got[0], now.Add(time.Minute), "disk\x00full")
	})
	if early := claim(t, db, node, now.Add(59*time.Second)); len(early) > 0 {
		t.Fatalf("too early: %+v", early)
	}
	wantNext(t, db, now.Add(time.Minute))
	got = claim(t, db, node, now.Add(time.Minute))
	due.Attempts, due.LastError, due.RunAt = 2, "disk\uFFFDfull", now.Add(time.Minute)
	wantEqual(t, got, []store.Job{due})
	wantNext(t, db, now.Add(time.Minute+lease))
	update(t, db, func(tx *store.Tx) error { return tx.FinishJob(got[0]) })
	wantNext(t, db, now.Add(time.Hour))
	view(t, db, func(tx *store.Tx) error {
		counts, err := tx.CountJobs()
		wantEqual(t, counts, map[string]int{"render": 1, "unknown": 1})
		for _, kinds := range [][]string{nil, {"erase"}} {
			next, nextErr := tx.NextJob(kinds)
			wantEqual(t, next, time.Time{})
			err = errors.Join(err, nextErr)
		}
		return err
	})
}

func wantNext(t testing.TB, db *store.DB, want time.Time) {
	t.Helper()
	view(t, db, func(tx *store.Tx) error {
		next, err := tx.NextJob([]string{"render", "erase"})
		wantEqual(t, next, want)
		return err
	})
}

// testJobAskedAgain: what is asked for while it is being done is done again.
func testJobAskedAgain(t *testing.T, open Opener) {
	db := opened(t, open)
	now := epoch()
	insertJob(t, db, store.Job{Kind: "render", Ref: "r", RunAt: now.Add(time.Hour)})
	insertJob(t, db, store.Job{Kind: "render", Ref: "r", RunAt: now}) // brings it forward
	insertJob(t, db, store.Job{Kind: "render", Ref: "r", RunAt: now.Add(time.Hour)})
	first := claim(t, db, node, now)
	if len(first) != 1 {
		t.Fatalf("claimed %+v", first)
	}
	insertJob(t, db, store.Job{Kind: "render", Ref: "r", RunAt: now})
	update(t, db, func(tx *store.Tx) error { return tx.FinishJob(first[0]) })
	second := claim(t, db, node, now)
	if len(second) != 1 || second[0].Attempts != 1 {
		t.Fatalf("claimed %+v", second)
	}
	// Asked again while it fails: it does not wait for its retry.
	insertJob(t, db, store.Job{Kind: "render", Ref: "r", RunAt: now})
	update(t, db, func(tx *store.Tx) error { return tx.RetryJob(second[0], now.Add(time.Hour), "x") })
	third := claim(t, db, node, now)
	if len(third) != 1 {
		t.Fatalf("claimed %+v", third)
	}
	update(t, db, func(tx *store.Tx) error { return tx.FinishJob(third[0]) })
	if rest := claim(t, db, node, now.Add(24*time.Hour)); len(rest) > 0 {
		t.Fatalf("left %+v", rest)
	}
}

func testJobLeases(t *testing.T, open Opener) {
	db := opened(t, open)
	now := epoch()
	insertJob(t, db, store.Job{ID: "j", Kind: "render", Ref: "r", RunAt: now})
	claim(t, db, node, now)
	renew := func(owner string, at time.Time) []string {
		var kept []string
		update(t, db, func(tx *store.Tx) (err error) {
			kept, err = tx.RenewJobs(owner, []string{"j"}, at.Add(lease))
			return err
		})
		return kept
	}
	wantEqual(t, renew(node, now.Add(20*time.Second)), []string{"j"})
	if got := claim(t, db, "n2", now.Add(49*time.Second)); len(got) > 0 {
		t.Fatal("a renewed job was taken")
	}
	got := claim(t, db, "n2", now.Add(50*time.Second))
	if len(got) != 1 || got[0].Attempts != 2 {
		t.Fatalf("a job whose lease ran out: %+v", got)
	}
	wantEqual(t, len(renew(node, now)), 0)
	release := func(forgive bool) {
		update(t, db, func(tx *store.Tx) error {
			return errors.Join(tx.ReleaseJobs(node, true), tx.ReleaseJobs("n2", forgive))
		})
	}
	release(true)
	if got = claim(t, db, "n2", now); len(got) != 1 || got[0].Attempts != 2 {
		t.Fatalf("after an orderly end: %+v", got)
	}
	release(false)
	if got = claim(t, db, node, now); len(got) != 1 || got[0].Attempts != 3 {
		t.Fatalf("after a crash: %+v", got)
	}
}

func testJobsClaimedOnce(t *testing.T, open Opener) {
	dbs := []*store.DB{opened(t, open), opened(t, open)}
	const n = 60
	update(t, dbs[0], func(tx *store.Tx) error {
		for i := range n {
			if err := tx.InsertJob(store.Job{Kind: "render", Ref: fmt.Sprint(i), RunAt: epoch()}); err != nil {
				return err
			}
		}
		return nil
	})
	var mu sync.Mutex
	var refs []string
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for {
				got := claim(t, dbs[w%2], fmt.Sprint("n", w), epoch())
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, j := range got {
					refs = append(refs, j.Ref)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(refs)
	if len(refs) != n || len(slices.Compact(refs)) != n {
		t.Fatalf("%d claims of %d jobs", len(refs), n)
	}
}

func request(key, body string) store.IdempotentRequest {
	return store.IdempotentRequest{Workspace: wsA, Key: key, Hash: []byte(body)}
}

func answer(s string) store.Response {
	return store.Response{Status: 202, ContentType: "application/json", Body: []byte(s)}
}

func testIdempotency(t *testing.T, open Opener) {
	db := opened(t, open)
	ran := 0
	do := func(context.Context) (store.Response, error) {
		ran++
		return answer(fmt.Sprint("run ", ran)), nil
	}
	for i := range 3 {
		got, replayed, err := db.Idempotent(t.Context(), request("k", "same"), do)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, got, answer("run 1"))
		wantEqual(t, replayed, i > 0)
	}
	_, _, err := db.Idempotent(t.Context(), request("k", "other"), do)
	wantCode(t, err, voice.CodeIdempotencyKeyReused)
	foreign := request("k", "other")
	foreign.Workspace = wsB // has keys of its own
	if got, replayed, err := db.Idempotent(t.Context(), foreign, do); err != nil || replayed || string(got.Body) != "run 2" {
		t.Fatalf("%+v %v %v", got, replayed, err)
	}
	// It survives a restart, and is forgotten after its time.
	again := opened(t, open)
	if got, replayed, err := again.Idempotent(t.Context(), request("k", "same"), do); err != nil || !replayed || string(got.Body) != "run 1" {
		t.Fatalf("%+v %v %v", got, replayed, err)
	}
	update(t, again, func(tx *store.Tx) error {
		kept, reserved, err := tx.ReserveIdempotency(request("k", "other"), time.Now().Add(store.IdempotencyLife+time.Second))
		if kept != nil || !reserved {
			t.Errorf("after its time: kept %v, reserved %v", kept, reserved)
		}
		return err
	})
}

// testIdempotencyAtOnce: of many at the same time, on two handles, one runs and
// all get its answer.
func testIdempotencyAtOnce(t *testing.T, open Opener) {
	dbs := []*store.DB{opened(t, open), opened(t, open)}
	var ran, fresh atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, replayed, err := dbs[i%2].Idempotent(t.Context(), request("k", "b"), func(context.Context) (store.Response, error) {
				return answer(fmt.Sprint("run ", ran.Add(1))), nil
			})
			if err != nil || string(got.Body) != "run 1" {
				t.Errorf("got %+v, %v", got, err)
			}
			if !replayed {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if ran.Load() != 1 || fresh.Load() != 1 {
		t.Fatalf("%d ran, %d were not replayed", ran.Load(), fresh.Load())
	}
}

func testIdempotencyFailures(t *testing.T, open Opener) {
	db := opened(t, open)
	fail := func(context.Context) (store.Response, error) { return store.Response{}, errRefused }
	good := func(context.Context) (store.Response, error) { return answer("good"), nil }
	if _, _, err := db.Idempotent(t.Context(), request("k", "b"), fail); !errors.Is(err, errRefused) {
		t.Fatalf("got %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _, _ = db.Idempotent(t.Context(), request("k", "b"), func(context.Context) (store.Response, error) { panic("boom") })
	}()
	// A client that goes away does not take the answer with it.
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := db.Idempotent(ctx, request("k", "b"), func(ctx context.Context) (store.Response, error) {
		cancel()
		return answer("good"), ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	if got, replayed, err := db.Idempotent(t.Context(), request("k", "b"), good); err != nil || !replayed || string(got.Body) != "good" {
		t.Fatalf("%+v %v %v", got, replayed, err)
	}
	// Who waits for another may give up.
	entered, gate := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, _, err := db.Idempotent(t.Context(), request("slow", "b"), func(context.Context) (store.Response, error) {
			close(entered)
			<-gate
			return answer("slow"), nil
		})
		done <- err
	}()
	receive(t, entered)
	if _, _, err := db.Idempotent(ctx, request("slow", "b"), good); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	close(gate)
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
}

// testIdempotencyHolders: a request that another process began.
func testIdempotencyHolders(t *testing.T, open Opener) {
	db := opened(t, open)
	r := request("k", "b")
	r.Holder = "other"
	reserve := func(holder string, at time.Time) (reserved bool) {
		update(t, db, func(tx *store.Tx) error {
			mine := r
			mine.Holder = holder
			_, ok, err := tx.ReserveIdempotency(mine, at)
			reserved = ok
			return err
		})
		return reserved
	}
	wantEqual(t, reserve("other", epoch()), true)
	wantEqual(t, reserve("me", epoch().Add(59*time.Second)), false)
	wantEqual(t, reserve("me", epoch().Add(61*time.Second)), true) // abandoned
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveIdempotency(r, answer("late")) }), voice.CodeNotFound)
	update(t, db, func(tx *store.Tx) error { return tx.DropReservations() })
	wantEqual(t, reserve("other", epoch()), true)
	update(t, db, func(tx *store.Tx) error { return tx.SaveIdempotency(r, answer("ok")) })
	update(t, db, func(tx *store.Tx) error { return tx.DropReservations() }) // keeps answers
	update(t, db, func(tx *store.Tx) error {
		kept, _, err := tx.ReserveIdempotency(r, epoch())
		if kept == nil || string(kept.Body) != "ok" {
			t.Errorf("kept %+v", kept)
		}
		return err
	})
}
