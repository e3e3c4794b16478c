package session

import (
	"context"
	"log/slog"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Recover ends the calls that a crash left open in the store. alive is when
// the crashed server was last known to run; no call lasts longer than that. A
// call that waits for its time goes on waiting. Called once, before the first
// call is taken.
func Recover(ctx context.Context, db *store.DB, alive time.Time, log *slog.Logger) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		calls, err := tx.UnfinishedCalls()
		if err != nil {
			return err
		}
		for _, c := range calls {
			if c.Status == voice.CallScheduled {
				continue
			}
			c.Status = voice.CallFailed
			if !c.AnsweredAt.IsZero() {
				c.Status = voice.CallCompleted
			}
			c.HangupSource, c.Reason = voice.HangupByNone, "the server that carried the call was lost"
			c.HangupCause = 27 // Q.850: destination out of order
			c.EndedAt = c.UpdatedAt
			if alive.After(c.EndedAt) {
				c.EndedAt = alive.UTC()
			}
			c.UpdatedAt = time.Now().UTC()
			if err := tx.PutCall(c); err != nil {
				return err
			}
			log.Warn("call ended by a crash", "call", c.ID, "status", c.Status)
		}
		return nil
	})
}
