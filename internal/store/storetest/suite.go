package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Opener opens one database, the same one every time. Whoever opens it closes
// it.
type Opener func() (*store.DB, error)

// Run runs the suite. fresh makes a new empty database for each test.
func Run(t *testing.T, fresh func(t testing.TB) Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"workspaces":                   testWorkspaces,
		"channels":                     testChannels,
		"channel for number":           testChannelForNumber,
		"keys":                         testKeys,
		"calls":                        testCalls,
		"call filters":                 testCallFilters,
		"call durations":               testCallDurations,
		"recordings":                   testRecordings,
		"recording filters":            testRecordingFilters,
		"recording counts":             testRecordingCounts,
		"renders":                      testRenders,
		"events":                       testEvents,
		"event rolled back":            testRolledBackEvent,
		"scheduled calls":              testScheduledCalls,
		"channel with scheduled calls": testChannelWithScheduledCalls,
		"subscriptions":                testSubscriptions,
		"deliveries":                   testDeliveries,
		"deliveries moved":             testMovedDeliveries,
		"events forgotten":             testForgottenEvents,
		"events told":                  testTold,
		"media":                        testMedia,
		"transcriptions":               testTranscriptions,
		"text from outside":            testText,
		"pages":                        testPages,
		"pages while inserting":        testPagesWhileInserting,
		"page tokens":                  testPageTokens,
		"update":                       testUpdate,
		"update cancelled":             testUpdateCancelled,
		"queue order":                  testQueueOrder,
		"queue failures":               testQueueFailures,
		"replace":                      testReplace,
		"show":                         testShow,
		"close":                        testClose,
		"view":                         testView,
		"concurrent writers":           testConcurrentWriters,
		"two handles":                  testTwoHandles,
		"open at once":                 testOpenAtOnce,
		"jobs":                         testJobs,
		"job asked again":              testJobAskedAgain,
		"job leases":                   testJobLeases,
		"jobs claimed once":            testJobsClaimedOnce,
		"idempotency":                  testIdempotency,
		"idempotency at once":          testIdempotencyAtOnce,
		"idempotency failures":         testIdempotencyFailures,
		"idempotency holders":          testIdempotencyHolders,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func opened(t testing.TB, open Opener) *store.DB {
	t.Helper()
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func update(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func wantCode(t testing.TB, err error, want voice.Code) {
	t.Helper()
	if err == nil || voice.CodeOf(err) != want {
		t.Fatalf("got error %v, want code %s", err, want)
	}
}

func wantEqual(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%+v\nwant\n%+v", got, want)
	}
}

// epoch is when the test data begins. It has a part below the millisecond.
func epoch() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 123456000, time.UTC) }

// id makes a UUID that tells where it comes from.
func id(kind, n int) string { return fmt.Sprintf("%08x-0000-7000-8000-%012x", kind, n) }

const (
	wsA voice.WorkspaceID = "aaaaaaaa-0000-7000-8000-000000000001"
	wsB voice.WorkspaceID = "bbbbbbbb-0000-7000-8000-000000000002"
	chA voice.ChannelID   = "cccccccc-0000-7000-8000-000000000001"
	chB voice.ChannelID   = "cccccccc-0000-7000-8000-000000000002"
)

// tenants makes two workspaces.
func tenants(t testing.TB, db *store.DB) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, w := range []voice.WorkspaceID{wsA, wsB} {
			if err := tx.InsertWorkspace(voice.Workspace{ID: w, Name: string(w[:1]), CreatedAt: epoch(), UpdatedAt: epoch()}); err != nil {
				return err
			}
		}
		return nil
	})
}

func call(n int) voice.Call {
	at := epoch().Add(time.Duration(n) * time.Second)
	return voice.Call{
		ID: voice.CallID(id(1, n)), Workspace: wsA, Channel: chA, From: "+100", To: "200",
		Direction: voice.Incoming, Type: voice.CallPSTN, Status: voice.CallAccepted, CreatedAt: at, UpdatedAt: at,
	}
}

func recording(n int) voice.Recording {
	at := epoch().Add(time.Duration(n) * time.Second)
	return voice.Recording{
		ID: voice.RecordingID(id(2, n)), Workspace: wsA, Channel: chA, Call: voice.CallID(id(1, n)),
		Status: voice.RecordingAccepted, Origin: voice.OriginCommandRecordCall, Direction: voice.Incoming,
		From: "+100", To: "200", CreatedAt: at, UpdatedAt: at,
	}
}

func putCalls(t testing.TB, db *store.DB, calls ...voice.Call) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, c := range calls {
			if err := tx.PutCall(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func putRecordings(t testing.TB, db *store.DB, recordings ...voice.Recording) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, r := range recordings {
			if err := tx.PutRecording(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// callIDs lists the calls of a filter, all pages, as numbers given to call.
func callIDs(t testing.TB, db *store.DB, f voice.CallFilter) []int {
	t.Helper()
	var out []int
	for {
		var calls []voice.Call
		view(t, db, func(tx *store.Tx) (err error) {
			calls, f.Token, err = tx.Calls(f)
			return err
		})
		for i := range calls {
			out = append(out, numberOf(t, string(calls[i].ID)))
		}
		if f.Token == "" {
			return out
		}
	}
}

func recordingIDs(t testing.TB, db *store.DB, f voice.RecordingFilter) []int {
	t.Helper()
	var out []int
	for {
		var recordings []voice.Recording
		view(t, db, func(tx *store.Tx) (err error) {
			recordings, f.Token, err = tx.Recordings(f)
			return err
		})
		for i := range recordings {
			out = append(out, numberOf(t, string(recordings[i].ID)))
		}
		if f.Token == "" {
			return out
		}
	}
}

func numberOf(t testing.TB, id string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(id[24:], "%x", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// receive waits for a value.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
