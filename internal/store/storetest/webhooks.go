package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

func subscription(n int, url string) voice.Subscription {
	return voice.Subscription{
		ID: voice.SubscriptionID(id(5, n)), Workspace: wsA, Service: voice.ServiceChannels, Event: voice.EventInbound,
		Filters: []voice.SubscriptionFilter{{Key: voice.FilterStatus, Value: "ringing"}}, URL: url,
		SigningKey: "k", Status: voice.SubscriptionActive, CreatedAt: epoch(), UpdatedAt: epoch(),
	}
}

func delivery(n int, s voice.Subscription, on voice.CallID) voice.Delivery {
	return voice.Delivery{
		ID: voice.DeliveryID(id(6, n)), Workspace: wsA, Subscription: s.ID, Event: voice.EventID(id(7, n)), Seq: int64(n),
		Type: voice.EventInbound, Call: on, URL: s.URL, Status: voice.DeliveryPending, NextAt: epoch(), Since: epoch(),
		CreatedAt: epoch().Add(time.Duration(n) * time.Second), UpdatedAt: epoch(),
	}
}

func insertDeliveries(t testing.TB, db *store.DB, list ...voice.Delivery) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, d := range list {
			if err := tx.InsertDelivery(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// wantDue checks which deliveries are due, and when the next of the others is.
func wantDue(t testing.TB, db *store.DB, d store.Due, next time.Time, want ...voice.Delivery) {
	t.Helper()
	d.Limit = 10
	view(t, db, func(tx *store.Tx) error {
		got, at, err := tx.DueDeliveries(d)
		var have, need []voice.DeliveryID
		for _, one := range got {
			have = append(have, one.ID)
		}
		for _, one := range want {
			need = append(need, one.ID)
		}
		wantEqual(t, have, need)
		wantEqual(t, at, next)
		return err
	})
}

func testSubscriptions(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	s := subscription(1, "https://example.com/hook")
	foreign := s
	foreign.Workspace = wsB
	update(t, db, func(tx *store.Tx) error { return tx.PutSubscription(s) })
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutSubscription(foreign) }), voice.CodeNotFound)
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteSubscription(wsB, s.ID, epoch()) }), voice.CodeNotFound)
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Subscription(wsA, s.ID)
		wantEqual(t, got, s)
		_, missing := tx.Subscription(wsB, s.ID)
		wantCode(t, missing, voice.CodeNotFound)
		all, err2 := tx.AllSubscriptions()
		wantEqual(t, all, []voice.Subscription{s})
		return errors.Join(err, err2)
	})
}

// testDeliveries: those of one call to one address are due one after the other,
// whatever subscription they are of, and what is over makes the next one due.
func testDeliveries(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	s := subscription(1, "https://example.com/hook")
	twin := subscription(2, s.URL)
	update(t, db, func(tx *store.Tx) error { return errors.Join(tx.PutSubscription(s), tx.PutSubscription(twin)) })
	first, second, other := delivery(1, s, "a"), delivery(2, twin, "a"), delivery(3, s, "b")
	double := first
	double.ID = voice.DeliveryID(id(6, 9))
	now, never := epoch(), time.Time{}
	insertDeliveries(t, db, first, second, other, double)
	wantDue(t, db, store.Due{Now: now}, never, first, other) // the second of call a waits for the first
	wantDue(t, db, store.Due{Now: now.Add(-time.Second)}, now)
	wantDue(t, db, store.Due{Now: now, Sending: []voice.DeliveryID{first.ID}}, never, other)
	wantDue(t, db, store.Due{Now: now, Busy: []string{s.URL}}, never)
	later := now.Add(time.Minute)
	first.Status, first.Attempts, first.Tries, first.NextAt, first.Code, first.DeliveredAt = voice.DeliveryDelivered, 1, 1, never, 204, now
	other.Attempts, other.Tries, other.NextAt, other.Code, other.Problem = 1, 1, later, 500, "it answered 500"
	update(t, db, func(tx *store.Tx) error { return errors.Join(tx.UpdateDelivery(first), tx.UpdateDelivery(other)) })
	wantDue(t, db, store.Due{Now: now}, later, second)
	second.NextAt = first.UpdatedAt
	view(t, db, func(tx *store.Tx) error {
		got, next, err := tx.Deliveries(voice.DeliveryFilter{Workspace: wsA})
		wantEqual(t, got, []voice.Delivery{other, second, first})
		wantEqual(t, next, "")
		done, _, err2 := tx.Deliveries(voice.DeliveryFilter{Workspace: wsA, Subscription: s.ID, Status: voice.DeliveryDelivered})
		wantEqual(t, done, []voice.Delivery{first})
		one, err3 := tx.Delivery(wsA, other.ID)
		wantEqual(t, one, other)
		_, missing := tx.Delivery(wsB, other.ID)
		wantCode(t, missing, voice.CodeNotFound)
		stale, err4 := tx.StaleDeliveries(later, 1)
		wantEqual(t, stale, []voice.Delivery{second})
		return errors.Join(err, err2, err3, err4)
	})
	update(t, db, func(tx *store.Tx) error { return tx.DeleteSubscription(wsA, s.ID, now) })
	wantDue(t, db, store.Due{Now: later}, never, second)
	view(t, db, func(tx *store.Tx) error {
		given, _, err := tx.Deliveries(voice.DeliveryFilter{Workspace: wsA, Status: voice.DeliveryFailed})
		if len(given) != 1 || given[0].Problem != "the subscription was deleted" {
			t.Errorf("given up: %+v", given)
		}
		left, _, err2 := tx.Subscriptions(wsA, voice.Page{})
		wantEqual(t, left, []voice.Subscription{twin})
		return errors.Join(err, err2)
	})
	for _, want := range []int{2, 0} {
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.DeleteDeliveries(later, 10)
			wantEqual(t, n, want)
			return err
		})
	}
}

// testMovedDeliveries: a new address takes along what waits, in its order among
// what waits there already, and lets go what waited behind it.
func testMovedDeliveries(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	s, twin, there := subscription(1, "https://example.com/a"), subscription(2, "https://example.com/a"), subscription(3, "https://example.com/b")
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.PutSubscription(s), tx.PutSubscription(twin), tx.PutSubscription(there))
	})
	one, two, three, four := delivery(1, s, "a"), delivery(2, twin, "a"), delivery(3, there, "a"), delivery(4, s, "a")
	insertDeliveries(t, db, one, two, three, four)
	now := epoch()
	wantDue(t, db, store.Due{Now: now}, time.Time{}, one, three)
	update(t, db, func(tx *store.Tx) error { return tx.MoveDeliveries(s.ID, s.URL, there.URL, now) })
	wantDue(t, db, store.Due{Now: now}, time.Time{}, one, two)
	one.URL, one.Status, one.NextAt = there.URL, voice.DeliveryFailed, time.Time{}
	update(t, db, func(tx *store.Tx) error { return tx.UpdateDelivery(one) })
	wantDue(t, db, store.Due{Now: now}, time.Time{}, two, three)
	gone := one
	gone.ID = voice.DeliveryID(id(6, 99))
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateDelivery(gone) }), voice.CodeNotFound)
}

// testForgottenEvents: what is still to be delivered is not forgotten, and it is
// known up to where a workspace's events are gone.
func testForgottenEvents(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	s := subscription(1, "https://example.com/hook")
	c := call(1)
	putCalls(t, db, c)
	c.Status = voice.CallRinging
	putCalls(t, db, c)
	all := events(t, db, voice.EventFilter{Workspace: wsA})
	d := delivery(1, s, c.ID)
	d.Event, d.Seq = all[0].ID, all[0].Seq
	insertDeliveries(t, db, d)
	forget := func(want int) {
		t.Helper()
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.DeleteEvents(epoch().Add(time.Hour), 10)
			wantEqual(t, n, want)
			return err
		})
	}
	floor := func(ws voice.WorkspaceID, want int64) {
		t.Helper()
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.EventsForgotten(ws)
			wantEqual(t, got, want)
			return err
		})
	}
	floor(wsA, 0)
	forget(1)
	floor(wsA, all[1].Seq)
	d.Status = voice.DeliveryDelivered
	update(t, db, func(tx *store.Tx) error { return tx.UpdateDelivery(d) })
	forget(1)
	floor(wsA, all[1].Seq) // and not back to the earlier one
	floor(wsB, 0)
}

// testTold: who waits for events is woken by them, and by nothing else.
func testTold(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	told := db.Told()
	putCalls(t, db, call(1))
	testkit.Eventually(t, patience, func() bool { return over(told) })
	told = db.Told()
	putCalls(t, db, call(1)) // nothing is new
	if over(told) || len(events(t, db, voice.EventFilter{})) != 1 {
		t.Error("told of nothing")
	}
	refused := errors.New("no")
	err := db.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.PutCall(call(2)), refused) })
	if !errors.Is(err, refused) || over(told) || slices.Contains(typesOf(events(t, db, voice.EventFilter{})), "voice.outbound") {
		t.Errorf("told of what was undone: %v", err)
	}
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
