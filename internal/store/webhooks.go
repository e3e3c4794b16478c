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
	rows, next, err := page[subscriptionRow](t, listSubscriptions, p, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
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
	s, err := t.Subscription(ws, id)
	if err != nil {
		return err
	}
	res, err := t.db.NewDelete().Model((*subscriptionRow)(nil)).
		Where("id = ? AND workspace = ?", string(id), string(ws)).Exec(t.ctx)
	if err := changed("webhook subscription", res, err); err != nil {
		return err
	}
	_, err = t.db.NewUpdate().Model((*deliveryRow)(nil)).
		Set("status = ?", string(voice.DeliveryFailed)).Set("problem = ?", "the subscription was deleted").
		Set("next_at = 0").Set("updated_at = ?", micros(at)).
		Where("status = 'pending' AND subscription = ?", string(id)).Exec(t.ctx)
	if err != nil {
		return fail("give up deliveries", err)
	}
	return t.releaseDeliveries(s.URL, "", at)
}
