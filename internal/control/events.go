package control

import (
	"context"
	"fmt"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Events returns events of a workspace after one that was seen, the oldest
// first. When some of those after it are not kept any more, it is
// voice.CodeEventsGone.
func (s *Service) Events(ctx context.Context, who voice.Principal, f voice.EventFilter) (list []voice.Event, err error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: f.Workspace}, "/events"); err != nil {
		return nil, err
	}
	err = s.db.ViewSettled(ctx, func(tx *store.Tx) (err error) {
		gone, err := tx.EventsForgotten(f.Workspace)
		if err != nil {
			return err
		}
		if f.After > 0 && f.After < gone {
			return &voice.Error{
				Code:    voice.CodeEventsGone,
				Message: fmt.Sprintf("Events after %d are not kept any more: read on from %d, or leave after out", f.After, gone),
			}
		}
		list, err = tx.Events(f)
		return err
	})
	return list, err
}

// Told returns a channel that is closed when there are new events. Who takes it
// before Events misses none.
func (s *Service) Told() <-chan struct{} { return s.db.Told() }
