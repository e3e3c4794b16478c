package webhook

import (
	"context"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

const (
	sweepEvery  = 5 * time.Minute
	sweepAtOnce = 500 // rows in a transaction, so that others have their turn
	// overdue is how long after voice.RetryFor a delivery may wait for its last
	// attempt. One whose receiver has so much before it that it was not reached by
	// then is given up without.
	overdue = 10 * time.Minute
)

// sweep gives up what could not be delivered and forgets what is old, now and
// then.
func (s *Sender) sweep(ctx context.Context) error {
	now := s.o.Now()
	if !s.swept.IsZero() && now.Sub(s.swept) < sweepEvery {
		return nil
	}
	old := now.Add(-s.o.Keep)
	for _, step := range []func(*store.Tx) (int, error){
		func(tx *store.Tx) (int, error) { return s.giveUp(tx, now) },
		func(tx *store.Tx) (int, error) { return tx.DeleteDeliveries(old, sweepAtOnce) },
		func(tx *store.Tx) (int, error) { return tx.DeleteEvents(old, sweepAtOnce) },
	} {
		for n := sweepAtOnce; n == sweepAtOnce; {
			err := s.o.DB.Update(ctx, func(tx *store.Tx) (err error) {
				n, err = step(tx)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	s.swept = now
	return nil
}

// giveUp ends deliveries whose time is over although nobody came to try them.
func (s *Sender) giveUp(tx *store.Tx, now time.Time) (int, error) {
	stale, err := tx.StaleDeliveries(now.Add(-voice.RetryFor-overdue), sweepAtOnce)
	if err != nil {
		return 0, err
	}
	for _, d := range stale {
		d.Status, d.NextAt, d.UpdatedAt = voice.DeliveryFailed, time.Time{}, now.UTC()
		if d.Problem == "" {
			d.Problem = "others for this address took all the time that there was"
		}
		if err := tx.UpdateDelivery(d); err != nil {
			return 0, err
		}
	}
	return len(stale), nil
}
