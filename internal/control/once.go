package control

import (
	"context"
	"encoding/json"
	"fmt"

	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Once makes a verb safe to repeat: for a day the same key gets the first
// answer again. The zero value asks for nothing of the kind.
type Once struct {
	Key  string // chosen by the client
	Hash []byte // of the request; the same key with another hash is refused
}

// actTimeout is how long a verb that changes something may take. It is far
// above what it does take, and ends a request when a disk hangs.
const actTimeout = 30 * time.Second

// accepted is the status that kept answers stand for: every verb that can be
// repeated answers so.
const accepted = 202

// act runs do at most once for the key, and not under the request's own
// context: a client that hangs up must not leave work half done that its next
// try would do a second time.
func act[T any](ctx context.Context, s *Service, ws voice.WorkspaceID, o Once, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actTimeout)
	defer cancel()
	if o.Key == "" {
		return do(ctx)
	}
	var value T
	kept, replayed, err := s.db.Idempotent(ctx, store.IdempotentRequest{Workspace: ws, Key: o.Key, Hash: o.Hash},
		func(free context.Context) (store.Response, error) {
			free, cancel := context.WithTimeout(free, actTimeout) // free of our deadline, too
			defer cancel()
			var err error
			if value, err = do(free); err != nil {
				return store.Response{}, err // not kept: the next try may succeed
			}
			body, err := json.Marshal(value)
			return store.Response{Status: accepted, ContentType: "application/json", Body: body}, err
		})
	if err != nil && kept.Status == accepted {
		// It is done and cannot be undone: the client is told so, although a
		// repetition would do it again.
		s.log.Error("answer for an idempotency key was not kept", "workspace", ws, "error", err)
		return value, nil
	}
	if err != nil || !replayed {
		return value, err
	}
	if err := json.Unmarshal(kept.Body, &value); err != nil {
		return value, fmt.Errorf("read the kept answer for an idempotency key: %w", err)
	}
	return value, nil
}
