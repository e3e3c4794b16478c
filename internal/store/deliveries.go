package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type deliveryRow struct {
	bun.BaseModel `bun:"table:deliveries"`

	ID           string `bun:"id,pk"`
	Workspace    string `bun:"workspace"`
	Subscription string `bun:"subscription"`
	Event        string `bun:"event"`
	Seq          int64  `bun:"seq"`
	Type         string `bun:"type"`
	Call         string `bun:"call"`
	URL          string `bun:"url"`
	Status       string `bun:"status"`
	Attempts     int    `bun:"attempts"`
	Since        int64  `bun:"since"`
	Tries        int    `bun:"tries"`
	NextAt       int64  `bun:"next_at"` // 0 = it is over, or waits for an older one
	Code         int    `bun:"code"`
	Problem      string `bun:"problem"`
	CreatedAt    int64  `bun:"created_at"`
	UpdatedAt    int64  `bun:"updated_at"`
	DeliveredAt  int64  `bun:"delivered_at"`
}

func (r deliveryRow) place() place { return place{r.CreatedAt, r.ID} }

func (r *deliveryRow) noun() voice.Delivery {
	return voice.Delivery{
		ID: voice.DeliveryID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Subscription: voice.SubscriptionID(r.Subscription),
		Event: voice.EventID(r.Event), Seq: r.Seq, Type: voice.EventType(r.Type), Call: voice.CallID(r.Call), URL: r.URL,
		Status: voice.DeliveryStatus(r.Status), Attempts: r.Attempts, Since: timeOf(r.Since), Tries: r.Tries,
		NextAt: timeOf(r.NextAt), Code: r.Code, Problem: r.Problem,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt), DeliveredAt: timeOf(r.DeliveredAt),
	}
}

func deliveriesOf(rows []deliveryRow) []voice.Delivery {
	out := make([]voice.Delivery, len(rows))
	for i := range rows {
		out[i] = rows[i].noun()
	}
	return out
}

// There is at most one delivery of an event for a subscription, and at most one
// for a call's notification URL. Those of one call to one address are made in the
// order of their events: only the oldest pending one has a NextAt.

// InsertDelivery writes a new delivery, which is due at its NextAt or when those
// before it are over. One that is there already stays as it is.
func (t *Tx) InsertDelivery(d voice.Delivery) error {
	older, err := t.db.NewSelect().Model((*deliveryRow)(nil)).
		Where("status = 'pending' AND url = ? AND call = ? AND seq < ?", text(d.URL), string(d.Call), d.Seq).Exists(t.ctx)
	if err != nil {
		return fail("look for older deliveries", err)
	}
	if older {
		d.NextAt = time.Time{}
	}
	row := &deliveryRow{
		ID: string(d.ID), Workspace: string(d.Workspace), Subscription: string(d.Subscription),
		Event: string(d.Event), Seq: d.Seq, Type: string(d.Type), Call: string(d.Call), URL: text(d.URL),
		Status: string(d.Status), Attempts: d.Attempts, Since: micros(d.Since), Tries: d.Tries, NextAt: micros(d.NextAt),
		Code: d.Code, Problem: text(d.Problem),
		CreatedAt: micros(d.CreatedAt), UpdatedAt: micros(d.UpdatedAt), DeliveredAt: micros(d.DeliveredAt),
	}
	_, err = t.db.NewInsert().Model(row).On("CONFLICT (event, subscription) DO NOTHING").Exec(t.ctx)
	return fail("write delivery", err)
}

// UpdateDelivery writes how a delivery goes. When it is not pending any more, the
// next one of its call and address is due at once.
func (t *Tx) UpdateDelivery(d voice.Delivery) error {
	res, err := t.db.NewUpdate().Model((*deliveryRow)(nil)).
		Set("url = ?", text(d.URL)).Set("status = ?", string(d.Status)).Set("attempts = ?", d.Attempts).
		Set("since = ?", micros(d.Since)).Set("tries = ?", d.Tries).Set("next_at = ?", micros(d.NextAt)).
		Set("code = ?", d.Code).Set("problem = ?", text(d.Problem)).
		Set("updated_at = ?", micros(d.UpdatedAt)).Set("delivered_at = ?", micros(d.DeliveredAt)).
		Where("id = ? AND workspace = ?", string(d.ID), string(d.Workspace)).Exec(t.ctx)
	if err := changed("delivery", res, err); err != nil {
		return err
	}
	if d.Status == voice.DeliveryPending {
		return nil
	}
	return t.releaseDeliveries(d.URL, d.Call, d.UpdatedAt)
}

// releaseDeliveries makes those due that waited for others of their call, to an
// address. An empty call means every call.
func (t *Tx) releaseDeliveries(url string, call voice.CallID, at time.Time) error {
	q := t.db.NewUpdate().Model((*deliveryRow)(nil)).Set("next_at = ?", micros(at)).
		Where("status = 'pending' AND next_at = 0 AND url = ?", text(url)).Where("NOT EXISTS (?)", t.olderDelivery())
	if call != "" {
		q = q.Where("call = ?", string(call))
	}
	_, err := q.Exec(t.ctx)
	return fail("release deliveries", err)
}

func (t *Tx) olderDelivery() *bun.SelectQuery {
	return t.db.NewSelect().TableExpr("deliveries AS older").ColumnExpr("1").
		Where("older.status = 'pending' AND older.url = delivery_row.url").
		Where("older.call = delivery_row.call AND older.seq < delivery_row.seq")
}

// MoveDeliveries sends what a subscription has not delivered yet to its new
// address.
func (t *Tx) MoveDeliveries(id voice.SubscriptionID, from, to string, at time.Time) error {
	_, err := t.db.NewUpdate().Model((*deliveryRow)(nil)).Set("url = ?", text(to)).
		Where("status = 'pending' AND subscription = ?", string(id)).Exec(t.ctx)
	if err != nil {
		return fail("move deliveries", err)
	}
	_, err = t.db.NewUpdate().Model((*deliveryRow)(nil)).Set("next_at = 0").
		Where("status = 'pending' AND next_at > 0 AND url = ?", text(to)).Where("EXISTS (?)", t.olderDelivery()).Exec(t.ctx)
	if err != nil {
		return fail("put deliveries in order", err)
	}
	for _, url := range []string{from, to} {
		if err := t.releaseDeliveries(url, "", at); err != nil {
			return err
		}
	}
	return nil
}

// Delivery returns a delivery of a workspace.
func (t *Tx) Delivery(ws voice.WorkspaceID, id voice.DeliveryID) (voice.Delivery, error) {
	var r deliveryRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Delivery{}, missing("webhook delivery", err)
	}
	return r.noun(), nil
}

// Deliveries returns one page of deliveries, newest first, and the token of the
// next page, empty on the last.
func (t *Tx) Deliveries(f voice.DeliveryFilter) ([]voice.Delivery, string, error) {
	rows, next, err := page[deliveryRow](t, listDeliveries, f.Page, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("workspace = ?", string(f.Workspace))
		if f.Subscription != "" {
			q = q.Where("subscription = ?", string(f.Subscription))
		}
		if f.Status != "" {
			q = q.Where("status = ?", string(f.Status))
		}
		return q
	}, nil)
	return deliveriesOf(rows), next, err
}

// Due says which deliveries to look for.
type Due struct {
	Now     time.Time
	Limit   int
	Sending []voice.DeliveryID  // that are on their way
	Busy    []string            // addresses that get no more for now
	Full    []voice.WorkspaceID // workspaces that get no more for now
}

// DueDeliveries returns deliveries whose time has come, the longest due first,
// and when the first of the others is due, which is zero when there are none.
func (t *Tx) DueDeliveries(d Due) ([]voice.Delivery, time.Time, error) {
	free := func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("status = 'pending' AND next_at > 0")
		if len(d.Sending) > 0 {
			q = q.Where("id NOT IN (?)", bun.List(d.Sending))
		}
		if len(d.Busy) > 0 {
			q = q.Where("url NOT IN (?)", bun.List(d.Busy))
		}
		if len(d.Full) > 0 {
			q = q.Where("workspace NOT IN (?)", bun.List(d.Full))
		}
		return q
	}
	var rows []deliveryRow
	err := free(t.db.NewSelect().Model(&rows)).Where("next_at <= ?", micros(d.Now)).
		OrderExpr("next_at, seq").Limit(int64(d.Limit)).Scan(t.ctx)
	if err != nil {
		return nil, time.Time{}, fail("read due deliveries", err)
	}
	var next []int64
	err = free(t.db.NewSelect().Model((*deliveryRow)(nil))).Column("next_at").Where("next_at > ?", micros(d.Now)).
		OrderExpr("next_at").Limit(1).Scan(t.ctx, &next)
	if err != nil || len(next) == 0 {
		return deliveriesOf(rows), time.Time{}, fail("look for the next delivery", err)
	}
	return deliveriesOf(rows), timeOf(next[0]), nil
}

// StaleDeliveries returns pending deliveries that were asked for before a time,
// the oldest first, so many at the most.
func (t *Tx) StaleDeliveries(before time.Time, limit int) ([]voice.Delivery, error) {
	var rows []deliveryRow
	err := t.db.NewSelect().Model(&rows).Where("status = 'pending' AND since < ?", micros(before)).
		OrderExpr("since, seq").Limit(int64(limit)).Scan(t.ctx)
	return deliveriesOf(rows), fail("read stale deliveries", err)
}

// DeleteDeliveries forgets deliveries that are over and older than a time, so
// many at the most. It returns how many it forgot.
func (t *Tx) DeleteDeliveries(before time.Time, limit int) (int, error) {
	old := t.db.NewSelect().Model((*deliveryRow)(nil)).Column("id").
		Where("status <> 'pending' AND updated_at < ?", micros(before)).OrderExpr("updated_at").Limit(int64(limit))
	res, err := t.db.NewDelete().Model((*deliveryRow)(nil)).Where("id IN (?)", old).Exec(t.ctx)
	if err != nil {
		return 0, fail("delete deliveries", err)
	}
	n, err := res.RowsAffected()
	return int(n), fail("delete deliveries", err)
}
