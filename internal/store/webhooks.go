package store

import (
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type subscriptionRow struct {
	bun.BaseModel `bun:"table:subscriptions"`

	ID         string `bun:"id,pk"`
	Workspace  string `bun:"workspace"`
	Service    string `bun:"service"`
	Event      string `bun:"event"`
	Filters    string `bun:"filters"`
	Template   string `bun:"template"`
	URL        string `bun:"url"`
	SigningKey string `bun:"signing_key"`
	Status     string `bun:"status"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
}

func (r subscriptionRow) place() place { return place{r.CreatedAt, r.ID} }

func (r *subscriptionRow) noun() (voice.Subscription, error) {
	s := voice.Subscription{
		ID: voice.SubscriptionID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Service: r.Service,
		Event: voice.EventType(r.Event), Template: r.Template, URL: r.URL, SigningKey: r.SigningKey, Status: r.Status,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
	}
	return s, fail("read subscription "+r.ID, decode(r.Filters, &s.Filters))
}

func subscriptionsOf(rows []subscriptionRow) ([]voice.Subscription, error) {
	out := make([]voice.Subscription, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutSubscription writes a subscription, new or known. One of another workspace
// is not touched: then it is voice.NotFound.
func (t *Tx) PutSubscription(s voice.Subscription) error {
	filters, err := encode(s.Filters)
	if err != nil {
		return fail("write subscription", err)
	}
	row := &subscriptionRow{
		ID: string(s.ID), Workspace: string(s.Workspace), Service: s.Service, Event: string(s.Event), Filters: filters,
		Template: text(s.Template), URL: text(s.URL), SigningKey: text(s.SigningKey), Status: s.Status,
		CreatedAt: micros(s.CreatedAt), UpdatedAt: micros(s.UpdatedAt),
	}
	q := t.db.NewInsert().Model(row).On("CONFLICT (id) DO UPDATE")
	for _, column := range []string{"service", "event", "filters", "template", "url", "signing_key", "status", "updated_at"} {
		q = q.Set("? = EXCLUDED.?", bun.Ident(column), bun.Ident(column))
	}
	res, err := q.Where("subscription_row.workspace = EXCLUDED.workspace").Exec(t.ctx)
	if err != nil {
		return conflict("write subscription", "", err)
	}
	return changed("webhook subscription", res, nil)
}

// Subscription returns a subscription of a workspace.
func (t *Tx) Subscription(ws voice.WorkspaceID, id voice.SubscriptionID) (voice.Subscription, error) {
	var r subscriptionRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Subscription{}, missing("webhook subscription", err)
	}
	return r.noun()
}

// Subscriptions returns one page of a workspace's subscriptions, newest first,
// and the token of the next page, empty on the last.
func (t *Tx) Subscriptions(ws voice.WorkspaceID, p voice.Page) ([]voice.Subscription, string, error) {
	rows, next, err := page[subscriptionRow](t, listSubscriptions, p, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workspace = ?", string(ws))
	}, nil)
	if err != nil {
		return nil, "", err
	}
	out, err := subscriptionsOf(rows)
	return out, next, err
}

// AllSubscriptions returns the subscriptions of all workspaces, for who makes
// deliveries of events.
func (t *Tx) AllSubscriptions() ([]voice.Subscription, error) {
	var rows []subscriptionRow
	if err := t.db.NewSelect().Model(&rows).OrderExpr("created_at, id").Scan(t.ctx); err != nil {
		return nil, fail("read subscriptions", err)
	}
	return subscriptionsOf(rows)
}

// DeleteSubscription deletes a subscription. What it has not delivered yet is
// given up.
func (t *Tx) DeleteSubscription(ws voice.WorkspaceID, id voice.SubscriptionID, at time.Time) error {
	res, err := t.db.NewDelete().Model((*subscriptionRow)(nil)).
		Where("id = ? AND workspace = ?", string(id), string(ws)).Exec(t.ctx)
	if err := changed("webhook subscription", res, err); err != nil {
		return err
	}
	_, err = t.db.NewUpdate().Model((*deliveryRow)(nil)).
		Set("status = ?", string(voice.DeliveryFailed)).Set("problem = ?", "the subscription was deleted").
		Set("next_at = 0").Set("updated_at = ?", micros(at)).
		Where("status = 'pending' AND subscription = ?", string(id)).Exec(t.ctx)
	return fail("give up deliveries", err)
}

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
	NextAt       int64  `bun:"next_at"`
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
		Status: voice.DeliveryStatus(r.Status), Attempts: r.Attempts, NextAt: timeOf(r.NextAt), Code: r.Code, Problem: r.Problem,
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

// PutDelivery writes a delivery, new or known. There is one of an event for a
// receiver: a second one with another id is ignored.
func (t *Tx) PutDelivery(d voice.Delivery) error {
	row := &deliveryRow{
		ID: string(d.ID), Workspace: string(d.Workspace), Subscription: string(d.Subscription),
		Event: string(d.Event), Seq: d.Seq, Type: string(d.Type), Call: string(d.Call), URL: text(d.URL),
		Status: string(d.Status), Attempts: d.Attempts, NextAt: micros(d.NextAt), Code: d.Code, Problem: text(d.Problem),
		CreatedAt: micros(d.CreatedAt), UpdatedAt: micros(d.UpdatedAt), DeliveredAt: micros(d.DeliveredAt),
	}
	q := t.db.NewInsert().Model(row).On("CONFLICT (event, subscription) DO UPDATE")
	for _, column := range []string{"url", "status", "attempts", "next_at", "code", "problem", "updated_at", "delivered_at"} {
		q = q.Set("? = EXCLUDED.?", bun.Ident(column), bun.Ident(column))
	}
	_, err := q.Where("delivery_row.id = EXCLUDED.id").Exec(t.ctx)
	return fail("write delivery", err)
}

// Delivery returns a delivery of a workspace.
func (t *Tx) Delivery(ws voice.WorkspaceID, id voice.DeliveryID) (voice.Delivery, error) {
	var r deliveryRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Delivery{}, missing("delivery", err)
	}
	return r.noun(), nil
}

// Deliveries returns one page of deliveries, newest first, and the token of the
// next page, empty on the last.
func (t *Tx) Deliveries(f voice.DeliveryFilter) ([]voice.Delivery, string, error) {
	rows, next, err := page[deliveryRow](t, listDeliveries, f.Page, func(q *bun.SelectQuery) *bun.SelectQuery {
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

// DueDeliveries returns deliveries whose time has come, the longest due first,
// each the oldest pending one of its call for its receiver.
func (t *Tx) DueDeliveries(now time.Time, limit int) ([]voice.Delivery, error) {
	var rows []deliveryRow
	err := t.db.NewSelect().Model(&rows).
		Where("status = 'pending' AND next_at <= ?", micros(now)).
		Where(`NOT EXISTS (SELECT 1 FROM deliveries AS older
			WHERE older.status = 'pending' AND older.subscription = delivery_row.subscription
			AND older.call = delivery_row.call AND older.seq < delivery_row.seq)`).
		OrderExpr("next_at, seq").Limit(int64(limit)).Scan(t.ctx)
	return deliveriesOf(rows), fail("read due deliveries", err)
}

// NextDelivery is when the next delivery is due, which may be in the past; zero
// = there is none.
func (t *Tx) NextDelivery() (time.Time, error) {
	var found []int64
	err := t.db.NewSelect().Model((*deliveryRow)(nil)).Column("next_at").
		Where("status = 'pending'").OrderExpr("next_at, seq").Limit(1).Scan(t.ctx, &found)
	if err != nil || len(found) == 0 {
		return time.Time{}, fail("look for the next delivery", err)
	}
	return timeOf(found[0]), nil
}
