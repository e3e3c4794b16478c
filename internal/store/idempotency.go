package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

// IdempotencyLife is how long an answer is kept and given again.
const IdempotencyLife = 24 * time.Hour

const (
	// abandonedAfter is when a request that another process began and never
	// answered may be begun again. No request takes that long.
	abandonedAfter = time.Minute
	// lookAgain is how often to look whether another process has answered.
	lookAgain = 50 * time.Millisecond
)

// IdempotentRequest names a request that the client may send again.
type IdempotentRequest struct {
	Workspace voice.WorkspaceID
	Key       string // the Idempotency-Key header
	Hash      []byte // of method, path and body: what makes it the same request
	Holder    string // who answers it; Idempotent fills it in
}

// Response is an answer that is kept and given again.
type Response struct {
	Status      int // HTTP status code
	ContentType string
	Body        []byte // UTF-8 text
}

type idempotencyRow struct {
	bun.BaseModel `bun:"table:idempotency"`

	Workspace   string `bun:"workspace,pk"`
	Key         string `bun:"idem_key,pk"`
	RequestHash string `bun:"request_hash"`
	Holder      string `bun:"holder"`
	Status      int    `bun:"status"`
	ContentType string `bun:"content_type"`
	Body        string `bun:"body"`
	CreatedAt   int64  `bun:"created_at"`
}

// Idempotent answers a request at most once per workspace and key, however
// often and however concurrently it comes within IdempotencyLife:
//
//   - the first one runs do, and its Response is kept on disk before Idempotent
//     returns it;
//   - the same request again gets that Response, with replayed true; while the
//     first is still running it waits for it (or for ctx);
//   - another request under the same key is voice.CodeIdempotencyKeyReused.
//
// do returns a Response for every outcome that must be repeated to the client,
// refusals among them. When it returns an error, nothing is kept, the error is
// returned, and whoever waits or comes next runs do again; so use it for faults
// of the server. do gets ctx without its cancellation: a client that goes away
// in the middle and comes back finds the answer.
//
// When the answer could not be kept, Idempotent returns it together with the
// error: answer the client and log the error.
func (db *DB) Idempotent(
	ctx context.Context, r IdempotentRequest, do func(context.Context) (Response, error),
) (_ Response, replayed bool, _ error) {
	r.Holder = db.holder
	land, err := db.flights.board(ctx, string(r.Workspace)+"\x00"+r.Key)
	if err != nil {
		return Response{}, false, fmt.Errorf("wait for the same request: %w", err)
	}
	defer land()
	kept, err := db.reserve(ctx, r)
	if err != nil {
		return Response{}, false, err
	}
	if kept != nil {
		return *kept, true, nil
	}

	ctx = context.WithoutCancel(ctx)
	answered := false
	defer func() {
		if !answered { // do failed or panicked
			db.Queue(func(t *Tx) error { return t.DropIdempotency(r) }, nil)
		}
	}()
	out, err := do(ctx)
	if err != nil {
		return Response{}, false, err
	}
	answered = true
	err = db.Update(ctx, func(t *Tx) error { return t.SaveIdempotency(r, out) })
	return out, false, err
}

// reserve takes the key, or returns the answer that is kept. While another
// process works on the request, it waits.
func (db *DB) reserve(ctx context.Context, r IdempotentRequest) (*Response, error) {
	for {
		var kept *Response
		var reserved bool
		err := db.Update(ctx, func(t *Tx) error {
			var err error
			kept, reserved, err = t.ReserveIdempotency(r, time.Now())
			return err
		})
		if err != nil || kept != nil || reserved {
			return kept, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the same request: %w", ctx.Err())
		case <-time.After(lookAgain):
		}
	}
}

// ReserveIdempotency takes a key for the request, so that its holder must answer
// it (reserved), or returns the answer given before (kept). Neither means that
// another holder is working on it. Another request under the key is
// voice.CodeIdempotencyKeyReused. Keys older than IdempotencyLife are forgotten.
func (t *Tx) ReserveIdempotency(r IdempotentRequest, now time.Time) (kept *Response, reserved bool, _ error) {
	_, err := t.db.NewDelete().Model((*idempotencyRow)(nil)).
		Where("created_at <= ?", micros(now.Add(-IdempotencyLife))).Exec(t.ctx)
	if err != nil {
		return nil, false, fail("forget old idempotency keys", err)
	}
	var row idempotencyRow
	err = t.db.NewSelect().Model(&row).
		Where("workspace = ? AND idem_key = ?", string(r.Workspace), text(r.Key)).Scan(t.ctx)
	if errors.Is(err, sql.ErrNoRows) {
		row = idempotencyRow{
			Workspace: string(r.Workspace), Key: text(r.Key), RequestHash: hex.EncodeToString(r.Hash),
			Holder: r.Holder, CreatedAt: micros(now),
		}
		_, err = t.db.NewInsert().Model(&row).Exec(t.ctx)
		return nil, err == nil, fail("reserve idempotency key", err)
	}
	switch {
	case err != nil:
		return nil, false, fail("read idempotency key", err)
	case row.RequestHash != hex.EncodeToString(r.Hash):
		return nil, false, &voice.Error{
			Code: voice.CodeIdempotencyKeyReused, Op: "store: reserve idempotency key",
			Message: "This Idempotency-Key was sent with another request before: use a new key for a new request",
		}
	case row.Holder == "":
		return &Response{Status: row.Status, ContentType: row.ContentType, Body: []byte(row.Body)}, false, nil
	case row.Holder != r.Holder && now.Sub(timeOf(row.CreatedAt)) < abandonedAfter:
		return nil, false, nil
	}
	row.Holder, row.CreatedAt = r.Holder, micros(now)
	_, err = t.db.NewUpdate().Model(&row).Column("holder", "created_at").WherePK().Exec(t.ctx)
	return nil, err == nil, fail("take over idempotency key", err)
}

// SaveIdempotency keeps the answer to a request that its holder reserved.
func (t *Tx) SaveIdempotency(r IdempotentRequest, answer Response) error {
	res, err := t.db.NewUpdate().Model((*idempotencyRow)(nil)).
		Set("holder = ''").Set("status = ?", answer.Status).
		Set("content_type = ?", text(answer.ContentType)).Set("body = ?", text(string(answer.Body))).
		Where("workspace = ? AND idem_key = ? AND holder = ?", string(r.Workspace), text(r.Key), r.Holder).
		Exec(t.ctx)
	return changed("idempotency key", res, err)
}

// DropIdempotency gives a reserved key back without an answer.
func (t *Tx) DropIdempotency(r IdempotentRequest) error {
	_, err := t.db.NewDelete().Model((*idempotencyRow)(nil)).
		Where("workspace = ? AND idem_key = ? AND holder = ?", string(r.Workspace), text(r.Key), r.Holder).
		Exec(t.ctx)
	return fail("drop idempotency key", err)
}

// DropReservations gives back every key that is not answered. The server calls
// it when it starts: who held them is gone, and a client that comes again must
// not wait for it.
func (t *Tx) DropReservations() error {
	_, err := t.db.NewDelete().Model((*idempotencyRow)(nil)).Where("holder <> ''").Exec(t.ctx)
	return fail("drop idempotency reservations", err)
}

// flights lets one request of a key through at a time, in this process.
type flights struct {
	mu  sync.Mutex               // guards all; held for nanoseconds
	all map[string]chan struct{} // closed by the one in flight when it lands; nobody sends
}

// board waits until no other request of the key is in flight, and returns what
// to call at the end of this one.
func (f *flights) board(ctx context.Context, key string) (land func(), _ error) {
	for {
		f.mu.Lock()
		ahead, busy := f.all[key]
		if !busy {
			if f.all == nil {
				f.all = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			f.all[key] = mine
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				delete(f.all, key)
				f.mu.Unlock()
				close(mine)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-ahead:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
