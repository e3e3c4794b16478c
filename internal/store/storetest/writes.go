package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

var errRefused = errors.New("refused")

func testUpdate(t *testing.T, open Opener) {
	db := opened(t, open)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutCall(call(1)); err != nil {
			return err
		}
		got, err := tx.Call(wsA, chA, call(1).ID) // sees its own writes
		wantEqual(t, got, call(1))
		if err != nil {
			return err
		}
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Fatalf("got %v", err)
	}
	if got := callIDs(t, db, voice.CallFilter{Workspace: wsA}); got != nil {
		t.Fatalf("a failed update left %v", got)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutCall(call(1)); err != nil {
			return err
		}
		panic("boom")
	})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("a panic became %v", err)
	}
	putCalls(t, db, call(2))
	if got := callIDs(t, db, voice.CallFilter{Workspace: wsA}); !slices.Equal(got, []int{2}) {
		t.Fatalf("calls %v", got)
	}
}

// blockWriter keeps the writer busy until the returned function is called.
func blockWriter(t testing.TB, db *store.DB) (release func()) {
	t.Helper()
	entered := make(chan struct{})
	gate := make(chan struct{}) // closed by release
	db.Queue(func(*store.Tx) error { close(entered); <-gate; return nil }, nil)
	receive(t, entered)
	return sync.OnceFunc(func() { close(gate) })
}

func testUpdateCancelled(t *testing.T, open Opener) {
	db := opened(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	release := blockWriter(t, db)
	defer release()
	result := make(chan error, 1)
	go func() {
		result <- db.Update(ctx, func(tx *store.Tx) error { return tx.PutCall(call(1)) })
	}()
	for db.Stats().Backlog == 0 { // until it waits
		if len(result) > 0 {
			t.Fatal("did not wait for the writer")
		}
	}
	cancel()
	if err := receive(t, result); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	release()
	if err := db.Update(ctx, func(*store.Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	// Once it runs, the context has no say: an error would be a lie.
	ctx, cancel = context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *store.Tx) error { cancel(); return tx.PutCall(call(2)) })
	if err != nil {
		t.Fatal(err)
	}
	if got := callIDs(t, db, voice.CallFilter{Workspace: wsA}); !slices.Equal(got, []int{2}) {
		t.Fatalf("calls %v", got)
	}
}

func testQueueOrder(t *testing.T, open Opener) {
	db := opened(t, open)
	release := blockWriter(t, db)
	defer release()
	const n = 600 // more than one transaction
	var ran, reported []int
	for i := range n {
		db.Queue(func(tx *store.Tx) error {
			ran = append(ran, i)
			c := call(1)
			c.HangupCause = i
			return tx.PutCall(c)
		}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			reported = append(reported, i)
		})
	}
	release()
	update(t, db, func(*store.Tx) error { return nil }) // comes after all of them
	if len(ran) != n || !slices.IsSorted(ran) || !slices.Equal(ran, reported) {
		t.Fatalf("%d ran, %d reported, sorted %v", len(ran), len(reported), slices.IsSorted(ran))
	}
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Call(wsA, chA, call(1).ID)
		wantEqual(t, got.HangupCause, n-1)
		return err
	})
	if s := db.Stats(); s.Transactions >= n || s.Functions < n {
		t.Errorf("not grouped: %+v", s)
	}
}

// testQueueFailures: in one transaction with others, each function stands and
// falls alone.
func testQueueFailures(t *testing.T, open Opener) {
	db := opened(t, open)
	release := blockWriter(t, db)
	defer release()
	results := make([]error, 30)
	for i := range results {
		db.Queue(func(tx *store.Tx) error {
			if err := tx.PutCall(call(i)); err != nil {
				return err
			}
			switch i % 3 {
			case 1:
				return errRefused
			case 2:
				panic("boom")
			}
			return nil
		}, func(err error) { results[i] = err })
	}
	release()
	update(t, db, func(*store.Tx) error { return nil })
	var want []int
	for i, err := range results {
		switch i % 3 {
		case 0:
			want = append(want, i)
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		case 1:
			if !errors.Is(err, errRefused) {
				t.Errorf("%d: %v", i, err)
			}
		case 2:
			if err == nil || !strings.Contains(err.Error(), "boom") {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	slices.Reverse(want)
	if got := callIDs(t, db, voice.CallFilter{Workspace: wsA}); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// testReplace: of the states of a row only the last is written, unless somebody looks
// in between; each is told what became of it, and a row that fails is the only one.
func testReplace(t *testing.T, open Opener) {
	db := opened(t, open)
	release := blockWriter(t, db)
	defer release()
	const rows, states, bad = 7, 20, 3
	var ran [rows]int
	var told [rows][]error
	lines := make([]store.Row, rows)
	put := func(i, state int) {
		db.Replace(&lines[i], func(tx *store.Tx) error {
			ran[i]++
			c := call(i)
			c.HangupCause = state
			if err := tx.PutCall(c); err != nil || i != bad {
				return err
			}
			return errRefused
		}, func(err error) { told[i] = append(told[i], err) })
	}
	for n := range rows * states {
		put(n%rows, n/rows)
	}
	var looked error
	db.Queue(func(tx *store.Tx) error { // what came before is there, in the transaction too
		got, err := tx.Call(wsA, chA, call(1).ID)
		wantEqual(t, got.HangupCause, states-1)
		return err
	}, func(err error) { looked = err })
	put(1, states)
	release()
	update(t, db, func(*store.Tx) error { return nil })
	if looked != nil {
		t.Error(looked)
	}
	for i := range rows {
		writes := 1
		if i == 1 {
			writes = 2
		}
		if ran[i] < writes || ran[i] > 2*writes {
			t.Errorf("row %d was written %d times", i, ran[i])
		}
		if len(told[i]) != states+writes-1 {
			t.Errorf("row %d: %d were told", i, len(told[i]))
		}
		for _, err := range told[i] {
			if errors.Is(err, errRefused) != (i == bad) {
				t.Errorf("row %d: %v", i, err)
			}
		}
	}
	if got, want := callIDs(t, db, voice.CallFilter{Workspace: wsA}), []int{6, 5, 4, 2, 1, 0}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Call(wsA, chA, call(1).ID)
		wantEqual(t, got.HangupCause, states)
		return err
	})
}

// testShow: of states that follow each other into one transaction each is told, and the
// row has the last; also when a row beside it fails.
func testShow(t *testing.T, open Opener) {
	db := opened(t, open)
	var seen int64
	for n, fails := range []bool{false, true} {
		release := blockWriter(t, db)
		var near, rec, bad store.Row
		told := make(chan error, 20)
		done := func(err error) { told <- err }
		c := call(n)
		c.NotificationURL = "https://example.com/call"
		show := func(to voice.CallStatus, put func(*store.Row, func(*store.Tx) error, func(error))) {
			c := c
			c.Status = to
			put(&near, func(tx *store.Tx) error { return tx.PutCall(c) }, done)
		}
		record := func(to voice.RecordingStatus) {
			r := recording(n)
			r.Status = to
			db.Show(&rec, func(tx *store.Tx) error { return tx.PutRecording(r) }, done)
		}
		show(voice.CallAccepted, db.Show)
		show(voice.CallAccepted, db.Replace)
		show(voice.CallRinging, db.Show)
		show(voice.CallRinging, db.Replace)
		for _, s := range []voice.RecordingStatus{voice.RecordingOngoing, voice.RecordingPaused, voice.RecordingOngoing} {
			record(s)
		}
		show(voice.CallOngoing, db.Show)
		c.AMD = &voice.AMDResult{AnsweredBy: voice.AnsweredByHuman}
		show(voice.CallOngoing, db.Replace)
		if fails {
			db.Replace(&bad, func(*store.Tx) error { return errRefused }, nil)
		}
		record(voice.RecordingCompleted)
		show(voice.CallCompleted, db.Show)
		release()
		for range 11 {
			if err := receive(t, told); err != nil {
				t.Error(err)
			}
		}
		all := events(t, db, voice.EventFilter{After: seen})
		wantEqual(t, typesOf(all), []string{
			"voice.inbound accepted", "voice.inbound ringing",
			"recording.started ongoing", "recording.paused paused", "recording.resumed ongoing",
			"voice.inbound ongoing", "recording.completed completed", "voice.inbound completed", "voice.amd completed",
		})
		for _, e := range all {
			wantEqual(t, e.NotifyURL, c.NotificationURL)
			seen = e.Seq
		}
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.Call(wsA, chA, c.ID)
			wantEqual(t, got.Status, voice.CallCompleted)
			rec, rerr := tx.RecordingByID(recording(n).ID)
			wantEqual(t, rec.Status, voice.RecordingCompleted)
			return errors.Join(err, rerr)
		})
	}
}

func testClose(t *testing.T, open Opener) {
	db := opened(t, open)
	release := blockWriter(t, db)
	const n = 300
	var failed int
	for i := range n {
		db.Queue(func(tx *store.Tx) error { return tx.PutCall(call(i)) }, func(err error) {
			if err != nil {
				failed++
			}
		})
	}
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	release()
	if err := receive(t, closed); err != nil {
		t.Fatal(err)
	}
	if failed > 0 {
		t.Errorf("%d queued functions were lost", failed)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	err := db.Update(t.Context(), func(*store.Tx) error { return nil })
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("update after close: %v", err)
	}
	var told error
	db.Queue(func(*store.Tx) error { t.Error("ran after close"); return nil }, func(err error) { told = err })
	if !errors.Is(told, store.ErrClosed) {
		t.Errorf("queue after close: %v", told)
	}
	if err := db.Ping(t.Context()); err == nil {
		t.Error("ping after close")
	}
	again := opened(t, open)
	if got := callIDs(t, again, voice.CallFilter{Workspace: wsA}); len(got) != n {
		t.Errorf("%d calls after reopening, want %d", len(got), n)
	}
}

func testView(t *testing.T, open Opener) {
	db := opened(t, open)
	putCalls(t, db, call(1))
	err := db.View(t.Context(), func(tx *store.Tx) error { return tx.PutCall(call(2)) })
	if !errors.Is(err, store.ErrReadOnly) || voice.CodeOf(err) != voice.CodeUnavailable {
		t.Fatalf("a write in a view: %v", err)
	}
	// One snapshot: what is committed meanwhile does not show.
	view(t, db, func(tx *store.Tx) error {
		count := func() int {
			calls, _, err := tx.Calls(voice.CallFilter{Workspace: wsA})
			if err != nil {
				t.Error(err)
			}
			return len(calls)
		}
		before := count()
		putCalls(t, db, call(3))
		wantEqual(t, count(), before)
		return nil
	})
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func testConcurrentWriters(t *testing.T, open Opener) {
	db := opened(t, open)
	const writers, each = 16, 20
	hammer(t, []*store.DB{db}, writers, each)
	if got := callIDs(t, db, voice.CallFilter{Workspace: wsA, Page: voice.Page{Limit: 100}}); len(got) != writers*each {
		t.Fatalf("%d calls, want %d", len(got), writers*each)
	}
}

// testTwoHandles: a server and an administrator's command write to one database.
func testTwoHandles(t *testing.T, open Opener) {
	a, b := opened(t, open), opened(t, open)
	const writers, each = 8, 15
	hammer(t, []*store.DB{a, b}, writers, each)
	for _, db := range []*store.DB{a, b} {
		if got := callIDs(t, db, voice.CallFilter{Workspace: wsA, Page: voice.Page{Limit: 100}}); len(got) != writers*each {
			t.Fatalf("%d calls, want %d", len(got), writers*each)
		}
	}
}

// hammer writes calls from many goroutines and reads each one back.
func hammer(t *testing.T, dbs []*store.DB, writers, each int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range writers {
		db := dbs[w%len(dbs)]
		wg.Go(func() {
			for i := range each {
				c := call(w*each + i)
				if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCall(c) }); err != nil {
					t.Error(err)
					return
				}
				if err := db.View(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Call(wsA, chA, c.ID)
					return err
				}); err != nil {
					t.Errorf("committed, but not to be seen: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// testOpenAtOnce: whoever comes first makes the schema.
func testOpenAtOnce(t *testing.T, open Opener) {
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			db, err := open()
			if err == nil {
				err = db.Update(t.Context(), func(tx *store.Tx) error {
					return tx.InsertWorkspace(voice.Workspace{ID: voice.WorkspaceID(fmt.Sprint(i)), CreatedAt: epoch(), UpdatedAt: epoch()})
				})
				err = errors.Join(err, db.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	db := opened(t, open)
	view(t, db, func(tx *store.Tx) error {
		all, err := tx.Workspaces()
		wantEqual(t, len(all), len(errs))
		return err
	})
}
