package control

import (
	"context"
	"fmt"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Events returns events of a workspace after one that was seen, the oldest first,
// and where to read on: behind all that was looked at, also where the filter leaves
// it out. When some of those after it are not kept any more, it is
// voice.CodeEventsGone.
func (s *Service) Events(ctx context.Context, who voice.Principal, f voice.EventFilter) ([]voice.Event, int64, error) {
	return s.events(ctx, who, f, s.db.ViewSettled)
}

// NextEvents is Events for who was told of them: they are stored already.
func (s *Service) NextEvents(ctx context.Context, who voice.Principal, f voice.EventFilter) ([]voice.Event, int64, error) {
	return s.events(ctx, who, f, s.db.View)
}

func (s *Service) events(
	ctx context.Context, who voice.Principal, f voice.EventFilter, view func(context.Context, func(*store.Tx) error) error,
) (list []voice.Event, on int64, err error) {
	if err := s.authorize(who, voice.ActionView, Target{Workspace: f.Workspace}, "/events"); err != nil {
		return nil, 0, err
	}
	err = view(ctx, func(tx *store.Tx) (err error) {
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
		if list, err = tx.Events(f); err != nil {
			return err
		}
		if n := len(list); n > 0 && n >= f.Limit {
			on = list[n-1].Seq // there may be more
			return nil
		}
		last, err := tx.LastEvent(f.Workspace)
		on = max(f.After, last)
		return err
	})
	return list, on, err
}

// Told returns a channel that is closed when there are new events. Who takes it
// before Events misses none.
func (s *Service) Told() <-chan struct{} { return s.db.Told() }
